package mutant

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

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

// What was decided before somebody interrupted the run stays, and nothing is said of what was under way.
func TestAnInterruptedRunTellsWhatItDecided(t *testing.T) {
	root := t.TempDir()
	c := Config{
		Tree:   Tree{Root: root, Manifest: "m.yaml", Programs: "bin/"},
		Suites: filepath.Join(root, "suites"), Out: filepath.Join(root, "out"), Jobs: 1, Only: "a|b|c|d", Of: 9,
	}
	bin, waits := filepath.Join(root, "bin"), filepath.Join(root, "waits")
	for file, text := range map[string]string{
		"m.yaml": "start: [bin/stackd]\n", "nodes/a.go": "one\n",
		"bin/go":            "#!/bin/sh\n",
		"suites/fig13.test": "#!/bin/sh\ncase $PLEXLAB_RESULTS in */c/*) echo > " + waits + "; exec sleep 60 ;; esac\n",
	} {
		must(t, os.MkdirAll(filepath.Dir(filepath.Join(root, file)), 0o755))
		must(t, os.WriteFile(filepath.Join(root, file), []byte(text), 0o755))
	}
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	must(t, unix.Mkfifo(waits, 0o600))
	ctx, interrupt := context.WithCancel(t.Context())
	go func() {
		defer interrupt()
		if _, err := os.ReadFile(waits); err != nil {
			t.Error(err)
		}
	}()

	decided := func(id string) Mutant {
		return Mutant{ID: id, File: "nodes/a.go", Find: "one", Replace: "two", Suite: "fig13", Spec: "a spec", Reason: "no SYN"}
	}
	equivalent := Mutant{ID: "b", File: "nodes/a.go", Find: "one", Equivalent: "nobody can see it"}
	s, err := Run(ctx, c, []Mutant{decided("a"), equivalent, decided("c"), decided("d")})
	if !errors.Is(err, context.Canceled) || s == nil {
		t.Fatalf("got %v and %v, want a summary and that the run was interrupted", s, err)
	}
	if s.Complete || s.Only != c.Only || s.Of != c.Of || s.Equivalent != 1 || s.Undecided != 3 {
		t.Errorf("got %+v", s)
	}
	for i, want := range []string{"the reference does not pass", "nobody can see it", "the run ended", "the run ended"} {
		if got := s.Mutants[i].Reason; !strings.HasPrefix(got, want) {
			t.Errorf("of mutant %s: got %q, want %q", s.Mutants[i].ID, got, want)
		}
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
