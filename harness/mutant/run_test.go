package mutant

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/plexlab-dev/plexlab/harness/verdict"
)

func TestFocusTakesTheNamedSpecsAlone(t *testing.T) {
	re := regexp.MustCompile(focus("fig13", []string{"SRVSTAT (of one)", "a->b"}))
	for text, want := range map[string]bool{
		"fig13 SRVSTAT (of one)": true, "fig13 a->b": true,
		"fig13 SRVSTAT (of one) and more": false, "fig13 of a->b": false, "fig12 a->b": false,
	} {
		if re.MatchString(text) != want {
			t.Errorf("%q: want %v", text, want)
		}
	}
}

func TestEachSpecIsTriedOnceOnTheReference(t *testing.T) {
	got := specsOf([]Mutant{
		{Suite: "a", Spec: "one"}, {Suite: "b", Spec: "one"}, {Suite: "a", Spec: "two"}, {Suite: "a", Spec: "one"},
		{Suite: "c", Equivalent: "nobody can see it"},
	})
	if diff := cmp.Diff(map[string][]string{"a": {"one", "two"}, "b": {"one"}}, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestWhatTheReferenceHasNotPassedIsTriedAgain(t *testing.T) {
	r := run{reference: map[string]verdict.Declaration{"a one": {Verdict: verdict.Pass}, "a two": {Verdict: verdict.Fail}}}
	got := r.unpassed([]Mutant{{Suite: "a", Spec: "one"}, {Suite: "a", Spec: "two"}, {Suite: "b", Spec: "one"}})
	if diff := cmp.Diff(map[string][]string{"a": {"two"}, "b": {"one"}}, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// An edit that does not apply ends the run before anything is built, and whatever mutant it is.
func TestARunRefusesAnEditThatDoesNotApply(t *testing.T) {
	root := t.TempDir()
	must(t, os.MkdirAll(filepath.Join(root, "nodes"), 0o755))
	must(t, os.WriteFile(filepath.Join(root, "nodes", "a.go"), []byte("one\n"), 0o644))
	c := Config{Tree: Tree{Root: root}, Out: filepath.Join(root, "out"), Jobs: 2}
	_, err := Run(t.Context(), c, []Mutant{{ID: "a", File: "nodes/a.go", Find: "one"}, {ID: "b", File: "nodes/a.go", Find: "two"}})
	var refused *ErrNotOnce
	if !errors.As(err, &refused) || refused.ID != "b" {
		t.Errorf("got %v, want that mutant b does not apply", err)
	}
	if _, err := os.Stat(c.Out); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("something was made in %s: %v", c.Out, err)
	}
}

func TestTheManifestStartsTheMutant(t *testing.T) {
	root := t.TempDir()
	must(t, os.WriteFile(filepath.Join(root, "m.yaml"), []byte("start: [bin/stackd, run]\nlaunch: [bin/stackd]\n"), 0o644))
	tree := Tree{Root: root, Manifest: "m.yaml", Programs: "bin/"}
	dir := filepath.Join(root, "out", "m")
	path, err := tree.prepare(Mutant{ID: "m", File: "nodes/a.go"}, dir, []byte("package a\n"))
	must(t, err)
	for file, want := range map[string]string{
		path:                              "start: [{{.Dir}}/stackd, run]\nlaunch: [{{.Dir}}/stackd]\n",
		filepath.Join(dir, overlayFile):   `{"Replace":{"` + root + `/nodes/a.go":"` + dir + `/a.go.mutant"}}`,
		filepath.Join(dir, "a.go.mutant"): "package a\n",
	} {
		got, err := os.ReadFile(file)
		must(t, err)
		if string(got) != want {
			t.Errorf("%s: got %s, want %s", file, got, want)
		}
	}
	tree.Programs = "elsewhere/"
	if _, err := tree.prepare(Mutant{ID: "m", File: "nodes/a.go"}, dir, nil); err == nil {
		t.Error("a manifest that starts none of the programs is no error")
	}
}
