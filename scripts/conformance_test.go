package scripts

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestConformanceRemovesNothingButResults(t *testing.T) {
	dir := t.TempDir()
	kept := filepath.Join(dir, "thesis.txt")
	if err := os.WriteFile(kept, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	command := exec.Command("./conformance")
	// A suite that there is not ends a run that got beyond the directory.
	command.Env = append(os.Environ(), "RESULTS="+dir, "SUITES=none")
	said, err := command.CombinedOutput()
	if exit := new(exec.ExitError); !errors.As(err, &exit) || !strings.Contains(string(said), "not the results of an earlier run") {
		t.Errorf("%v:\n%s", err, said)
	}
	if _, err := os.Stat(kept); err != nil {
		t.Error(err)
	}
}
