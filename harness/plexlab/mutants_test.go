package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// treeOfOneMutant has a source of one line, and a mutant that edits another one.
func treeOfOneMutant(t *testing.T, line string) (root string) {
	t.Helper()
	root = t.TempDir()
	for name, text := range map[string]string{
		"nodes/a.go":                  "package a // one\n",
		"fixtures/mutants/fig13.yaml": "mutants: [{id: a, wrong: all, for: [I1], file: nodes/a.go, find: " + line + ", replace: two, equivalent: nobody can see it}]\n",
		"out/mutants/summary.json":    "{}\n",
	} {
		path := filepath.Join(root, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// scripts/build asks this, so that an edit which no longer applies fails the build.
func TestMutantsNamesTheEditThatNoLongerApplies(t *testing.T) {
	if status, out, said := invoke(t, "mutants", "--edits", "--tree", treeOfOneMutant(t, "one")); status != exitDone || out+said != "" {
		t.Errorf("of one that applies: status %d, %q and %q", status, out, said)
	}
	status, _, said := invoke(t, "mutants", "--edits", "--tree", treeOfOneMutant(t, "three"))
	if status != exitFailed || !strings.Contains(said, "mutant a: nodes/a.go: the text to find is not there") {
		t.Errorf("status %d and %q, want that the edit of mutant a does not apply to nodes/a.go", status, said)
	}
}

// The summary of an earlier run is not what a run that fails came to.
func TestMutantsThatFailLeaveNoOldSummary(t *testing.T) {
	root := treeOfOneMutant(t, "three")
	if status, _, said := invoke(t, "mutants", "--tree", root); status != exitFailed {
		t.Errorf("status %d and %q, want %d", status, said, exitFailed)
	}
	if _, err := os.Stat(filepath.Join(root, "out", "mutants", "summary.json")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the summary of an earlier run is still there: %v", err)
	}
}
