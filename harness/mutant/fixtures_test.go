package mutant

import (
	"os"
	"path/filepath"
	"testing"
)

// TestEveryMutantApplies is what scripts/build asks too.
func TestEveryMutantApplies(t *testing.T) {
	root := filepath.Join("..", "..")
	mutants, err := Load(os.DirFS(filepath.Join(root, "fixtures", "mutants")))
	if err != nil {
		t.Fatal(err)
	}
	if err := Applies(os.DirFS(root), mutants); err != nil {
		t.Error(err)
	}
}
