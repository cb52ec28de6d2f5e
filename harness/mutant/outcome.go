package mutant

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/plexlab-dev/plexlab/harness/report"
	"github.com/plexlab-dev/plexlab/harness/verdict"
)

// An Outcome is what became of a mutant.
type Outcome string

// The outcomes. Only Killed and Equivalent are good ones.
const (
	// Killed: the spec failed for the stated reason.
	Killed Outcome = "killed"
	// Survived: it passed, or failed for another reason.
	Survived Outcome = "survived"
	// Equivalent: the variant cannot be told from the reference.
	Equivalent Outcome = "equivalent"
	// Undecided: the kit broke, the spec did not run or its stimulus was not seen to arrive, or the reference
	// itself does not pass it. Nothing is known of the mutant.
	Undecided Outcome = "undecided"
)

// judge decides about a mutant by what its spec found. reference is what the same spec found of the
// reference itself.
func judge(m Mutant, found, reference verdict.Declaration) (Outcome, string) {
	switch {
	case reference.Verdict != verdict.Pass:
		return Undecided, "the reference does not pass: " + reference.String()
	case found.Verdict == verdict.Pass:
		return Survived, "the spec passes"
	case found.Verdict != verdict.Fail:
		return Undecided, found.String()
	case !states(found, m.Reason):
		return Survived, "failed for another reason: " + words(found.Reason, found.Expected, found.Actual)
	}
	return Killed, ""
}

// states says whether a failure gives the reason, whatever white space it has.
func states(d verdict.Declaration, reason string) bool {
	return strings.Contains(words(d.Reason, d.Expected, d.Actual), words(reason))
}

// words are texts with one blank between words.
func words(texts ...string) string {
	return strings.Join(strings.Fields(strings.Join(texts, " ")), " ")
}

// Named says of each mutant whose spec a report of whole suites does not have: it was renamed, or is no more.
func Named(mutants []Mutant, r *report.Report) error {
	var errs []error
	for _, m := range mutants {
		has := func(s report.Spec) bool { return s.Suite == m.Suite && s.Name == m.Spec }
		if m.Equivalent == "" && !slices.ContainsFunc(r.Specs, has) {
			errs = append(errs, fmt.Errorf("mutant %s: suite %s has no spec %q", m.ID, m.Suite, m.Spec))
		}
	}
	return errors.Join(errs...)
}

// verdictsOf are the verdicts of specs by their full texts. A suite that broke is the verdict of those that did
// not run.
func verdictsOf(r *report.Report, specs []string) map[string]verdict.Declaration {
	missing := "there is no such spec"
	if len(r.Problems) > 0 {
		missing = strings.Join(r.Problems, "; ")
	}
	found := make(map[string]verdict.Declaration, len(specs))
	for _, spec := range specs {
		found[spec] = verdict.Declaration{Verdict: verdict.EngineError, Reason: missing}
	}
	for _, s := range r.Specs {
		if _, asked := found[s.Name]; asked {
			found[s.Name] = s.Declaration
		}
	}
	return found
}
