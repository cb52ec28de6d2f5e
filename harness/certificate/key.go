package certificate

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/secure-systems-lab/go-securesystemslib/signerverifier"
)

// A Key is an ed25519 key of a certifier, private or public.
type Key struct {
	*signerverifier.ED25519SignerVerifier
	// Path is the file that it was read from.
	Path string
}

// ReadKey reads a key from a PEM file: PKCS #8 for a private one, PKIX for a public one, as
// `openssl genpkey -algorithm ed25519` and `openssl pkey -pubout` write them.
func ReadKey(path string) (*Key, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read key: %w", err)
	}
	return parseKey(path, text)
}

func parseKey(path string, text []byte) (*Key, error) {
	loaded, err := signerverifier.LoadKey(text)
	if err != nil {
		return nil, fmt.Errorf("read key %s: %w", path, err)
	}
	if loaded.KeyType != signerverifier.ED25519KeyType {
		return nil, fmt.Errorf("read key %s: it is of type %s, ed25519 is expected", path, loaded.KeyType)
	}
	key, err := signerverifier.NewED25519SignerVerifierFromSSLibKey(loaded)
	if err != nil {
		return nil, fmt.Errorf("read key %s: %w", path, err)
	}
	return &Key{ED25519SignerVerifier: key, Path: path}, nil
}

// SigningKey reads a private key, and makes one where the file is not there; made says so, also with the error
// that it could not be made. A new file can be read by its owner alone.
func SigningKey(path string) (key *Key, made bool, err error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		made = true
		if text, err = makeKey(path); err != nil {
			return nil, true, fmt.Errorf("make a key for the certifier: %w", err)
		}
	}
	if err != nil {
		return nil, false, fmt.Errorf("read the certifier's key: %w", err)
	}
	if key, err = parseKey(path, text); err != nil {
		return nil, false, err
	}
	if _, err := key.Sign(context.Background(), nil); errors.Is(err, signerverifier.ErrNotPrivateKey) {
		return nil, false, fmt.Errorf("key %s is a public one; the private one signs", path)
	}
	return key, made, nil
}

func makeKey(path string) ([]byte, error) {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return nil, err
	}
	text := pem.EncodeToMemory(&pem.Block{Type: signerverifier.PrivateKeyPEM, Bytes: der})
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	_, err = file.Write(text)
	return text, errors.Join(err, file.Close())
}

// ID names the key by its public half, 64 hexadecimal digits.
func (k *Key) ID() string {
	id, _ := k.KeyID() // a key that was loaded has one
	return id
}

// public is the PEM text of the public half.
func (k *Key) public() ([]byte, error) {
	der, err := x509.MarshalPKIXPublicKey(k.Public())
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: signerverifier.PublicKeyPEM, Bytes: der}), nil
}
