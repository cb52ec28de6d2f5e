package trial

import (
	"os"
	"testing"
)

func TestEverybodyMayReadEvidence(t *testing.T) {
	dir, err := makeReadable(t.TempDir(), "spec-")
	if err != nil {
		t.Fatal(err)
	}
	if about, err := os.Stat(dir); err != nil || about.Mode().Perm() != 0o755 {
		t.Errorf("got %v, %v", about.Mode(), err)
	}
}
