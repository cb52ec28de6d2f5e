package main

import (
	"testing"
	"time"

	"github.com/onsi/ginkgo/v2/types"

	"github.com/plexlab-dev/plexlab/harness/report"
	"github.com/plexlab-dev/plexlab/harness/verdict"
)

const anEdge = "fig12/142-no->152"

// finding is Ginkgo's report of a suite with one spec, which has covered what is due and found d.
func finding(d verdict.Declaration) types.Report {
	spec := types.SpecReport{
		LeafNodeText: "spec", LeafNodeType: types.NodeTypeIt, LeafNodeLabels: []string{"edge"}, State: types.SpecStatePassed,
		LeafNodeLocation: types.CodeLocation{FileName: "/src/spec_test.go", LineNumber: 1},
	}
	switch d.Verdict {
	case verdict.Pass:
	case verdict.Unimplemented:
		spec.State = types.SpecStateSkipped
	default:
		spec.State = types.SpecStateFailed
	}
	if d.Verdict != verdict.Pass {
		spec.ReportEntries = types.ReportEntries{{Name: verdict.EntryName, Value: types.WrapEntryValue(d)}}
		spec.Failure = types.Failure{Message: d.String(), Location: spec.LeafNodeLocation}
	}
	now := time.Now()
	return types.Report{
		SuiteDescription: "suite", SuiteSucceeded: spec.State != types.SpecStateFailed, StartTime: now, EndTime: now,
		SpecReports: types.SpecReports{spec},
	}
}

// inSetup makes it what the suite found before any spec ran.
func inSetup(r types.Report) types.Report {
	r.SpecReports[0].LeafNodeType, r.SpecReports[0].LeafNodeText = types.NodeTypeSynchronizedBeforeSuite, ""
	return r
}

// skipped makes the spec one that nobody ran.
func skipped(r types.Report) types.Report {
	r.SpecReports[0].State = types.SpecStateSkipped
	return r
}

func TestReportEndsWithTheStatusOfTheRun(t *testing.T) {
	pass := verdict.Declaration{Verdict: verdict.Pass}
	taken, untaken := map[string]uint64{anEdge: 1}, map[string]uint64{anEdge: 0}
	for _, test := range []struct {
		name  string
		found types.Report
		edges map[string]uint64
		want  report.Outcome
	}{
		{"passed", finding(pass), taken, report.Passed},
		{"an edge that was not taken", finding(pass), untaken, report.Uncovered},
		{"failed", finding(verdict.Declaration{Verdict: verdict.Fail, Expected: "a SYN", Actual: "an RST"}), taken, report.Failed},
		{"the stack died in setup", inSetup(finding(verdict.Declaration{Verdict: verdict.Fail, Expected: "MVS1 ready"})), nil, report.Failed},
		{"the kit broke", finding(verdict.Declaration{Verdict: verdict.EngineError}), taken, report.EngineError},
		{
			"the laboratory was not built", inSetup(finding(verdict.Declaration{Verdict: verdict.EngineError, Reason: "build the lab: EPERM"})), nil,
			report.EngineError,
		},
		{
			"the disk of the evidence was full", finding(verdict.Declaration{Verdict: verdict.EngineError, Reason: "no space left on device"}), taken,
			report.EngineError,
		},
		{"nothing arrived", finding(verdict.Declaration{Verdict: verdict.Vacuous}), taken, report.Vacuous},
		{"nothing ran", types.Report{SuiteSucceeded: true, StartTime: time.Now(), EndTime: time.Now()}, nil, report.NothingRun},
		{"nothing is implemented", finding(verdict.Declaration{Verdict: verdict.Unimplemented, Capability: "core"}), taken, report.Unimplemented},
		{"all was skipped", skipped(finding(pass)), taken, report.Incomplete},
	} {
		t.Run(test.name, func(t *testing.T) {
			k := newKit(t, "", core+"traces: true\n")
			check(t, report.Prepare(k.out))
			check(t, report.WriteCatalogue(k.out, []report.Requirement{{
				ID: anEdge, Label: "edge", Kind: "edge", Figure: 12, Capability: "core", Text: "the edge", Citation: "the passage",
				Observable: "packets", Status: "now",
			}}))
			check(t, report.WriteSuite(k.out, "fig12", test.found))
			if test.edges != nil {
				check(t, report.AddCoverage(k.out, "fig12", test.edges))
			}
			status, out, errors := invoke(t, "report", k.out, "-i", k.manifest, "--suites", "fig12")
			if status != test.want.Code || errors != "" {
				t.Errorf("want %d, got %d:\n%s%s", test.want.Code, status, out, errors)
			}
		})
	}
	k := newKit(t, "", core)
	check(t, report.Prepare(k.out))
	if status, _, _ := invoke(t, "report", k.out, "-i", k.manifest, "--suites", "fig12"); status != report.EngineError.Code {
		t.Errorf("a suite that left nothing: want %d, got %d", report.EngineError.Code, status)
	}
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
