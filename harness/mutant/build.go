package mutant

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// A Tree is where mutants are made.
type Tree struct {
	// Root is the absolute path of the module.
	Root string
	// Manifest is the reference's, below Root; its commands name programs of Programs, as it writes it.
	Manifest, Programs string
	// Builder is who builds, nil for whoever runs: with sudo the user that called it, so that nothing in
	// their caches comes to belong to root.
	Builder *Builder
}

// Builder is a user.
type Builder struct {
	UID, GID uint32
	Home     string
}

// Invoker is who called sudo, nil without it.
func Invoker() (*Builder, error) {
	id := os.Getenv("SUDO_UID")
	if os.Geteuid() != 0 || id == "" || id == "0" {
		return nil, nil
	}
	u, err := user.LookupId(id)
	if err != nil {
		return nil, fmt.Errorf("find who called sudo: %w", err)
	}
	uid, errUID := strconv.ParseUint(u.Uid, 10, 32)
	gid, errGID := strconv.ParseUint(u.Gid, 10, 32)
	if err := errors.Join(errUID, errGID); err != nil {
		return nil, fmt.Errorf("find who called sudo: %w", err)
	}
	return &Builder{uint32(uid), uint32(gid), u.HomeDir}, nil
}

// overlay is the file that go build -overlay reads.
type overlay struct{ Replace map[string]string }

const (
	program      = "stackd"
	manifestFile = "implementation.yaml"
	overlayFile  = "overlay.json"
)

// Build makes the mutant in dir, an absolute path: its program, and a manifest that starts it, whose path
// is returned. An edit that leaves no program is an error.
func (t Tree) Build(ctx context.Context, m Mutant, dir string) (manifest string, err error) {
	edited, err := m.Edited(os.DirFS(t.Root))
	if err != nil {
		return "", err
	}
	manifest, err = t.prepare(m, dir, edited)
	if err != nil {
		return "", fmt.Errorf("mutant %s: %w", m.ID, err)
	}
	// Several are built side by side, each on a processor of its own and, short as they live, with less
	// garbage collection: a third less processor time.
	build := exec.CommandContext(ctx, "go", "build", "-p=1", "-buildvcs=false", "-trimpath", "-ldflags=-s -w",
		"-overlay", filepath.Join(dir, overlayFile), "-o", filepath.Join(dir, program), "./nodes/stackd")
	build.Dir = t.Root
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOMAXPROCS=1", "GOGC=400")
	if b := t.Builder; b != nil {
		build.Env = append(build.Env, "HOME="+b.Home)
		build.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: b.UID, Gid: b.GID}}
	}
	if output, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("mutant %s: build: %w\n%s", m.ID, err, strings.TrimSpace(string(output)))
	}
	return manifest, nil
}

// prepare writes what is built from.
func (t Tree) prepare(m Mutant, dir string, edited []byte) (manifest string, err error) {
	// Not .go: out lies in the tree, and what is wrong there would be a package to go vet ./...
	source := filepath.Join(dir, filepath.Base(m.File)+".mutant")
	replaced, err := json.Marshal(overlay{map[string]string{filepath.Join(t.Root, m.File): source}})
	if err != nil {
		return "", err
	}
	text, err := os.ReadFile(filepath.Join(t.Root, t.Manifest))
	if err != nil {
		return "", err
	}
	if !strings.Contains(string(text), t.Programs) {
		return "", fmt.Errorf("%s starts nothing of %s", t.Manifest, t.Programs)
	}
	manifest = filepath.Join(dir, manifestFile)
	err = errors.Join(
		os.MkdirAll(dir, 0o755),
		os.WriteFile(source, edited, 0o644),
		os.WriteFile(filepath.Join(dir, overlayFile), replaced, 0o644),
		os.WriteFile(manifest, []byte(strings.ReplaceAll(string(text), t.Programs, "{{.Dir}}/")), 0o644),
	)
	if b := t.Builder; b != nil && err == nil {
		err = os.Chown(dir, int(b.UID), int(b.GID))
	}
	return manifest, err
}
