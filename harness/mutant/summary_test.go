package mutant

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/plexlab-dev/plexlab/harness/verdict"
)

var update = flag.Bool("update", false, "write the golden files instead of comparing with them")

// summary holds one mutant of each outcome.
func summary() *Summary {
	passed := verdict.Declaration{Verdict: verdict.Pass}
	s := &Summary{Only: "a|b", Of: 155, Complete: true, Seconds: 61.4}
	for _, m := range []struct {
		Mutant
		found, reference verdict.Declaration
	}{
		{Mutant{ID: "killed", Spec: "a spec", Suite: "fig13", Reason: "no SYN"}, verdict.Declaration{Verdict: verdict.Fail, Reason: "no SYN came"}, passed},
		{Mutant{ID: "survived", Spec: "a spec", Suite: "fig13", Reason: "no SYN"}, passed, passed},
		{Mutant{ID: "equivalent", Suite: "fig13", Equivalent: "nobody can see it"}, verdict.Declaration{}, verdict.Declaration{}},
		{Mutant{ID: "undecided", Spec: "a spec", Suite: "fig13", Reason: "no SYN"}, verdict.Declaration{Verdict: verdict.EngineError, Reason: "no room"}, passed},
	} {
		m.Wrong, m.For, m.File = "it does wrong", []string{"fig13/160-other->end", "I11"}, "nodes/vipa/fig13.go"
		s.add(row(m.Mutant, trial{true, m.found, 1.25}, m.reference))
	}
	return s
}

func TestSummary(t *testing.T) {
	s := summary()
	var table bytes.Buffer
	must(t, s.Print(&table))
	golden(t, "summary.txt", table.Bytes())
	text, err := s.JSON()
	must(t, err)
	golden(t, "summary.json", text)
}

func TestGood(t *testing.T) {
	for _, test := range []struct {
		s    Summary
		want bool
	}{
		{Summary{Complete: true, Killed: 1, Equivalent: 1}, true},
		{Summary{Complete: true, Killed: 9, Survived: 1}, false},
		{Summary{Complete: true, Killed: 9, Undecided: 1}, false},
		{Summary{Complete: true, Equivalent: 1}, false},
		{Summary{Killed: 9}, false},
		{Summary{Complete: true}, false},
	} {
		if test.s.Good() != test.want {
			t.Errorf("%+v: good is %v", test.s, !test.want)
		}
	}
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		must(t, os.WriteFile(path, got, 0o644))
	}
	want, err := os.ReadFile(path)
	must(t, err)
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s: -want +got (accept with -update):\n%s", name, diff)
	}
}
