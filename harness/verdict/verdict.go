// Package verdict says what a spec found out about a requirement, more finely than passed and
// failed: a kit that broke, a stimulus that never arrived and a capability that is not declared
// are told apart from an implementation that did wrong.
package verdict

import "slices"

// A Verdict is the outcome of one spec, or of all specs of one requirement. The zero value is none.
type Verdict string

// The verdicts, from the mildest to the most severe. Only Pass is a pass.
const (
	Pass Verdict = "PASS"
	// Skip: the spec did not run; its reason says why.
	Skip Verdict = "SKIP"
	// Unimplemented: the implementation does not declare the capability that the spec needs.
	Unimplemented Verdict = "UNIMPLEMENTED"
	// Vacuous: the stimulus was never seen to arrive, so whatever followed proves nothing.
	Vacuous Verdict = "VACUOUS"
	// EngineError: the kit's own fault, or the machine's.
	EngineError Verdict = "ENGINE_ERROR"
	// Fail: the implementation did what the requirement forbids, or not what it demands.
	Fail Verdict = "FAIL"
)

// All are the verdicts in order of severity. Fail comes last: what one spec has shown to be wrong,
// no other spec that broke or proved nothing can take back.
var All = []Verdict{Pass, Skip, Unimplemented, Vacuous, EngineError, Fail}

// Severity is the place of v in All; an unknown verdict is as severe as EngineError.
func (v Verdict) Severity() int {
	if i := slices.Index(All, v); i >= 0 {
		return i
	}
	return slices.Index(All, EngineError)
}

// Worst is the verdict of a requirement that several specs carry; Skip if there are none.
func Worst(verdicts ...Verdict) Verdict {
	if len(verdicts) == 0 {
		return Skip
	}
	return slices.MaxFunc(verdicts, func(a, b Verdict) int { return a.Severity() - b.Severity() })
}
