package page

import "github.com/plexlab-dev/plexlab/harness/verdict"

// A mark shows a verdict three times over, so that nothing depends on colour: by a sign, by its word, and by
// a class that the style sheet colours.
type mark struct{ Sign, Word, Class string }

var marks = map[verdict.Verdict]mark{
	verdict.Pass:          {"✓", string(verdict.Pass), "pass"},
	verdict.Skip:          {"–", string(verdict.Skip), "skip"},
	verdict.Unimplemented: {"○", string(verdict.Unimplemented), "undeclared"},
	verdict.Vacuous:       {"∅", string(verdict.Vacuous), "vacuous"},
	verdict.EngineError:   {"!", string(verdict.EngineError), "broken"},
	verdict.Fail:          {"✗", string(verdict.Fail), "fail"},
}

// notDue marks what has no verdict and needs none.
var notDue = mark{"·", "NOT DUE", "none"}

// markOf takes a verdict that there is not for one of the kit's own faults.
func markOf(v verdict.Verdict) mark {
	if v == "" {
		return notDue
	}
	return marks[verdict.All[v.Severity()]]
}

// isAmiss says whether a person has to look at it.
func isAmiss(v verdict.Verdict) bool { return v.Severity() >= verdict.Vacuous.Severity() && v != "" }
