package suites

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

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
