package main

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/plexlab-dev/plexlab/harness/certificate"
)

func TestStatusOfErrors(t *testing.T) {
	output := outputError{unix.ENOTDIR}
	for _, test := range []struct {
		err  error
		want int
	}{
		{errors.New("any"), exitFailed},
		{blameKit(errors.New("any")), certificate.EngineError.Code},
		{blameKit(statusError(exitFailed)), exitFailed},
		{blameKit(context.Canceled), exitInterrupted},
		{blameKit(usagef("flag")), exitUsage},
		{fmt.Errorf("write: %w", output), exitMissing},
		{blameKit(&fs.PathError{Op: "open", Path: "/x", Err: unix.EROFS}), exitMissing},
		{blameKit(&fs.PathError{Op: "write", Path: "/x", Err: unix.EDQUOT}), exitMissing},
		{&certificate.Refusal{Reason: certificate.Changed, Details: unix.EACCES}, certificate.Changed.Code},
	} {
		if got, _ := outcome(test.err); got != test.want {
			t.Errorf("%v: status %d, want %d", test.err, got, test.want)
		}
	}
	if err := blameKit(nil); err != nil {
		t.Errorf("nobody is to blame, and it is %v", err)
	}
}

// TestTheKitsFaultsAreNotTheImplementations: status 1 of what judges implementations is a judgement.
func TestTheKitsFaultsAreNotTheImplementations(t *testing.T) {
	k := newKit(t, "exit 1", core)
	for name, text := range map[string][]byte{"public": publicKey(t), "rsa": rsaKey(t), "junk": []byte("no key\n")} {
		if err := os.WriteFile(filepath.Join(k.suites, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	key := func(name string) []string { return []string{"--key", filepath.Join(k.suites, name)} }
	certify := []string{"certify", "-i", k.manifest, "--suites", k.suites, "--key", k.key, "-o", k.out}
	for _, test := range []struct {
		name   string
		line   []string
		more   []string
		status int
		says   string
	}{
		{"no directory", []string{"certify"}, nil, exitUsage, "--output"},
		{"an empty directory", certify, []string{"-o", ""}, exitUsage, "--output"},
		{"a public key", certify, key("public"), exitUsage, "is a public one"},
		{"an RSA key", certify, key("rsa"), exitUsage, "ed25519 is expected"},
		{"junk for a key", certify, key("junk"), exitUsage, "read key"},
		{"a directory for a key", certify, key(""), exitUsage, "is a directory"},
		{"a key that cannot be made", certify, []string{"--key", "/proc/key.pem"}, exitMissing, "make a key"},
		{"a directory that cannot be made", certify, []string{"-o", "/proc/x"}, exitMissing, "/proc/x"},
		{"a directory below a file", certify, []string{"-o", filepath.Join(k.manifest, "x")}, exitMissing, "not a directory"},
		{"a file for a directory", certify, []string{"-o", k.manifest}, exitMissing, "not a directory"},
		{"verify a file", []string{"verify", k.manifest}, nil, exitUsage, "is no directory"},
		{"verify nothing", []string{"verify", k.out}, nil, exitNotFound, "holds no certificate"},
		{"report of a file", []string{"report", k.manifest, "-i", k.manifest}, nil, exitUsage, "not a directory"},
		{"report of nothing", []string{"report", "/nowhere", "-i", k.manifest}, nil, exitUsage, "/nowhere"},
		{"report where nobody can write", []string{"report", "/proc/self/fdinfo", "-i", k.manifest}, nil, exitMissing, "write reports"},
	} {
		t.Run(test.name, func(t *testing.T) {
			status, _, errors := invoke(t, append(test.line, test.more...)...)
			needsLaboratories(t, status, errors)
			if status != test.status || !strings.Contains(errors, test.says) {
				t.Errorf("want %d and %q, got %d, %s", test.status, test.says, status, errors)
			}
		})
	}
}

func TestACertificationThatWasInterruptedIsNotGoneOnWith(t *testing.T) {
	k := newKit(t, "exit 1", core)
	if status, _, errors := k.certify(t); status != certificate.EngineError.Code {
		t.Fatalf("certify: %d, %s", status, errors)
	}
	if status, _, errors := k.certify(t); status != exitUsage || !strings.Contains(errors, "a certificate has a directory of its own") {
		t.Errorf("beside a certificate: %d, %s", status, errors)
	}
	for _, name := range []string{certificate.EnvelopeFile, certificate.KeyFile} {
		if err := os.Remove(filepath.Join(k.out, name)); err != nil {
			t.Fatal(err)
		}
	}
	if status, _, errors := k.certify(t); status != exitUsage || !strings.Contains(errors, "not brought to its end; remove it, or name another directory") {
		t.Errorf("beside half a run: %d, %s", status, errors)
	}
}

func publicKey(t *testing.T) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "key.pem")
	key, _, err := certificate.SigningKey(path)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
}

func rsaKey(t *testing.T) []byte {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}
