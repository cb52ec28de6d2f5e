package report

import (
	"encoding/xml"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/onsi/ginkgo/v2/reporters"
	"github.com/onsi/ginkgo/v2/types"

	"github.com/plexlab-dev/plexlab/harness/verdict"
)

var update = flag.Bool("update", false, "write the golden files instead of comparing with them")

// What can come of a run, and what is written about it: testdata/NAME holds all three reports.
var runs = []struct {
	name string
	want Outcome
	// arrange leaves in dir what the suites of the run do.
	arrange func(t *testing.T, dir string)
	adjust  func(*Inputs)
}{
	{"passed", Passed, func(t *testing.T, dir string) {
		must(t, WriteSuite(dir, "fig12", suite(passing()...)))
		must(t, AddCoverage(dir, "fig12", everyEdge))
		must(t, AddCoverage(dir, "fig12", everyEdge))
	}, nil},
	{"failed", Failed, func(t *testing.T, dir string) {
		specs := passing()
		specs[0] = declaring(spec("leaves a segment without an entry to local TCP", types.SpecStateFailed,
			"fig12/142-no->152"), verdict.Declaration{
			Verdict: verdict.Fail, Reason: "expected RST from the DVIPA\nactual   ACK at MVS2 <&>",
			Expected: "RST from the DVIPA", Actual: "ACK at MVS2 <&>",
		})
		broken := because(spec("breaks", types.SpecStatePanicked, "fig12/142-no->152"), "Test Panicked")
		broken.Failure.ForwardedPanic = "index out of range"
		must(t, WriteSuite(dir, "fig12", suite(append(specs, broken)...)))
		must(t, AddCoverage(dir, "fig12", everyEdge))
	}, nil},
	{"assertion failed", Failed, func(t *testing.T, dir string) {
		specs := passing()
		specs[1] = because(specs[1], "what the target has\nExpected\n    <string>: MVS2 <&>\nto equal\n    <string>: MVS3")
		specs[1].State = types.SpecStateFailed
		must(t, WriteSuite(dir, "fig12", suite(specs...)))
		must(t, AddCoverage(dir, "fig12", everyEdge))
	}, nil},
	{"engine error", EngineError, func(t *testing.T, dir string) {
		specs := passing()
		specs[1] = declaring(specs[1], verdict.Declaration{Verdict: verdict.EngineError, Reason: "open packet socket: EPERM"})
		specs[1].State = types.SpecStateFailed
		must(t, WriteSuite(dir, "fig12", suite(specs...)))
	}, nil},
	{"lab not built", EngineError, func(t *testing.T, dir string) {
		setup := spec("", types.SpecStateFailed)
		setup.ContainerHierarchyTexts, setup.LeafNodeType = nil, types.NodeTypeSynchronizedBeforeSuite
		setup = declaring(setup, verdict.Declaration{
			Verdict: verdict.EngineError, Reason: "build the lab of figure9: create network namespace: operation not permitted",
		})
		must(t, WriteSuite(dir, "fig12", suite(setup)))
	}, nil},
	{"stack died in setup", Failed, func(t *testing.T, dir string) {
		specs := passing()
		specs[0].State = types.SpecStateFailed
		specs[0] = declaring(specs[0], verdict.Declaration{
			Verdict: verdict.Fail, Reason: "expected MVS1 ready within 5s\nactual   stack MVS1 ended: exit status 1; its log is empty",
		})
		must(t, WriteSuite(dir, "fig12", suite(specs...)))
	}, nil},
	{"evidence disk full", EngineError, func(t *testing.T, dir string) {
		specs := passing()
		specs[0].State = types.SpecStateFailed
		specs[0] = declaring(specs[0], verdict.Declaration{
			Verdict: verdict.EngineError, Reason: "capture packets: write capture file: write packets.pcapng: no space left on device",
		})
		must(t, WriteSuite(dir, "fig12", suite(specs...)))
		must(t, AddCoverage(dir, "fig12", everyEdge))
	}, nil},
	{"suite crashed", EngineError, func(t *testing.T, dir string) {
		must(t, WriteSuite(dir, "fig12", suite(passing()...)))
		must(t, AddCoverage(dir, "fig12", everyEdge))
	}, func(in *Inputs) { in.Suites = append(in.Suites, "fig13") }},
	{"suite interrupted", EngineError, func(t *testing.T, dir string) {
		r := suite(passing()...)
		r.SuiteSucceeded, r.SpecialSuiteFailureReasons = false, []string{"Interrupted by User"}
		must(t, WriteSuite(dir, "fig12", r))
		must(t, AddCoverage(dir, "fig12", everyEdge))
	}, nil},
	{"dry run", EngineError, func(t *testing.T, dir string) {
		r := suite(passing()...)
		r.SuiteConfig.DryRun = true
		must(t, WriteSuite(dir, "fig12", r))
	}, nil},
	{"result of an earlier run", EngineError, func(t *testing.T, dir string) {
		must(t, WriteSuite(dir, "fig12", suite(passing()...)))
		must(t, AddCoverage(dir, "fig12", everyEdge))
	}, func(in *Inputs) { in.Started = began.Add(time.Minute) }},
	{"damaged files", EngineError, func(t *testing.T, dir string) {
		must(t, WriteSuite(dir, "fig12", suite(passing()...)))
		writeText(t, "[{", dir, suitesDir, "fig13.json")
		writeText(t, "[", dir, coverageDir, "fig12-1.json")
		writeText(t, "no", dir, catalogueFile)
	}, nil},
	{"no catalogue", EngineError, func(t *testing.T, dir string) {
		must(t, WriteSuite(dir, "fig12", suite(passing()...)))
		must(t, AddCoverage(dir, "fig12", everyEdge))
		must(t, os.Remove(filepath.Join(dir, catalogueFile)))
	}, nil},
	{"disk full throughout", EngineError, func(t *testing.T, dir string) {
		must(t, AddCoverage(dir, "fig12", everyEdge))
		writeText(t, "", dir, suitesDir, "fig12.json")
		writeText(t, "", dir, catalogueFile)
	}, nil},
	{"vacuous", Vacuous, func(t *testing.T, dir string) {
		specs := passing()
		specs[1].State = types.SpecStateFailed
		specs[1] = declaring(specs[1], verdict.Declaration{
			Verdict: verdict.Vacuous, Reason: "stimulus not seen to arrive: SYN to 192.0.2.1:80",
		})
		must(t, WriteSuite(dir, "fig12", suite(specs...)))
		must(t, AddCoverage(dir, "fig12", everyEdge))
	}, nil},
	{"nothing ran", NothingRun, func(*testing.T, string) {}, func(in *Inputs) { in.Suites = nil }},
	{"no specs", NothingRun, func(t *testing.T, dir string) {
		must(t, WriteSuite(dir, "fig12", suite()))
	}, nil},
	{"all skipped", Incomplete, func(t *testing.T, dir string) {
		must(t, WriteSuite(dir, "fig12", suite(
			because(spec("is skipped", types.SpecStateSkipped, "T4"), "kernel has no nf_tables"),
			spec("is not selected", types.SpecStateSkipped, "fig12/142-no->152"),
			spec("is pending", types.SpecStatePending),
		)))
	}, nil},
	{"requirement without spec", Incomplete, func(t *testing.T, dir string) {
		must(t, WriteSuite(dir, "fig12", suite(passing()[0])))
		must(t, AddCoverage(dir, "fig12", everyEdge))
	}, nil},
	{"unimplemented", Unimplemented, func(t *testing.T, dir string) {
		specs := passing()
		specs[1].State = types.SpecStateSkipped
		specs[1] = declaring(specs[1], verdict.Declaration{
			Verdict: verdict.Unimplemented, Capability: "core", Reason: "the implementation does not declare capability core",
		})
		must(t, WriteSuite(dir, "fig12", suite(specs...)))
		must(t, AddCoverage(dir, "fig12", everyEdge))
	}, nil},
	{"uncovered", Uncovered, func(t *testing.T, dir string) {
		must(t, WriteSuite(dir, "fig12", suite(passing()...)))
		must(t, AddCoverage(dir, "fig12", map[string]uint64{"fig12/142-no->152": 1, "fig12/152->end": 0}))
	}, nil},
	{"black box", Passed, func(t *testing.T, dir string) {
		must(t, WriteSuite(dir, "fig12", suite(passing()...)))
	}, func(in *Inputs) { in.WhiteBox = false }},
	{"edge of no flowchart", Failed, func(t *testing.T, dir string) {
		must(t, WriteSuite(dir, "fig12", suite(passing()...)))
		must(t, AddCoverage(dir, "fig12", everyEdge))
		must(t, AddCoverage(dir, "fig12", map[string]uint64{"fig12/142-maybe->152": 1}))
	}, nil},
}

func TestRuns(t *testing.T) {
	for _, test := range runs {
		t.Run(test.name, func(t *testing.T) {
			dir := run(t)
			test.arrange(t, dir)
			in := Inputs{
				Suites: []string{"fig12"}, SuiteCommit: "0123456789ab", Kernel: "6.18.0", WhiteBox: true, Started: began,
				Implementation: Implementation{Name: "reference", Version: "1"},
			}
			if test.adjust != nil {
				test.adjust(&in)
			}
			var terminal strings.Builder
			outcome, err := Write(dir, in, &terminal)
			if err != nil || outcome != test.want {
				t.Errorf("want %+v, got %+v, %v", test.want, outcome, err)
			}
			golden := filepath.Join("testdata", strings.ReplaceAll(test.name, " ", "_"))
			compare(t, dir, filepath.Join(golden, reportFile), read(t, dir, reportFile))
			compare(t, dir, filepath.Join(golden, junitFile), read(t, dir, junitFile))
			compare(t, dir, filepath.Join(golden, "terminal.txt"), terminal.String())
		})
	}
}

// TestJUnitReportsEveryFailure reads the files back as other tools do: no run that did not pass
// may look like one there.
func TestJUnitReportsEveryFailure(t *testing.T) {
	for _, test := range runs {
		text, err := os.ReadFile(filepath.Join("testdata", strings.ReplaceAll(test.name, " ", "_"), junitFile))
		must(t, err)
		var all reporters.JUnitTestSuites
		if err := xml.Unmarshal(text, &all); err != nil {
			t.Errorf("%s: %v", test.name, err)
		}
		var failures, failed int
		for _, s := range all.TestSuites {
			failures += s.Failures + s.Errors
			for _, c := range s.TestCases {
				if c.Failure != nil || c.Error != nil {
					failed++
				}
			}
		}
		bad := map[Outcome]bool{Failed: true, EngineError: true, Vacuous: true}[test.want]
		if (failures > 0) != bad || failures != all.Failures+all.Errors || failures != failed {
			t.Errorf("%s: %d failures counted, %d in all, %d cases that say so", test.name, failures, all.Failures+all.Errors, failed)
		}
	}
}

func compare(t *testing.T, dir, golden, got string) {
	t.Helper()
	got = strings.ReplaceAll(got, dir, "DIR")
	if *update {
		must(t, os.MkdirAll(filepath.Dir(golden), 0o755))
		must(t, os.WriteFile(golden, []byte(got), 0o644))
	}
	want, err := os.ReadFile(golden)
	must(t, err)
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s: -want +got (accept with -update):\n%s", golden, diff)
	}
}

func read(t *testing.T, path ...string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(path...))
	must(t, err)
	return string(text)
}
