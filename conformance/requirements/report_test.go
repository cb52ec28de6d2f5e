package requirements

import (
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/onsi/ginkgo/v2/types"

	"github.com/plexlab-dev/plexlab/harness/report"
)

// TestAWholeRunPasses walks the way of a run: one spec for each id that is due, every edge that is
// due in the coverage, and nothing else is needed for a pass; one less of either is none.
func TestAWholeRunPasses(t *testing.T) {
	edges := map[string]uint64{}
	var specs types.SpecReports
	for _, r := range All() {
		if r.Status != Now || r.Kind == Block {
			continue
		}
		specs = append(specs, types.SpecReport{
			LeafNodeType: types.NodeTypeIt, LeafNodeText: r.Text, State: types.SpecStatePassed, LeafNodeLabels: Covers(r.ID),
		})
		if r.Kind == Edge {
			edges[r.ID] = 1
		}
	}
	dir := t.TempDir()
	run := func(specs types.SpecReports) report.Outcome {
		t.Helper()
		suite := types.Report{SuiteSucceeded: true, StartTime: time.Now(), SpecReports: specs}
		err := report.Prepare(dir)
		for _, step := range []func() error{
			func() error { return report.WriteCatalogue(dir, Catalogue()) },
			func() error { return report.WriteSuite(dir, "all", suite) },
			func() error { return report.AddCoverage(dir, "all", edges) },
		} {
			if err == nil {
				err = step()
			}
		}
		if err != nil {
			t.Fatal(err)
		}
		outcome, err := report.Write(dir, report.Inputs{Suites: []string{"all"}, WhiteBox: true}, io.Discard)
		if err != nil {
			t.Fatal(err)
		}
		return outcome
	}

	if got := run(specs); got != report.Passed {
		t.Errorf("want PASSED, got %+v", got)
	}
	text, err := os.ReadFile(filepath.Join(dir, "report.json"))
	if err != nil {
		t.Fatal(err)
	}
	var r report.Report
	if err := json.Unmarshal(text, &r); err != nil {
		t.Fatal(err)
	}
	if e := r.Coverage["fig12"]; e.Edges.Covered != 12 || e.Edges.Total != 12 || e.Blocks.Covered != 8 || e.Blocks.Total != 8 {
		t.Errorf("fig12: %+v", e)
	}
	if e := r.Coverage["fig05"].Edges; e.Covered != 13 || e.Due != 13 || e.Total != 13 {
		t.Errorf("fig05: %+v", e)
	}
	if got := r.Requirements["fig12/142"].Verdict; got != "PASS" {
		t.Errorf("a block whose edges passed: %q", got)
	}

	if got := run(specs[1:]); got != report.Incomplete {
		t.Errorf("one spec less: want INCOMPLETE, got %+v", got)
	}
	delete(edges, "fig13/160-other->end")
	if got := run(specs); got != report.Uncovered {
		t.Errorf("one edge less: want UNCOVERED, got %+v", got)
	}
}
