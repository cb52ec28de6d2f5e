package trial

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/onsi/ginkgo/v2"
	"github.com/onsi/ginkgo/v2/types"

	"github.com/plexlab-dev/plexlab/harness/lab"
	"github.com/plexlab-dev/plexlab/harness/report"
	"github.com/plexlab-dev/plexlab/harness/verdict"
)

// inside says to a process of this test that it is the one that runs the spec.
const inside = "PLEXLAB_TRIAL_INSIDE"

// What a stack does is its own, and what the kit and the machine do is not.
func TestStacksThatDoNotComeUp(t *testing.T) {
	if os.Getenv(inside) != "" {
		ginkgo.It("starts", func() { IPv4.Unit(UnitConfig{}) })
		Suite(t, "start")
		return
	}
	programs := t.TempDir()
	if output, err := exec.Command("go", "build", "-o", programs, "../../harness/lab/supervisor").CombinedOutput(); err != nil {
		t.Fatalf("build the supervisor: %v\n%s", err, output)
	}
	for _, c := range []struct {
		name, start string
		want        verdict.Declaration
		reason      string // in the text, where that names a path
	}{
		{
			"ends", "[sh, -c, echo out of order; exit 3]",
			verdict.Declaration{
				Verdict: verdict.Fail, Expected: "MVS1 ready within 300ms",
				Actual: "stack MVS1 ended: exit status 3; the end of its log:\nout of order",
			}, "out of order",
		},
		{
			"is never ready", "[sleep, '60']",
			verdict.Declaration{
				Verdict: verdict.Fail, Expected: "MVS1 ready within 300ms",
				Actual: "stack MVS1 is not ready after 300ms (it has not answered GET /v1/ready): connection timed out; its log is empty",
			}, "not ready after 300ms",
		},
		{
			"is not there", "[/no/such/program]",
			verdict.Declaration{Verdict: verdict.EngineError}, "/no/such/program",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			manifest := filepath.Join(dir, "manifest.yaml")
			text := "name: broken\nversion: '1'\nstart: " + c.start + "\nlaunch: ['true']\nready_timeout: 300ms\ncapabilities: [core]\n"
			if err := os.WriteFile(manifest, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
			results := filepath.Join(dir, "report.json")
			command := exec.Command(os.Args[0], "-test.run=^TestStacksThatDoNotComeUp$", "-ginkgo.json-report="+results)
			command.Env = append(os.Environ(), inside+"=yes", "PLEXLAB="+filepath.Join(programs, "plexlab"),
				"PLEXLAB_IMPLEMENTATION="+manifest, "PLEXLAB_RESULTS="+filepath.Join(dir, "results"))
			output, err := command.CombinedOutput()
			if exit := (*exec.ExitError)(nil); !errors.As(err, &exit) {
				t.Fatalf("the suite must fail, got %v:\n%s", err, output)
			}
			spec := onlySpec(t, results)
			got, err := verdict.Of(spec)
			if err != nil {
				t.Fatal(err)
			}
			ended := slices.ContainsFunc(spec.ReportEntries, func(e types.ReportEntry) bool { return e.Name == report.EndedEntry })
			if ended != (c.want.Verdict == verdict.Fail) {
				t.Errorf("%s: told of a stack that ended: %t", got.Verdict, ended)
			}
			if got.Verdict != c.want.Verdict || !strings.Contains(got.Reason, c.reason) {
				t.Errorf("got %s: %s\nwant %s with %q", got.Verdict, got.Reason, c.want.Verdict, c.reason)
			}
			if diff := cmp.Diff(c.want, got, cmpopts.IgnoreFields(got, "Reason")); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestStacksThatEndByThemselves(t *testing.T) {
	node := func(name string, state lab.State, reason string) lab.StatusNode {
		return lab.StatusNode{Name: name, State: state, Reason: reason}
	}
	got := endedByThemselves(&lab.Status{Nodes: []lab.StatusNode{
		node("MVS1", lab.StateRunning, ""), node("MVS2", lab.StateFailed, "exit status 3"),
		node("MVS3", lab.StateFailed, "killed by signal 9 (SIGKILL)"), node("MVS4", lab.StateFailed, "killed by signal 11 (SIGSEGV)"),
	}})
	want := []string{"stack MVS2 ended: exit status 3", "stack MVS4 ended: killed by signal 11 (SIGSEGV)"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// onlySpec is that of a suite.
func onlySpec(t *testing.T, results string) types.SpecReport {
	t.Helper()
	text, err := os.ReadFile(results)
	if err != nil {
		t.Fatal(err)
	}
	var reports []types.Report
	if err := json.Unmarshal(text, &reports); err != nil {
		t.Fatal(err)
	}
	for _, spec := range reports[0].SpecReports {
		if spec.LeafNodeType == types.NodeTypeIt {
			return spec
		}
	}
	t.Fatal("no spec ran")
	return types.SpecReport{}
}
