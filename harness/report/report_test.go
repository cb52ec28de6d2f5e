package report

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
)

func TestThePathsThatOthersRead(t *testing.T) {
	dir := run(t)
	must(t, WriteSuite(dir, "fig12", suite(passing()...)))
	must(t, AddCoverage(dir, "fig12", everyEdge))
	var terminal strings.Builder
	_, err := Write(dir, Inputs{SuiteCommit: "0123456789ab", Kernel: "6.18.0"}, &terminal)
	must(t, err)

	var r struct {
		SuiteCommit  string `json:"suite_commit"`
		Kernel       string `json:"kernel"`
		Requirements map[string]struct {
			Verdict string `json:"verdict"`
		} `json:"requirements"`
		Coverage map[string]struct {
			Edges struct {
				Covered int `json:"covered"`
				Total   int `json:"total"`
			} `json:"edges"`
		} `json:"coverage"`
	}
	must(t, json.Unmarshal([]byte(read(t, dir, reportFile)), &r))
	if r.SuiteCommit != "0123456789ab" || r.Kernel != "6.18.0" {
		t.Errorf("commit %q, kernel %q", r.SuiteCommit, r.Kernel)
	}
	for id, want := range map[string]string{
		"fig12/142-no->152": "PASS", "fig12/142": "PASS", "T4": "PASS", "fig14/180": "", "T36": "",
	} {
		if got := r.Requirements[id].Verdict; got != want {
			t.Errorf("requirements %s: want %q, got %q", id, want, got)
		}
	}
	if e := r.Coverage["fig12"].Edges; e.Covered != 3 || e.Total != 3 {
		t.Errorf("coverage.fig12.edges: %+v", e)
	}
	if e := r.Coverage["fig14"].Edges; e.Covered != 0 || e.Total != 1 {
		t.Errorf("coverage.fig14.edges: %+v", e)
	}
	if !regexp.MustCompile(`(?m)^2 passed, 0 failed, 0 skipped\n\z`).MatchString(terminal.String()) {
		t.Errorf("the last line must hold the numbers and nothing else:\n%s", terminal.String())
	}
}

func TestPrepareRemovesWhatAnEarlierRunLeft(t *testing.T) {
	dir := run(t)
	must(t, WriteSuite(dir, "fig12", suite(passing()...)))
	must(t, AddCoverage(dir, "fig12", everyEdge))
	_, err := Write(dir, Inputs{}, io.Discard)
	must(t, err)
	writeText(t, "mine", dir, "notes.txt")
	must(t, Prepare(dir))
	if outcome, err := Write(dir, Inputs{}, io.Discard); err != nil || outcome != NothingRun {
		t.Errorf("want NOTHING_RUN, got %+v, %v", outcome, err)
	}
	if read(t, dir, "notes.txt") != "mine" {
		t.Error("other files must stay")
	}
}

func TestCoverageOfManyProcessesAddsUp(t *testing.T) {
	dir := run(t)
	must(t, WriteSuite(dir, "fig12", suite(passing()...)))
	const processes = 16
	var all sync.WaitGroup
	for range processes {
		all.Go(func() {
			if err := AddCoverage(dir, "fig12", map[string]uint64{"fig12/142-no->152": 2}); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	_, err := Write(dir, Inputs{}, io.Discard)
	must(t, err)
	var r Report
	must(t, json.Unmarshal([]byte(read(t, dir, reportFile)), &r))
	if got := r.Coverage["fig12"].Passed["fig12/142-no->152"]; got != 2*processes {
		t.Errorf("want %d, got %d", 2*processes, got)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, coverageDir, "*.part")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestNamesThatLeadElsewhereAreRefused(t *testing.T) {
	dir := run(t)
	for _, name := range []string{"", "../fig12", "a/b", ".hidden", "fig 12"} {
		if err := WriteSuite(dir, name, suite()); err == nil {
			t.Errorf("suite %q: want an error", name)
		}
		if err := AddCoverage(dir, name, nil); err == nil {
			t.Errorf("coverage of suite %q: want an error", name)
		}
	}
}

type brokenTerminal struct{}

func (brokenTerminal) Write([]byte) (int, error) { return 0, os.ErrClosed }

func TestAReportThatCannotBeWrittenIsNoPass(t *testing.T) {
	for name, arrange := range map[string]func(dir string){
		"report.json": func(dir string) { must(t, os.MkdirAll(filepath.Join(dir, reportFile, "in the way"), 0o755)) },
		"junit.xml":   func(dir string) { must(t, os.MkdirAll(filepath.Join(dir, junitFile, "in the way"), 0o755)) },
		"terminal":    nil,
	} {
		dir := run(t)
		must(t, WriteSuite(dir, "fig12", suite(passing()...)))
		terminal := io.Writer(brokenTerminal{})
		if arrange != nil {
			arrange(dir)
			terminal = io.Discard
		}
		outcome, err := Write(dir, Inputs{}, terminal)
		if err == nil || outcome != EngineError {
			t.Errorf("%s: want ENGINE_ERROR, got %+v, %v", name, outcome, err)
		}
		if arrange == nil && !errors.Is(err, os.ErrClosed) {
			t.Errorf("%s: want the error of the terminal, got %v", name, err)
		}
		if left, _ := filepath.Glob(filepath.Join(dir, ".*")); len(left) > 0 {
			t.Errorf("%s: left behind: %v", name, left)
		}
	}
}

func TestExitCodesAreDistinct(t *testing.T) {
	seen := map[int]string{}
	for _, outcome := range []Outcome{
		Passed, Failed, EngineError, Vacuous, NothingRun, Unimplemented, Incomplete, Uncovered,
	} {
		if other, ok := seen[outcome.Code]; ok {
			t.Errorf("%s and %s have one code", outcome.Name, other)
		}
		if (outcome.Code == 0) != (outcome == Passed) || outcome.Code > 125 || outcome.Code > 1 && outcome.Code < 10 {
			t.Errorf("%s: code %d", outcome.Name, outcome.Code)
		}
		seen[outcome.Code] = outcome.Name
	}
}
