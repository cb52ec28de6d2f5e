package contract

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// Key is the plex key: whoever has it may be a member. It prints as "plex key" so that no
// log shows it.
type Key [KeySize]byte

// String keeps the key out of logs.
func (Key) String() string { return "plex key" }

// GoString keeps the key out of %#v.
func (Key) GoString() string { return "contract.Key{...}" }

// NewKey makes a key of random bytes.
func NewKey() Key {
	var key Key
	_, _ = rand.Read(key[:]) // never fails: crypto/rand ends the program instead
	return key
}

// ParseKey reads the text of a key file: 64 hexadecimal digits and at most one newline.
func ParseKey(text []byte) (Key, error) {
	line := bytes.TrimSuffix(text, []byte("\n"))
	if want := hex.EncodedLen(KeySize); len(line) != want {
		return Key{}, fmt.Errorf("%d characters, want one line of %d hexadecimal digits", len(line), want)
	}
	var key Key
	if _, err := hex.Decode(key[:], line); err != nil {
		// The library's error quotes the byte; a key must not reach a log even in part.
		return Key{}, fmt.Errorf("a character that is not a hexadecimal digit, want %d of them", hex.EncodedLen(KeySize))
	}
	return key, nil
}

// LoadKey reads a key file. The file must be a regular one that nobody but its owner can
// read or write.
func LoadKey(path string) (Key, error) {
	key, err := loadKey(path)
	if err != nil {
		var at *fs.PathError
		if errors.As(err, &at) {
			err = at.Err
		}
		return Key{}, fmt.Errorf("load plex key %s: %w", path, err)
	}
	return key, nil
}

func loadKey(path string) (Key, error) {
	// A pipe in place of the file would block the open until somebody writes.
	info, err := os.Stat(path)
	if err != nil {
		return Key{}, err
	}
	if !info.Mode().IsRegular() {
		return Key{}, fmt.Errorf("not a regular file (%s)", info.Mode().Type())
	}
	if open := info.Mode().Perm() & 0o077; open != 0 {
		return Key{}, fmt.Errorf("mode %04o lets others at it, want 0600 or stricter", info.Mode().Perm())
	}
	file, err := os.Open(path)
	if err != nil {
		return Key{}, err
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, 4096))
	if err != nil {
		return Key{}, err
	}
	return ParseKey(text)
}

// WriteKey makes a key file that only its owner can read. An existing file is left as it
// is and the error matches fs.ErrExist.
func WriteKey(path string, key Key) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("write plex key: %w", err)
	}
	_, err = fmt.Fprintf(file, "%x\n", key[:])
	if err = errors.Join(err, file.Close()); err != nil {
		return fmt.Errorf("write plex key: %w", errors.Join(err, os.Remove(path)))
	}
	return nil
}
