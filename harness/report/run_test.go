package report

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/onsi/ginkgo/v2/types"

	"github.com/plexlab-dev/plexlab/harness/verdict"
)

// A small catalogue: one flowchart with a decision, one that is not due, and a statement.
var catalogue = []Requirement{
	block("fig12/140", 12, "now"), block("fig12/142", 12, "now"), block("fig12/152", 12, "now"),
	edge("fig12/140-no->142", 12, "now", byTrace, "fig12/140", "fig12/142"),
	edge("fig12/142-no->152", 12, "now", "packets", "fig12/142", "fig12/152"),
	edge("fig12/152->end", 12, "now", "packets", "fig12/152"),
	block("fig14/180", 14, "not-yet"),
	edge("fig14/180->end", 14, "not-yet", "messages", "fig14/180"),
	{
		ID: "T4", Label: "T4", Kind: "statement", Text: "what no stack serves is not distributed",
		Citation: "statements: “if”", Observable: "packets", Status: "now",
	},
	{
		ID: "T36", Label: "T36", Kind: "statement", Text: "may stand apart", Citation: "statements: “may”",
		Observable: "none", Status: "informative",
	},
}

func block(id string, figure int, status string) Requirement {
	return Requirement{
		ID: id, Label: label(id), Kind: kindBlock, Figure: figure, Text: "block " + id,
		Citation: "Figure: “words”", Observable: byTrace, Status: status,
	}
}

func edge(id string, figure int, status, observable string, blocks ...string) Requirement {
	return Requirement{
		ID: id, Label: label(id), Kind: kindEdge, Figure: figure, Blocks: blocks, Text: "edge " + id,
		Citation: "Figure: “words”", Observable: observable, Status: status,
	}
}

func label(id string) string { return strings.ReplaceAll(id, "/", ":") }

var began = time.Date(2001, 8, 20, 12, 0, 0, 0, time.UTC)

// suite is Ginkgo's report of specs that ran one after another for a second each.
func suite(specs ...types.SpecReport) types.Report {
	r := types.Report{
		SuiteDescription: "Figure 12", SuiteSucceeded: true, StartTime: began,
		EndTime: began.Add(time.Duration(len(specs)) * time.Second), RunTime: time.Duration(len(specs)) * time.Second,
		SuiteConfig: types.SuiteConfig{RandomSeed: 42, ParallelTotal: 2},
		SpecReports: specs,
	}
	for _, s := range specs {
		r.SuiteSucceeded = r.SuiteSucceeded && !s.State.Is(types.SpecStateFailureStates)
	}
	return r
}

func spec(name string, state types.SpecState, ids ...string) types.SpecReport {
	s := types.SpecReport{
		ContainerHierarchyTexts: []string{"Figure 12"}, LeafNodeText: name, LeafNodeType: types.NodeTypeIt, State: state,
		LeafNodeLocation: types.CodeLocation{FileName: "/src/conformance/fig12/block142_test.go", LineNumber: 27},
		RunTime:          time.Second, NumAttempts: 1,
	}
	for _, id := range ids {
		s.LeafNodeLabels = append(s.LeafNodeLabels, label(id))
	}
	return s
}

func because(s types.SpecReport, message string) types.SpecReport {
	s.Failure = types.Failure{Message: message, Location: s.LeafNodeLocation}
	return s
}

func declaring(s types.SpecReport, d verdict.Declaration) types.SpecReport {
	s.ReportEntries = append(s.ReportEntries, types.ReportEntry{Name: verdict.EntryName, Value: types.WrapEntryValue(d)})
	return because(s, d.String())
}

// passing are specs that verify all that is due.
func passing() []types.SpecReport {
	return []types.SpecReport{
		spec("leaves a segment without an entry to local TCP", types.SpecStatePassed,
			"fig12/140-no->142", "fig12/142-no->152", "fig12/152->end"),
		spec("does not distribute what nobody serves", types.SpecStatePassed, "T4", "unit"),
	}
}

// everyEdge is coverage of all that is due.
var everyEdge = map[string]uint64{"fig12/140-no->142": 3, "fig12/142-no->152": 2, "fig12/152->end": 2}

// run is the directory of a run with a catalogue.
func run(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	must(t, Prepare(dir))
	must(t, WriteCatalogue(dir, catalogue))
	return dir
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func writeText(t *testing.T, text string, path ...string) {
	t.Helper()
	must(t, os.WriteFile(filepath.Join(path...), []byte(text), 0o644))
}
