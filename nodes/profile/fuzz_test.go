package profile

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// No text makes Parse panic, what parses is printed so that it parses to the same, and
// nothing changes where a stack with that profile obeys it.
func FuzzParse(f *testing.F) {
	files, err := filepath.Glob(filepath.Join(fixtures, "*.profile"))
	if err != nil || len(files) == 0 {
		f.Fatalf("no fixtures: %v", err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
		f.Add(bytes.ToLower(bytes.Join(bytes.Fields(text), []byte("\n"))))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		p, err := Parse("fuzz", text, figure9)
		if err != nil {
			if p != nil {
				t.Fatalf("a profile beside the error %v", err)
			}
			return
		}
		printed := p.String()
		again, err := Parse("printed", []byte(printed), nil)
		if err != nil {
			t.Fatalf("printed form does not parse: %v\n%s", err, printed)
		}
		if diff := cmp.Diff(p, again, withoutPositions); diff != "" {
			t.Fatalf("parsed again (-want +got):\n%s", diff)
		}
		if twice := again.String(); twice != printed {
			t.Fatalf("printed again:\n%s\nwant:\n%s", twice, printed)
		}
		p.Requires()
		obeyed, err := Obey(p, "fuzz", text, figure9)
		if err != nil {
			t.Fatalf("obeyed by itself: %v", err)
		}
		if again := obeyed.Profile.String(); again != printed || len(obeyed.Changes) != 0 {
			t.Fatalf("obeyed by itself, %d changes:\n%s\nwant:\n%s", len(obeyed.Changes), again, printed)
		}
	})
}
