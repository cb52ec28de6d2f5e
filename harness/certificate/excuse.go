package certificate

import (
	"fmt"
	"strings"

	"github.com/plexlab-dev/plexlab/harness/report"
	"github.com/plexlab-dev/plexlab/harness/verdict"
)

// excused: what the implementation did was not what the spec wants, and it declares that it chose otherwise an
// interpretation that the spec verifies. That a stack ended is nobody's choice.
func (j *judging) excused(s report.Spec) bool {
	return j.concerns(s) && s.Verdict == verdict.Fail && len(s.Ended) == 0 && len(j.deviating(s)) > 0
}

// deviating are the interpretations of a spec that the implementation chose otherwise.
func (j *judging) deviating(s report.Spec) []string {
	var ids []string
	for _, id := range s.Requirements {
		if j.manifest.Deviates(id) != nil {
			ids = append(ids, id)
		}
	}
	return ids
}

func (j *judging) excuse(run int, s report.Spec) Excuse {
	return Excuse{Run: run, Spec: specWords(s), Interpretations: j.deviating(s), Reason: onOneLine(s.Reason)}
}

// String is the excuse as a person reads it.
func (e Excuse) String() string {
	return fmt.Sprintf("run %d: %s: for %s: %s", e.Run, e.Spec, strings.Join(e.Interpretations, ", "), e.Reason)
}

func specWords(s report.Spec) string { return fmt.Sprintf("%s: %s (%s)", s.Suite, s.Name, s.Location) }

// onOneLine is the beginning of a text of several lines.
func onOneLine(text string) string {
	const most = 300
	runes := []rune(strings.Join(strings.Fields(text), " "))
	if len(runes) <= most {
		return string(runes)
	}
	return string(runes[:most]) + "..."
}
