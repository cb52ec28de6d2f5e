package suites

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/plexlab-dev/plexlab/harness/report"
	"github.com/plexlab-dev/plexlab/harness/verdict"
)

// set is a directory of suites whose ginkgo is a script.
func set(t *testing.T, script string, names ...string) *Set {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{ginkgo: "#!/bin/sh\n" + script, versionFile: "1.2\n"} {
		must(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o755))
	}
	for _, name := range names {
		must(t, os.WriteFile(filepath.Join(dir, name+suffix), nil, 0o755))
	}
	s, err := Find(dir)
	must(t, err)
	return s
}

func config(t *testing.T) Config {
	return Config{Results: t.TempDir(), Program: "/bin/plexlab", Manifest: "/m.yaml", Seed: 7, Processes: 3}
}

func TestFind(t *testing.T) {
	s := set(t, "", "fig12", "fig05")
	if s.Version != "1.2" || strings.Join(s.Names, " ") != "fig05 fig12" || !filepath.IsAbs(s.Dir) {
		t.Errorf("%+v", s)
	}
	for _, missing := range []string{versionFile, ginkgo, "fig05.test"} {
		s := set(t, "", "fig05")
		must(t, os.Remove(filepath.Join(s.Dir, missing)))
		if _, err := Find(s.Dir); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("without %s: want that something does not exist, got %v", missing, err)
		}
	}
}

func TestASuiteIsToldOfItsRun(t *testing.T) {
	for _, variable := range []string{"PLEXLAB_LIMIT", "PLEXLAB_BLACK_BOX", "PLEXLAB_OTHER", "PLEXLAB_UNKNOWN"} {
		t.Setenv(variable, "inherited")
	}
	s := set(t, `echo "$@" | sed "s,$PWD,HERE,"
env | grep ^PLEXLAB | sort | sed "s,=$PLEXLAB_RESULTS\$,=RESULTS,; s,_PROGRESS=.*,_PROGRESS=FILE,"`, "fig05")
	c := config(t)
	c.Profiles = []string{"core", "ipv6"}
	must(t, s.Run(t.Context(), "fig05", c))
	c.BlackBox, c.Focus = true, "a SYN"
	must(t, s.Run(t.Context(), "fig05", c))
	got, err := os.ReadFile(filepath.Join(c.Results, LogFile))
	must(t, err)
	told := func(focus, blackBox string) string {
		return "run --no-color --silence-skips --procs=3 --seed=7" + focus + " HERE/fig05.test\nPLEXLAB=/bin/plexlab\n" + blackBox +
			"PLEXLAB_EVIDENCE=all\nPLEXLAB_IMPLEMENTATION=/m.yaml\nPLEXLAB_PROFILES=core,ipv6\nPLEXLAB_PROGRESS=FILE\nPLEXLAB_RESULTS=RESULTS\n"
	}
	if diff := cmp.Diff(told("", "")+told(" --focus=a SYN", "PLEXLAB_BLACK_BOX=1\n"), string(got)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestProgressIsTold(t *testing.T) {
	s := set(t, `
echo '{"suite":"fig05","spec":"a","verdict":"PASS"}' >>$PLEXLAB_PROGRESS
echo 'not a line of progress' >>$PLEXLAB_PROGRESS
echo '{"suite":"fig05","spec":"b","verdict":"FAIL"}' >>$PLEXLAB_PROGRESS
exit 1`, "fig05")
	c := config(t)
	var told []report.Progress
	c.Progress = func(p report.Progress) { told = append(told, p) }
	if err := s.Run(t.Context(), "fig05", c); err != nil {
		t.Errorf("specs that fail are no error: %v", err)
	}
	want := []report.Progress{{Suite: "fig05", Spec: "a", Verdict: verdict.Pass}, {Suite: "fig05", Spec: "b", Verdict: verdict.Fail}}
	if diff := cmp.Diff(want, told); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestASuiteIsInterrupted(t *testing.T) {
	s := set(t, `trap 'echo ended; exit 0' INT
echo '{"suite":"fig05","spec":"a","verdict":"PASS"}' >>$PLEXLAB_PROGRESS
while :; do sleep 0.05; done`, "fig05")
	c := config(t)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	c.Progress = func(report.Progress) { cancel() }
	if err := s.Run(ctx, "fig05", c); !errors.Is(err, context.Canceled) {
		t.Errorf("want that it was cancelled, got %v", err)
	}
	log, err := os.ReadFile(filepath.Join(c.Results, LogFile))
	must(t, err)
	if string(log) != "ended\n" {
		t.Errorf("the suite was not let end: %q", log)
	}
}

// TestNothingOutlivesWhoRunsASuite kills a process that runs one. Ginkgo and a child of it, neither of which a signal of the
// keyboard ends, are gone then, and so is what was made for them.
func TestNothingOutlivesWhoRunsASuite(t *testing.T) {
	if dir := os.Getenv(victim); dir != "" {
		s, err := Find(dir)
		must(t, err)
		t.Fatalf("the suite has ended: %v", s.Run(t.Context(), "fig05", Config{Results: dir, Processes: 1}))
	}
	s := set(t, `trap "" INT TERM HUP
sh -c 'echo $$ $PPID; exec sleep 60' &
wait`, "fig05")
	temporary := t.TempDir()
	runs := exec.Command("/proc/self/exe", "-test.run=^"+t.Name()+"$")
	runs.Env = append(os.Environ(), victim+"="+s.Dir, "TMPDIR="+temporary)
	must(t, runs.Start())
	var child, parent int
	await(t, "that the suite runs", func() bool {
		text, _ := os.ReadFile(filepath.Join(s.Dir, LogFile))
		n, _ := fmt.Sscan(string(text), &child, &parent)
		return n == 2
	})
	must(t, runs.Process.Kill())
	if err := runs.Wait(); err == nil {
		t.Error("it was not killed")
	}
	await(t, "the end of ginkgo and of its child", func() bool {
		return errors.Is(unix.Kill(child, 0), unix.ESRCH) && errors.Is(unix.Kill(parent, 0), unix.ESRCH)
	})
	await(t, "that no file is left", func() bool {
		left, err := os.ReadDir(temporary)
		return err == nil && len(left) == 0
	})
}

// victim makes this test program the one that is killed; its value is the directory of the suites.
const victim = "SUITES_VICTIM"

// await waits until something is so.
func await(t *testing.T, what string, so func() bool) {
	t.Helper()
	deadline := time.After(5 * time.Second)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !so() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("%s: not within 5 s", what)
		}
	}
}

func TestASuiteThatCannotBeStarted(t *testing.T) {
	s := set(t, "", "fig05")
	must(t, os.Chmod(filepath.Join(s.Dir, ginkgo), 0o644))
	if err := s.Run(t.Context(), "fig05", config(t)); err == nil || !strings.Contains(err.Error(), "run suite fig05") {
		t.Errorf("got %v", err)
	}
	c := config(t)
	c.Results = filepath.Join(c.Results, "none")
	if err := set(t, "", "fig05").Run(t.Context(), "fig05", c); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without a directory of results: %v", err)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
