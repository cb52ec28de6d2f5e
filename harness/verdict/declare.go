package verdict

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/onsi/ginkgo/v2"
)

// EntryName is the name of the report entry that carries a Declaration.
const EntryName = "verdict"

// A Declaration is what a spec says about its own outcome. It travels as a report entry in
// Ginkgo's report, where the writer of the kit's reports finds it.
type Declaration struct {
	Verdict Verdict `json:"verdict"`
	// Reason says what happened; empty for a Pass.
	Reason string `json:"reason,omitempty"`
	// Capability is what an Unimplemented spec needs.
	Capability string `json:"capability,omitempty"`
	// Expected and Actual explain a Fail: declared, or read from the assertion that failed. Empty where it does
	// not tell them apart.
	Expected string `json:"expected,omitempty"`
	Actual   string `json:"actual,omitempty"`
}

// Compares: there is nothing in the reason but what was expected and what came instead.
func (d Declaration) Compares() bool { return d.Reason == mismatch(d.Expected, d.Actual) }

// Account is the reason; where more than that is known, what was expected and what came instead stands before it.
func (d Declaration) Account() string {
	if d.Expected == "" || d.Compares() {
		return d.Reason
	}
	return strings.TrimSpace(mismatch(d.Expected, d.Actual) + "\n\n" + d.Reason)
}

// String is how Ginkgo prints the entry.
func (d Declaration) String() string { return fmt.Sprintf("%s: %s", d.Verdict, d.Reason) }

// Engine ends the spec with ENGINE_ERROR if err is not nil. The format says what the kit was
// doing: Engine(err, "build the lab of %s", name). Like every function here it is called on the
// goroutine of a Ginkgo node, setup nodes included.
func Engine(err error, format string, args ...any) {
	if err == nil {
		return
	}
	ginkgo.GinkgoHelper()
	fail(Declaration{Verdict: EngineError, Reason: fmt.Sprintf(format, args...) + ": " + err.Error()})
}

// IsVacuous ends the spec with VACUOUS: nothing follows from what it saw.
func IsVacuous(format string, args ...any) {
	ginkgo.GinkgoHelper()
	fail(Declaration{Verdict: Vacuous, Reason: fmt.Sprintf(format, args...)})
}

// Stimulus guards what a spec concludes: err is the outcome of waiting for the stimulus at the
// place where the implementation receives it. Nil passes; a wait that ran out ends the spec with
// VACUOUS, any other error with ENGINE_ERROR.
//
//	_, err := ext0.Await(ctx, syn.Match)
//	verdict.Stimulus(err, "SYN to %s at the outside of MVS1", service)
func Stimulus(err error, format string, args ...any) {
	if err == nil {
		return
	}
	ginkgo.GinkgoHelper()
	what := fmt.Sprintf(format, args...)
	if errors.Is(err, context.DeadlineExceeded) {
		fail(Declaration{Verdict: Vacuous, Reason: "stimulus not seen to arrive: " + what + ": " + err.Error()})
	}
	fail(Declaration{Verdict: EngineError, Reason: "watch for stimulus: " + what + ": " + err.Error()})
}

// NeedsCapability ends the spec with UNIMPLEMENTED unless declared, the capabilities that the
// manifest of the implementation declares, holds name.
func NeedsCapability[C ~string](declared []C, name C) {
	if slices.Contains(declared, name) {
		return
	}
	ginkgo.GinkgoHelper()
	d := Declaration{
		Verdict: Unimplemented, Capability: string(name),
		Reason: fmt.Sprintf("the implementation does not declare capability %s", name),
	}
	ginkgo.AddReportEntry(EntryName, d, ginkgo.ReportEntryVisibilityFailureOrVerbose)
	ginkgo.Skip(d.String())
}

// Mismatch ends the spec with FAIL, telling what the requirement demands and what was seen.
// An assertion that fails is a FAIL too; this form keeps the two apart for reports.
func Mismatch(expected, actual string) {
	ginkgo.GinkgoHelper()
	fail(Declaration{
		Verdict: Fail, Expected: expected, Actual: actual,
		Reason: mismatch(expected, actual),
	})
}

func fail(d Declaration) {
	ginkgo.GinkgoHelper()
	ginkgo.AddReportEntry(EntryName, d, ginkgo.ReportEntryVisibilityFailureOrVerbose)
	ginkgo.Fail(d.String())
}
