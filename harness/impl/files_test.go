package impl_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/plexlab-dev/plexlab/harness/impl"
)

func TestFilesOfAnImplementation(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "[odd]") // a directory is no pattern
	for _, name := range []string{"src/b.py", "src/a.py", "src/notes.txt", "src/more.py/c.py"} {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, nil, 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		files string
		want  []string
	}{
		{"[]", nil},
		{"[src/*.py, src/a.*]", []string{"src/a.py", "src/b.py"}},
		{"[src/*/*.py, src/notes.txt]", []string{"src/more.py/c.py", "src/notes.txt"}},
	} {
		got, err := filesOf(t, dir, c.files)
		if diff := cmp.Diff(c.want, got); err != nil || diff != "" {
			t.Errorf("%s: %v, want (-) got (+):\n%s", c.files, err, diff)
		}
	}
	for _, none := range []string{"[src/*.c]", "[src/more.py]", "[src/a.py, x]"} {
		if got, err := filesOf(t, dir, none); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %v and %v, want an error that there is none", none, got, err)
		}
	}
}

func filesOf(t *testing.T, dir, files string) ([]string, error) {
	t.Helper()
	manifest, err := impl.Parse("m.yaml", []byte("name: x\nversion: 1\nstart: [x]\nfiles: "+files+"\n"), dir)
	if err != nil {
		t.Fatal(err)
	}
	return manifest.ListFiles()
}
