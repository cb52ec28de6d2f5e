package topo

import (
	"errors"
	"io/fs"
	"os"
	"testing"
)

// No file makes Parse panic; whatever it says is told with a place in the file; and what parses
// has a plan and a picture.
func FuzzParse(f *testing.F) {
	for _, file := range fixtureFiles(f) {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Add([]byte(base))
	f.Fuzz(func(t *testing.T, text []byte) {
		noFiles := func(string) ([]byte, error) { return nil, fs.ErrNotExist }
		topology, err := parse("fuzz", text, noFiles)
		if err != nil {
			var all Errors
			if !errors.As(err, &all) || len(all) == 0 {
				t.Fatalf("%T: %v", err, err)
			}
			for _, e := range all {
				if e.Pos.File != "fuzz" || e.Pos.Line < 1 || e.Pos.Column < 1 || e.Message == "" {
					t.Errorf("without place or words: %v", e)
				}
			}
			return
		}
		plan, err := topology.Plan()
		if err != nil {
			t.Fatalf("parses and has no plan: %v", err)
		}
		checkUnique(t, plan)
		if _, err := topology.Picture(); err != nil {
			t.Fatalf("parses and has no picture: %v", err)
		}
	})
}
