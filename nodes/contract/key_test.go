package contract

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestKeyFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "plex.key")
	want := NewKey()
	if err := WriteKey(path, want); err != nil {
		t.Fatal(err)
	}
	got, err := LoadKey(path)
	if err != nil || got != want {
		t.Errorf("the key changed on its way through the file, error %v", err)
	}
	if err := WriteKey(path, NewKey()); !errors.Is(err, fs.ErrExist) {
		t.Errorf("writing over a key: got error %v, want %v", err, fs.ErrExist)
	}
	if again, err := LoadKey(path); err != nil || again != want {
		t.Errorf("the first key is gone, error %v", err)
	}
}

func TestLoadKeyRefuses(t *testing.T) {
	t.Parallel()
	digits := strings.Repeat("0f", KeySize)
	for _, test := range []struct {
		name, text string
		mode       fs.FileMode
		want       string
	}{
		{"short", digits[2:] + "\n", 0o600, "62 characters, want one line of 64 hexadecimal digits"},
		{"empty", "", 0o600, "0 characters, want one line"},
		{"two lines", digits + "\n\n", 0o600, "65 characters, want one line"},
		{"no digit", "x" + digits[1:] + "\n", 0o600, "a character that is not a hexadecimal digit"},
		{"readable by all", digits + "\n", 0o644, "mode 0644 lets others at it, want 0600 or stricter"},
		{"writable by the group", digits + "\n", 0o620, "mode 0620 lets others at it"},
	} {
		path := filepath.Join(t.TempDir(), "plex.key")
		if err := os.WriteFile(path, []byte(test.text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, test.mode); err != nil {
			t.Fatal(err)
		}
		_, err := LoadKey(path)
		if err == nil || !strings.Contains(err.Error(), "load plex key "+path+": "+test.want) {
			t.Errorf("%s: got error %v, want %q", test.name, err, test.want)
		}
		if err != nil && strings.Contains(err.Error(), digits[2:]) {
			t.Errorf("%s: the error shows the key", test.name)
		}
	}
	if _, err := LoadKey(t.TempDir()); err == nil || !strings.Contains(err.Error(), "not a regular file") {
		t.Errorf("a directory: got error %v", err)
	}
	if _, err := LoadKey("/nonexistent/plex.key"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: got error %v", err)
	}
}

func TestKeyDoesNotPrint(t *testing.T) {
	t.Parallel()
	key := NewKey()
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		if text := fmt.Sprintf(verb, key); !strings.HasPrefix(text, "plex key") && text != "contract.Key{...}" {
			t.Errorf("%s prints %s", verb, text)
		}
	}
}
