package report

import (
	"time"

	"github.com/plexlab-dev/plexlab/harness/verdict"
)

// Inputs are what the files of a run do not tell.
type Inputs struct {
	// Suites are the names of those that were started. One that left no report ended before its
	// time, which is an ENGINE_ERROR.
	Suites []string
	// Started is when the run began. A report of an earlier start is none of this run's; the zero
	// value accepts any.
	Started time.Time
	// Implementation is what was under test.
	Implementation Implementation
	// SuiteCommit is the commit of the suites, Kernel the release of the machine's kernel.
	SuiteCommit, Kernel string
	// WhiteBox: the implementation offers traces, and every edge that is due must be covered.
	WhiteBox bool
}

// Implementation names what was under test.
type Implementation struct {
	Name    string `json:"name"`
	Version string `json:"version"`
	// Terms are what it asked to be judged by otherwise than everybody, in words; empty: nothing.
	Terms []string `json:"terms,omitempty"`
}

// An Outcome is what a whole run comes to.
type Outcome struct {
	Name string
	// Code is the exit status of a program that reports it. 2 to 9 are left to that program.
	Code int
}

// The outcomes, the most severe first. A run comes to the first that applies.
var (
	Failed        = Outcome{"FAILED", 1}
	EngineError   = Outcome{"ENGINE_ERROR", 10}
	Vacuous       = Outcome{"VACUOUS", 11}
	NothingRun    = Outcome{"NOTHING_RUN", 12}
	Unimplemented = Outcome{"UNIMPLEMENTED", 13}
	// Incomplete: a spec was skipped, or a requirement that is due has no spec that ran.
	Incomplete = Outcome{"INCOMPLETE", 14}
	// Uncovered: all passed, but an edge that is due was not passed in a white-box run.
	Uncovered = Outcome{"UNCOVERED", 15}
	Passed    = Outcome{"PASSED", 0}
)

// outcome of a run; nothing but a complete run without a blemish is a pass.
func (r *Report) decide(whiteBox bool) Outcome {
	count := r.Summary.Verdicts
	ran := r.Summary.Passed + r.Summary.Failed
	switch {
	case count[verdict.Fail] > 0 || len(r.UnknownEdges) > 0:
		return Failed
	case count[verdict.EngineError] > 0 || len(r.Problems) > 0:
		return EngineError
	case count[verdict.Vacuous] > 0:
		return Vacuous
	case ran+r.Summary.Skipped == 0:
		return NothingRun
	case count[verdict.Unimplemented] > 0:
		return Unimplemented
	case count[verdict.Skip] > 0 || len(r.unverified()) > 0:
		return Incomplete
	case whiteBox && len(r.uncovered()) > 0:
		return Uncovered
	}
	return Passed
}
