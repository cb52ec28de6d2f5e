package verdict

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/onsi/ginkgo/v2"
	"github.com/onsi/ginkgo/v2/types"
	"github.com/onsi/gomega"
)

// The suite under judgement runs in a process of its own, named by this variable: "specs" holds
// one spec a verdict, "no lab" fails before its first spec.
const suiteVariable = "PLEXLAB_VERDICT_SUITE"

func TestSuiteUnderJudgement(t *testing.T) {
	gomega.RegisterFailHandler(ginkgo.Fail)
	switch os.Getenv(suiteVariable) {
	case "specs":
		describeVerdicts()
	case "no lab":
		ginkgo.BeforeSuite(func() { Engine(os.ErrPermission, "create network namespace") })
		ginkgo.It("never runs", func() {})
	default:
		t.Skip("these are specs that end badly on purpose: the other tests of this file run them in a process of their own")
	}
	ginkgo.RunSpecs(t, "judged")
}

func describeVerdicts() {
	attempts := 0
	ginkgo.It("flips", ginkgo.FlakeAttempts(3), func() {
		attempts++
		gomega.Expect(attempts).To(gomega.Equal(2))
	})
	ginkgo.It("passes", func() { Engine(nil, "nothing"); Stimulus(nil, "nothing") })
	ginkgo.It("asserts in vain", func() { gomega.Expect(1).To(gomega.Equal(2)) })
	ginkgo.It("mismatches", func() { Mismatch("SYN at MVS2", "RST from the DVIPA") })
	ginkgo.It("breaks", func() { Engine(os.ErrPermission, "open %s", "packet socket") })
	ginkgo.It("misses its stimulus", func() {
		err := fmt.Errorf("no packet after 1s: %w", context.DeadlineExceeded)
		Stimulus(err, "SYN to %s", "192.0.2.1:80")
	})
	ginkgo.It("cannot watch its stimulus", func() { Stimulus(os.ErrClosed, "SYN") })
	ginkgo.It("proves nothing", func() { IsVacuous("only %d targets", 1) })
	ginkgo.It("needs more", func() { NeedsCapability([]string{"core"}, "takeover") })
	ginkgo.It("needs what is there", func() { NeedsCapability([]string{"core", "takeover"}, "takeover") })
	ginkgo.It("skips", func() { ginkgo.Skip("kernel has no netem") })
	ginkgo.PIt("waits", func() {})
	ginkgo.It("is not selected", ginkgo.Label("left out"), func() {})
	ginkgo.It("panics", func() { panic("index out of range") })
	ginkgo.It("hangs", func(ctx ginkgo.SpecContext) { <-ctx.Done() }, ginkgo.SpecTimeout(10*time.Millisecond))
	ginkgo.It("swallows its verdict", func() {
		defer func() { _ = recover() }()
		ginkgo.AddReportEntry(EntryName, Declaration{Verdict: Vacuous, Reason: "nothing came"})
	})
	ginkgo.It("asserts in vain and cleans up badly", func() {
		ginkgo.DeferCleanup(func() { Engine(os.ErrClosed, "keep evidence") })
		gomega.Expect(1).To(gomega.Equal(2))
	})
	ginkgo.It("proves nothing and cleans up badly", func() {
		ginkgo.DeferCleanup(func() { Engine(os.ErrClosed, "keep evidence") })
		IsVacuous("nothing came")
	})
	ginkgo.It("passes and cleans up badly", func() {
		ginkgo.DeferCleanup(func() { Engine(syscall.ENOSPC, "capture packets") })
	})
	ginkgo.It("cleans up badly", func() {
		ginkgo.DeferCleanup(func() { Engine(os.ErrClosed, "close capture") })
		Mismatch("a", "b")
	})
}

func TestDeclarationsReachTheReport(t *testing.T) {
	want := map[string]Declaration{
		"passes": {Verdict: Pass},
		"mismatches": {
			Verdict: Fail, Expected: "SYN at MVS2", Actual: "RST from the DVIPA",
			Reason: "expected SYN at MVS2\nactual   RST from the DVIPA",
		},
		"asserts in vain": {
			Verdict: Fail, Expected: "2", Actual: "1",
			Reason: "Expected\n    <int>: 1\nto equal\n    <int>: 2",
		},
		"breaks": {Verdict: EngineError, Reason: "open packet socket: permission denied"},
		"misses its stimulus": {
			Verdict: Vacuous,
			Reason:  "stimulus not seen to arrive: SYN to 192.0.2.1:80: no packet after 1s: context deadline exceeded",
		},
		"cannot watch its stimulus": {Verdict: EngineError, Reason: "watch for stimulus: SYN: file already closed"},
		"proves nothing":            {Verdict: Vacuous, Reason: "only 1 targets"},
		"needs more": {
			Verdict: Unimplemented, Capability: "takeover",
			Reason: "the implementation does not declare capability takeover",
		},
		"needs what is there":                {Verdict: Pass},
		"skips":                              {Verdict: Skip, Reason: "kernel has no netem"},
		"waits":                              {Verdict: Skip, Reason: "pending"},
		"is not selected":                    {Verdict: Skip, Reason: "not selected"},
		"swallows its verdict":               {Verdict: EngineError, Reason: "passed in spite of VACUOUS: nothing came"},
		"flips":                              {Verdict: EngineError, Reason: "passed at attempt 2 only"},
		"proves nothing and cleans up badly": {Verdict: Vacuous, Reason: "nothing came"},
		"passes and cleans up badly":         {Verdict: EngineError, Reason: "capture packets: no space left on device"},
		// What was found out stays, though the cleanup failed.
		"cleans up badly": {Verdict: Fail, Expected: "a", Actual: "b", Reason: "expected a\nactual   b"},
	}
	onlyVerdict := map[string]Verdict{"asserts in vain and cleans up badly": Fail, "panics": EngineError, "hangs": EngineError}

	report := judged(t, "specs", "-ginkgo.label-filter=!(left out)")
	for _, spec := range report.SpecReports {
		got, err := Of(spec)
		if err != nil {
			t.Fatal(err)
		}
		name := spec.LeafNodeText
		if v, ok := onlyVerdict[name]; ok {
			if got.Verdict != v || got.Reason == "" {
				t.Errorf("%s: want %s with a reason, got %+v", name, v, got)
			}
			delete(onlyVerdict, name)
			continue
		}
		if diff := cmp.Diff(want[name], got); diff != "" {
			t.Errorf("%s: -want +got:\n%s", name, diff)
		}
		delete(want, name)
	}
	if len(want)+len(onlyVerdict) > 0 {
		t.Errorf("not in the report: %v %v", want, onlyVerdict)
	}
}

func TestALabThatCannotBeBuiltIsAnEngineError(t *testing.T) {
	report := judged(t, "no lab")
	got, err := Of(report.SpecReports[0])
	want := Declaration{Verdict: EngineError, Reason: "create network namespace: permission denied"}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v, -want +got:\n%s", err, diff)
	}
}

func TestSetupThatFailsWithoutDeclarationIsAnEngineError(t *testing.T) {
	got, err := Of(types.SpecReport{
		LeafNodeType: types.NodeTypeSynchronizedBeforeSuite, State: types.SpecStateFailed,
		Failure: types.Failure{Message: "no"},
	})
	if err != nil || got.Verdict != EngineError {
		t.Errorf("want ENGINE_ERROR, got %v, %v", got, err)
	}
}

func TestADamagedDeclarationIsAnError(t *testing.T) {
	for _, text := range []string{"{", "null", `{"verdict":"MAYBE"}`} {
		entry := types.ReportEntry{Name: EntryName, Value: types.ReportEntryValue{AsJSON: text}}
		_, err := Of(types.SpecReport{State: types.SpecStatePassed, ReportEntries: types.ReportEntries{entry}})
		if err == nil {
			t.Errorf("%s: want an error", text)
		}
	}
}

// judged runs the suite of that name and returns Ginkgo's own report of it.
func judged(t *testing.T, suite string, flags ...string) types.Report {
	t.Helper()
	file := filepath.Join(t.TempDir(), "report.json")
	command := exec.Command(os.Args[0], append(flags,
		"-test.run=^TestSuiteUnderJudgement$", "-ginkgo.json-report="+file)...)
	command.Env = append(os.Environ(), suiteVariable+"="+suite)
	output, err := command.CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		t.Fatalf("the suite must fail, got %v:\n%s", err, output)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatalf("%v:\n%s", err, output)
	}
	var reports []types.Report
	if err := json.Unmarshal(text, &reports); err != nil || len(reports) != 1 {
		t.Fatalf("%d reports: %v", len(reports), err)
	}
	return reports[0]
}
