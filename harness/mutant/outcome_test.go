package mutant

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/plexlab-dev/plexlab/harness/report"
	"github.com/plexlab-dev/plexlab/harness/verdict"
)

func TestJudge(t *testing.T) {
	passed := verdict.Declaration{Verdict: verdict.Pass}
	m := Mutant{ID: "m", Reason: "a SYN to MVS2"}
	for name, test := range map[string]struct {
		found, reference verdict.Declaration
		want             Outcome
	}{
		"failed for the reason":              {verdict.Declaration{Verdict: verdict.Fail, Reason: "no: expected  a SYN\n\tto MVS2, got none"}, passed, Killed},
		"the reason is what was expected":    {verdict.Declaration{Verdict: verdict.Fail, Reason: "no", Expected: "a SYN to MVS2"}, passed, Killed},
		"failed for another reason":          {verdict.Declaration{Verdict: verdict.Fail, Reason: "a SYN to MVS3"}, passed, Survived},
		"passed":                             {passed, passed, Survived},
		"the kit broke, with the same words": {verdict.Declaration{Verdict: verdict.EngineError, Reason: "a SYN to MVS2"}, passed, Undecided},
		"the stimulus was not seen":          {verdict.Declaration{Verdict: verdict.Vacuous, Reason: "a SYN to MVS2"}, passed, Undecided},
		"skipped":                            {verdict.Declaration{Verdict: verdict.Skip}, passed, Undecided},
		"nothing was found":                  {verdict.Declaration{}, passed, Undecided},
		"the reference fails too":            {verdict.Declaration{Verdict: verdict.Fail, Reason: "a SYN to MVS2"}, verdict.Declaration{Verdict: verdict.Fail}, Undecided},
		"the reference was not tried":        {verdict.Declaration{Verdict: verdict.Fail, Reason: "a SYN to MVS2"}, verdict.Declaration{}, Undecided},
	} {
		got, why := judge(m, test.found, test.reference)
		if got != test.want || (got == Killed) != (why == "") {
			t.Errorf("%s: %s (%s), want %s", name, got, why, test.want)
		}
	}
}

func TestVerdictsOf(t *testing.T) {
	fail := verdict.Declaration{Verdict: verdict.Fail, Reason: "wrong"}
	r := &report.Report{Specs: []report.Spec{{Name: "a", Declaration: fail}, {Name: "other", Declaration: fail}}}
	want := map[string]verdict.Declaration{"a": fail, "b": {Verdict: verdict.EngineError, Reason: "there is no such spec"}}
	if diff := cmp.Diff(want, verdictsOf(r, []string{"a", "b"})); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	r.Problems = []string{"suite fig13 left no report"}
	if got := verdictsOf(r, []string{"b"})["b"]; got.Verdict != verdict.EngineError || got.Reason != r.Problems[0] {
		t.Errorf("of a suite that broke: %s", got)
	}
}

func TestNamed(t *testing.T) {
	r := &report.Report{Specs: []report.Spec{{Suite: "fig13", Name: "a"}, {Suite: "fig12", Name: "b"}}}
	there := []Mutant{{ID: "there", Suite: "fig13", Spec: "a"}, {ID: "equal", Suite: "fig13", Equivalent: "by nature"}}
	if err := Named(there, r); err != nil {
		t.Error(err)
	}
	const want = `mutant elsewhere: suite fig13 has no spec "b"`
	if err := Named([]Mutant{there[0], {ID: "elsewhere", Suite: "fig13", Spec: "b"}}, r); err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}
