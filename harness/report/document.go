package report

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/plexlab-dev/plexlab/harness/verdict"
)

// Report is report.json.
type Report struct {
	// Outcome is the name and ExitCode the code of an Outcome.
	Outcome  string `json:"outcome"`
	ExitCode int    `json:"exit_code"`
	// SuiteCommit, Kernel and Implementation are those of Inputs.
	SuiteCommit    string         `json:"suite_commit"`
	Kernel         string         `json:"kernel"`
	Implementation Implementation `json:"implementation"`
	WhiteBox       bool           `json:"white_box"`
	// Tolerances are what each suite gave the implementation, by name, in nanoseconds.
	Tolerances map[string]map[string]time.Duration `json:"tolerances_ns,omitempty"`
	// Started is when the first suite began, Seconds how long until the last ended.
	Started time.Time `json:"started"`
	Seconds float64   `json:"seconds"`
	Summary Summary   `json:"summary"`
	Suites  []Suite   `json:"suites"`
	// Requirements are all of the catalogue, by id.
	Requirements map[string]Result `json:"requirements"`
	// Coverage is by figure: "fig12".
	Coverage map[string]FigureCoverage `json:"coverage"`
	// UnknownEdges were reported as passed but are in no flowchart: the trace is wrong.
	UnknownEdges []string `json:"unknown_edges,omitempty"`
	// Problems are what went wrong with the run as a whole.
	Problems []string `json:"problems,omitempty"`
	// Specs are all that ran or should have, and setup that failed.
	Specs []Spec `json:"specs"`
}

// Summary counts specs. Failed are those with FAIL, ENGINE_ERROR or VACUOUS, and with them setup
// that failed and whatever is wrong with the run as a whole; Skipped those with SKIP or
// UNIMPLEMENTED. Verdicts counts specs and setup alone.
type Summary struct {
	Passed   int                     `json:"passed"`
	Failed   int                     `json:"failed"`
	Skipped  int                     `json:"skipped"`
	Verdicts map[verdict.Verdict]int `json:"verdicts"`
}

// String is the last line a person reads.
func (s Summary) String() string {
	return fmt.Sprintf("%d passed, %d failed, %d skipped", s.Passed, s.Failed, s.Skipped)
}

// Suite is one suite of a run.
type Suite struct {
	Name    string  `json:"name"`
	Specs   int     `json:"specs"`
	Seed    int64   `json:"seed"`
	Seconds float64 `json:"seconds"`
	// Processes that ran it side by side.
	Processes int `json:"processes"`
}

// Spec is what one spec, or setup that failed, came to.
type Spec struct {
	Suite string `json:"suite"`
	Name  string `json:"name"`
	// Setup: not a spec but a node that runs once for its suite.
	Setup bool `json:"setup,omitempty"`
	verdict.Declaration
	Seconds float64 `json:"seconds"`
	// Location is FILE:LINE.
	Location string `json:"location"`
	// Requirements are the ids that the spec verifies, those by an edge included.
	Requirements []string `json:"requirements,omitempty"`
	// Needs are the capabilities that it needs, in order of their names.
	Needs []string `json:"needs,omitempty"`
	// Bare: whoever passes it leaves no packets, for no laboratory comes to be.
	Bare bool `json:"bare,omitempty"`
	// Ended are stacks that ended, or did not become ready, though the spec had not ended them: whatever it looked for could not
	// be seen then.
	Ended []string `json:"ended,omitempty"`
	// Evidence is what the spec kept, by the names of its other report entries.
	Evidence map[string]string `json:"evidence,omitempty"`
}

// Result is what is known of one requirement after a run.
type Result struct {
	Requirement
	// Verdict is the worst of its specs; empty where there are none and none are due.
	Verdict verdict.Verdict `json:"verdict,omitempty"`
	// Specs are the indexes of its specs in Report.Specs.
	Specs []int `json:"specs,omitempty"`
	// Covered says of a block or an edge whether it was passed, by traces and counters.
	Covered bool `json:"covered,omitempty"`
}

// FigureCoverage is how much of a flowchart was passed.
type FigureCoverage struct {
	Edges  Share `json:"edges"`
	Blocks Share `json:"blocks"`
	// Uncovered are the ids of edges that are due and were not passed.
	Uncovered []string `json:"uncovered,omitempty"`
	// Passed is how often each edge was passed.
	Passed map[string]uint64 `json:"passed,omitempty"`
}

// Share of the edges, or blocks, of a flowchart.
type Share struct {
	Covered int `json:"covered"`
	Total   int `json:"total"`
	// Due is how many of Total a run must cover.
	Due int `json:"due"`
	// Verified is how many have the verdict PASS.
	Verified int `json:"verified"`
}

// unverified are the ids that are due and of which no spec ran, in order.
func (r *Report) unverified() []string {
	return r.ids(func(res Result) bool { return res.due() && res.Verdict == verdict.Skip })
}

// failed are the ids with a verdict that is worse than undeclared, in order.
func (r *Report) failed() []string {
	return r.ids(func(res Result) bool {
		return res.Verdict.Severity() > verdict.Unimplemented.Severity() && res.Verdict != ""
	})
}

func (r *Report) ids(which func(Result) bool) []string {
	var ids []string
	for _, id := range slices.Sorted(maps.Keys(r.Requirements)) {
		if which(r.Requirements[id]) {
			ids = append(ids, id)
		}
	}
	return ids
}

// uncovered are the edges that are due and were not passed, by figure.
func (r *Report) uncovered() []string {
	var ids []string
	for _, figure := range slices.Sorted(maps.Keys(r.Coverage)) {
		ids = append(ids, r.Coverage[figure].Uncovered...)
	}
	return ids
}
