package report

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"

	"github.com/plexlab-dev/plexlab/harness/verdict"
)

// terminal writes the report for a person: coverage, then whatever is amiss, then the outcome, and
// alone on the last line the numbers.
func (r *Report) terminal(w io.Writer) error {
	var out strings.Builder
	if len(r.Coverage) > 0 {
		out.WriteString(r.table() + "\n")
	}
	if r.WhiteBox {
		section(&out, "edges that are due and were not passed", first(r.uncovered()))
	}
	section(&out, "edges in the trace that no flowchart has", r.UnknownEdges)
	section(&out, "trace-only edges and blocks, unobserved without a trace", first(r.unobserved()))
	section(&out, "requirements that are due and that no spec verified", first(r.unverified()))
	var failed []string
	for _, id := range r.failed() {
		failed = append(failed, fmt.Sprintf("%s (%s): %s", id, r.Requirements[id].Verdict, r.Requirements[id].Text))
	}
	section(&out, "requirements that were failed or not decided, with the worst verdict of their specs", failed)
	for _, v := range slices.Backward(verdict.All) {
		if v != verdict.Pass {
			section(&out, "specs with "+string(v), r.specsWith(v))
		}
	}
	section(&out, "the run itself", r.Problems)
	fmt.Fprintf(&out, "%s: %s\n%s\n", r.Outcome, meaning(r.Outcome), r.Summary)
	_, err := io.WriteString(w, out.String())
	return err
}

func (r *Report) table() string {
	t := table.NewWriter()
	t.SetStyle(table.StyleRounded)
	t.AppendHeader(table.Row{"figure", "edges", "due", "covered", "blocks", "covered", "edges verified"})
	var columns []table.ColumnConfig
	for number := 2; number <= 7; number++ {
		columns = append(columns, table.ColumnConfig{Number: number, Align: text.AlignRight, AlignHeader: text.AlignRight})
	}
	t.SetColumnConfigs(columns)
	for _, name := range slices.Sorted(maps.Keys(r.Coverage)) {
		figure := r.Coverage[name]
		t.AppendRow(table.Row{
			name, figure.Edges.Total, figure.Edges.Due, figure.Edges.Covered,
			figure.Blocks.Total, figure.Blocks.Covered, figure.Edges.Verified,
		})
	}
	return t.Render()
}

// unobserved are, in a run without traces, the ids that only a trace shows and that are due.
func (r *Report) unobserved() []string {
	if r.WhiteBox {
		return nil
	}
	return r.ids(func(res Result) bool {
		return res.Observable == byTrace && res.due() && !res.Covered && res.Figure > 0
	})
}

func (r *Report) specsWith(v verdict.Verdict) []string {
	var lines []string
	for _, spec := range r.Specs {
		if spec.Verdict != v {
			continue
		}
		line := fmt.Sprintf("%s: %s (%s)", spec.Suite, spec.Name, spec.Location)
		for reason := range strings.Lines(spec.Reason) {
			line += "\n    " + strings.TrimRight(reason, "\n")
		}
		lines = append(lines, line)
	}
	return lines
}

// first shortens a list of ids, such as a run of chosen suites has of all other ones.
func first(ids []string) []string {
	const most = 20
	if len(ids) <= most {
		return ids
	}
	return append(slices.Clone(ids[:most]), fmt.Sprintf("and %d more, see report.json", len(ids)-most))
}

func section(out *strings.Builder, title string, lines []string) {
	if len(lines) == 0 {
		return
	}
	fmt.Fprintf(out, "%s:\n", title)
	for _, line := range lines {
		fmt.Fprintf(out, "  %s\n", line)
	}
}

func meaning(outcome string) string {
	switch outcome {
	case Failed.Name:
		return "the implementation does not do what the specification demands"
	case EngineError.Name:
		return "the kit or the machine broke; this says nothing about the implementation"
	case Vacuous.Name:
		return "a stimulus never arrived; what followed proves nothing"
	case NothingRun.Name:
		return "not one spec was run"
	case Unimplemented.Name:
		return "capabilities that specs need are not declared"
	case Incomplete.Name:
		return "nothing that ran has failed, but not everything ran"
	case Uncovered.Name:
		return "everything passed, but edges that are due were not taken"
	}
	return "everything that is due was run and passed"
}
