// Package suites runs the conformance suites against one implementation: test programs that were built
// beforehand, each by ginkgo in several processes.
package suites

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/plexlab-dev/plexlab/harness/environment"
	"github.com/plexlab-dev/plexlab/harness/report"
)

// A Set is the suites of one build, in one directory: NAME.test, the ginkgo that runs them, and the
// version that they are of.
type Set struct {
	// Dir is absolute. It lies in the tree: suites find the fixtures above themselves.
	Dir string
	// Version is that of the sources, as git describes it.
	Version string
	// Names are those of the suites, in order.
	Names []string
}

const (
	ginkgo      = "ginkgo"
	versionFile = "version"
	suffix      = ".test"
)

// Find finds the suites in a directory. The error matches fs.ErrNotExist where they were not built.
func Find(dir string) (*Set, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("find the suites: %w", err)
	}
	version, err := os.ReadFile(filepath.Join(dir, versionFile))
	if err != nil {
		return nil, fmt.Errorf("find the suites: %w", err)
	}
	if _, err := os.Stat(filepath.Join(dir, ginkgo)); err != nil {
		return nil, fmt.Errorf("find the suites: %w", err)
	}
	files, _ := filepath.Glob(filepath.Join(dir, "*"+suffix)) // the pattern is well-formed
	if len(files) == 0 {
		return nil, fmt.Errorf("find the suites: none in %s: %w", dir, fs.ErrNotExist)
	}
	set := &Set{Dir: dir, Version: strings.TrimSpace(string(version))}
	for _, file := range files {
		set.Names = append(set.Names, strings.TrimSuffix(filepath.Base(file), suffix))
	}
	return set, nil
}

// Config is what a run of suites is told. It is told nothing else: settings in the environment of the caller, such as
// PLEXLAB_LIMIT, do not reach it.
type Config struct {
	// Results is the directory of the run, made by report.Prepare; LogFile what the suites print there.
	Results string
	// Program is the plexlab command, Manifest the implementation's; both are absolute paths.
	Program, Manifest string
	// Profiles are the capabilities that the run is about; empty for all that are declared.
	Profiles []string
	// BlackBox leaves traces aside.
	BlackBox bool
	// Focus is a regular expression of the specs to run; empty for all.
	Focus string
	// Seed is that of the order of specs, not 0; Processes how many run a suite side by side, at least 1.
	Seed      int64
	Processes int
	// Progress is told of each spec as it ends; nil for nobody.
	Progress func(report.Progress)
}

// LogFile is where the output of the suites stands in the directory of a run.
const LogFile = "suites.log"

// endLimit bounds the end of a suite that is interrupted: it takes down its laboratories.
const endLimit = time.Minute

// Run runs one suite. Specs that fail are no error: what the suite found out is in its results, and one
// that ended before its time left none. Nothing of it outlives this process, even where that is killed. The error says that it
// could not be started or was interrupted.
func (s *Set) Run(ctx context.Context, name string, c Config) (err error) {
	place, err := os.MkdirTemp("", "plexlab-suite-")
	if err != nil {
		return fmt.Errorf("run suite %s: %w", name, err)
	}
	defer os.RemoveAll(place)
	g, err := newGuard(place)
	if err != nil {
		return fmt.Errorf("run suite %s: %w", name, err)
	}
	defer g.end()
	log, err := os.OpenFile(filepath.Join(c.Results, LogFile), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		return fmt.Errorf("run suite %s: %w", name, err)
	}
	defer log.Close()

	told := filepath.Join(place, "progress")
	args := []string{"run", "--no-color", "--silence-skips", fmt.Sprintf("--procs=%d", c.Processes), fmt.Sprintf("--seed=%d", c.Seed)}
	if c.Focus != "" {
		args = append(args, "--focus="+c.Focus)
	}
	command := exec.CommandContext(ctx, filepath.Join(s.Dir, ginkgo), append(args, filepath.Join(s.Dir, name+suffix))...)
	g.join(command)
	command.Dir = s.Dir
	command.Env = append(environment.Clean(),
		"PLEXLAB="+c.Program, "PLEXLAB_IMPLEMENTATION="+c.Manifest, "PLEXLAB_RESULTS="+c.Results,
		"PLEXLAB_PROFILES="+strings.Join(c.Profiles, ","), "PLEXLAB_EVIDENCE=all", "PLEXLAB_PROGRESS="+told)
	if c.BlackBox {
		command.Env = append(command.Env, "PLEXLAB_BLACK_BOX=1")
	}
	command.Stdout, command.Stderr = log, log
	command.Cancel = g.interrupt
	command.WaitDelay = endLimit
	if err := command.Start(); err != nil {
		return fmt.Errorf("run suite %s: %w", name, err)
	}
	ended := make(chan struct{})
	followed := make(chan struct{})
	go func() {
		defer close(followed)
		follow(told, ended, c.Progress)
	}()
	err = command.Wait()
	close(ended)
	<-followed
	if ctx.Err() != nil {
		return fmt.Errorf("run suite %s: %w", name, context.Cause(ctx))
	}
	if exit := new(exec.ExitError); err != nil && !errors.As(err, &exit) {
		return fmt.Errorf("run suite %s: %w", name, err)
	}
	return nil
}

// lookEvery is how late a person hears of a spec.
const lookEvery = 100 * time.Millisecond

// follow tells of the lines of a file as they come, until ended and all are told.
func follow(path string, ended <-chan struct{}, tell func(report.Progress)) {
	if tell == nil {
		return
	}
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	at := int64(0)
	for last := false; !last; {
		select {
		case <-ended:
			last = true
		case <-look.C:
		}
		at += tellFrom(path, at, tell)
	}
}

// tellFrom tells of the whole lines behind an offset and returns how many bytes they are.
func tellFrom(path string, offset int64, tell func(report.Progress)) (told int64) {
	file, err := os.Open(path)
	if err != nil {
		return 0 // no spec has ended yet
	}
	defer file.Close()
	if _, err := file.Seek(offset, io.SeekStart); err != nil {
		return 0
	}
	lines := bufio.NewReader(file)
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			return told
		}
		told += int64(len(line))
		var p report.Progress
		if json.Unmarshal(line, &p) == nil {
			tell(p)
		}
	}
}
