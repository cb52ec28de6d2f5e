package mutant

import (
	"os"
	"path/filepath"
	"testing"
)

// TestEveryMutantApplies: an edit that does not fit the sources any more fails the build, not the run.
func TestEveryMutantApplies(t *testing.T) {
	root := filepath.Join("..", "..")
	mutants, err := Load(os.DirFS(filepath.Join(root, "fixtures", "mutants")))
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range mutants {
		if _, err := m.Edited(os.DirFS(root)); err != nil {
			t.Error(err)
		}
	}
}
