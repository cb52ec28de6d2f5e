package mutant

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/plexlab-dev/plexlab/harness/environment"
	"github.com/plexlab-dev/plexlab/harness/report"
	"github.com/plexlab-dev/plexlab/harness/verdict"
)

// Limit is the most that a spec waits for one thing while it looks for mutants: stricter than for any
// implementation, so that one that never does it costs a second.
const Limit = time.Second

// specLimit bounds one spec; it states a maximum for each of its waits, so only a kit that hangs comes here.
const specLimit = time.Minute

// Config is what a run of mutants is told.
type Config struct {
	Tree Tree
	// Suites is the directory of the test programs, Program the plexlab command, Out the directory of the run;
	// absolute paths. What an earlier run left of the same mutants is removed.
	Suites, Program, Out string
	// Only is by what the mutants were chosen, empty for all, and Of how many there are; for the summary.
	Only string
	Of   int
	// Jobs is how many mutants are built and tried side by side, at least 1.
	Jobs int
	// Told is told of each mutant as it ends, by one goroutine at a time; nil for nobody.
	Told func(Row)
}

// Run tries mutants, and the specs that are named for them on the reference itself. The error says that
// an edit did not apply or left no program, or that the run was interrupted: what else goes wrong is in
// the rows. The summary that comes with it, if any, has what was decided until then.
func Run(ctx context.Context, c Config, mutants []Mutant) (*Summary, error) {
	begun := time.Now()
	// All edits first: one that does not apply costs nobody a run.
	if err := Applies(os.DirFS(c.Tree.Root), mutants); err != nil {
		return nil, err
	}

	r := run{Config: c, found: make([]trial, len(mutants)), reference: map[string]verdict.Declaration{}}
	jobs := make(chan func() error)
	var workers sync.WaitGroup
	failures := make([]error, c.Jobs)
	for n := range c.Jobs {
		workers.Go(func() {
			for job := range jobs {
				if ctx.Err() == nil {
					failures[n] = errors.Join(failures[n], job())
				}
			}
		})
	}
	for suite, specs := range specsOf(mutants) {
		jobs <- func() error { return r.tryReference(ctx, suite, specs) }
	}
	for i, m := range mutants {
		jobs <- func() (err error) {
			r.found[i], err = r.try(ctx, m)
			return err
		}
	}
	close(jobs)
	workers.Wait()
	// What the reference did not pass beside the builds, on a machine that had other things to do, it
	// may pass by itself; the limit is as strict.
	for suite, specs := range r.unpassed(mutants) {
		if ctx.Err() == nil {
			failures = append(failures, r.tryReference(ctx, suite, specs))
		}
	}
	err := errors.Join(failures...)
	if ctx.Err() != nil {
		err = context.Cause(ctx) // of which the failures are what came of it
	}
	return r.conclude(mutants, time.Since(begun), err), err
}

// run is a Run under way.
type run struct {
	Config
	found []trial // of each mutant

	mu        sync.Mutex
	reference map[string]verdict.Declaration // by suite and spec; of those that ran to their end
}

// trial is what the spec of a mutant found.
type trial struct {
	// ended: the mutant was built, and its spec ran to its end.
	ended   bool
	verdict verdict.Declaration
	seconds float64
}

// specsOf are the specs that are named, by suite.
func specsOf(mutants []Mutant) map[string][]string {
	specs := map[string][]string{}
	for _, m := range mutants {
		if m.Equivalent == "" && !slices.Contains(specs[m.Suite], m.Spec) {
			specs[m.Suite] = append(specs[m.Suite], m.Spec)
		}
	}
	return specs
}

// unpassed are the specs that the reference has not passed, by suite.
func (r *run) unpassed(mutants []Mutant) map[string][]string {
	return specsOf(slices.DeleteFunc(slices.Clone(mutants), func(m Mutant) bool {
		return r.reference[m.Suite+" "+m.Spec].Verdict == verdict.Pass
	}))
}

// referenceDir holds what specs found of the reference, a directory for each suite.
const referenceDir = "reference"

// tryReference runs specs of one suite on the reference as it is.
func (r *run) tryReference(ctx context.Context, suite string, specs []string) error {
	dir := filepath.Join(r.Out, referenceDir, suite)
	found, err := r.specs(ctx, suite, specs, filepath.Join(r.Tree.Root, r.Tree.Manifest), dir)
	if err != nil {
		return fmt.Errorf("try the reference: %w", err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for spec, d := range found {
		r.reference[suite+" "+spec] = d
	}
	return nil
}

// try builds a mutant and runs its spec.
func (r *run) try(ctx context.Context, m Mutant) (trial, error) {
	begun := time.Now()
	dir := filepath.Join(r.Out, m.ID)
	if err := os.RemoveAll(dir); err != nil {
		return trial{}, fmt.Errorf("mutant %s: %w", m.ID, err)
	}
	manifest, err := r.Tree.Build(ctx, m, dir)
	if err != nil {
		return trial{}, err
	}
	// Nobody wants dozens of them; the source stays.
	defer os.Remove(filepath.Join(dir, program))
	var t trial
	if m.Equivalent == "" {
		found, err := r.specs(ctx, m.Suite, []string{m.Spec}, manifest, filepath.Join(dir, "results"))
		if err != nil {
			return trial{}, fmt.Errorf("mutant %s: %w", m.ID, err)
		}
		t.verdict = found[m.Spec]
	}
	t.ended, t.seconds = true, time.Since(begun).Seconds()
	if r.Told != nil {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.Told(row(m, t, verdict.Declaration{Verdict: verdict.Pass}))
	}
	return t, nil
}

// specs runs specs of a suite and returns what each found. What was interrupted has found nothing.
func (r *run) specs(ctx context.Context, suite string, specs []string, manifest, results string) (map[string]verdict.Declaration, error) {
	if err := report.Prepare(results); err != nil {
		return nil, err
	}
	log, err := os.Create(filepath.Join(results, "suite.log"))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	limited, cancel := context.WithTimeout(ctx, time.Duration(len(specs))*specLimit)
	defer cancel()
	command := exec.CommandContext(limited, filepath.Join(r.Suites, suite+".test"),
		"--ginkgo.no-color", "--ginkgo.fail-fast="+fmt.Sprint(len(specs) == 1), "--ginkgo.focus="+focus(suite, specs))
	command.Dir = r.Suites
	command.Env = append(environment.Clean(), "PLEXLAB="+r.Program, "PLEXLAB_IMPLEMENTATION="+manifest,
		"PLEXLAB_RESULTS="+results, "PLEXLAB_LIMIT="+Limit.String())
	command.Stdout, command.Stderr = log, log
	command.Cancel = func() error { return command.Process.Signal(os.Interrupt) }
	command.WaitDelay = specLimit
	if err := command.Run(); errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
		return nil, fmt.Errorf("%w; scripts/suites builds the suites", err)
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	found, _ := report.Read(results, report.Inputs{Suites: []string{suite}})
	return verdictsOf(found, specs), nil
}

// focus is what ginkgo matches with the name of the suite and the texts of a spec.
func focus(suite string, specs []string) string {
	quoted := make([]string, len(specs))
	for i, spec := range specs {
		quoted[i] = regexp.QuoteMeta(spec)
	}
	return fmt.Sprintf("^%s (%s)$", suite, strings.Join(quoted, "|"))
}

// conclude makes the summary of a run that err ended early, if it is not nil.
func (r *run) conclude(mutants []Mutant, took time.Duration, err error) *Summary {
	s := &Summary{Only: r.Only, Of: r.Of, Complete: err == nil, Seconds: took.Seconds()}
	for i, m := range mutants {
		reference, known := r.reference[m.Suite+" "+m.Spec]
		t := r.found[i]
		t.ended = t.ended && (known || m.Equivalent != "")
		s.add(row(m, t, reference))
	}
	return s
}
