package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/plexlab-dev/plexlab/nodes/contract/claimer"
)

// A worker is a process that does jobs as claimers do (nodes/contract/claimer).
type worker struct {
	command *exec.Cmd
	jobs    io.WriteCloser
	answers *json.Decoder
	words   strings.Builder // on its standard error
}

// startWorker starts a process; it is not ready yet.
func startWorker(ctx context.Context, argv ...string) (*worker, error) {
	w := &worker{command: exec.CommandContext(ctx, argv[0], argv[1:]...)}
	jobs, err := w.command.StdinPipe()
	if err != nil {
		return nil, err
	}
	answers, err := w.command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	w.command.Stderr = &w.words
	if err := w.command.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", argv[0], err)
	}
	w.jobs, w.answers = jobs, json.NewDecoder(answers)
	return w, nil
}

// begin gives it a job.
func (w *worker) begin(job claimer.Job) error {
	line, err := json.Marshal(job)
	if err == nil {
		_, err = w.jobs.Write(append(line, '\n'))
	}
	return err
}

// ready waits until it is.
func (w *worker) ready() error {
	_, err := w.answer()
	return err
}

// answer waits for the answer to a job.
func (w *worker) answer() (claimer.Answer, error) {
	var answer claimer.Answer
	if err := w.answers.Decode(&answer); err != nil {
		return answer, fmt.Errorf("hear from %s: %w", w.command.Path, errors.Join(err, w.end()))
	}
	if answer.Error != "" {
		return answer, fmt.Errorf("%s: %s", w.command.Path, answer.Error)
	}
	return answer, nil
}

// end kills the process, whatever it does. It is an error if it has ended by itself, or has failed in
// its job: the error holds what it had to say.
func (w *worker) end() error {
	_ = w.command.Process.Kill() // fails for one that has been waited for
	var last claimer.Answer
	if w.answers.Decode(&last) == nil && last.Error != "" {
		_ = w.command.Wait()
		return fmt.Errorf("%s: %s", w.command.Path, last.Error)
	}
	_ = w.command.Wait() // it was killed, so it fails
	if w.command.ProcessState.Exited() {
		return fmt.Errorf("%s: %v: %s", w.command.Path, w.command.ProcessState, strings.TrimSpace(w.words.String()))
	}
	return nil
}

// workers do things at once.
type workers []*worker

// startWorkers starts so many, of which the first is number 1, and waits until all are ready. It returns
// those that run on an error too.
func startWorkers(n int, start func(i int) (*worker, error)) (workers, error) {
	var all workers
	for i := range n {
		w, err := start(i + 1)
		if err != nil {
			return all, err
		}
		all = append(all, w)
	}
	for _, w := range all {
		if err := w.ready(); err != nil {
			return all, err
		}
	}
	return all, nil
}

func (all workers) end() {
	for _, w := range all {
		_ = w.end()
	}
}

func (all workers) begin(job claimer.Job) error {
	for _, w := range all {
		if err := w.begin(job); err != nil {
			return err
		}
	}
	return nil
}

// do has all of them do a job at once.
func (all workers) do(job claimer.Job) ([]claimer.Answer, error) {
	if err := all.begin(job); err != nil {
		return nil, err
	}
	var answers []claimer.Answer
	for _, w := range all {
		answer, err := w.answer()
		if err != nil {
			return nil, err
		}
		answers = append(answers, answer)
	}
	return answers, nil
}

// rate is the operations a second of a job that all of them do at once, and how often they were
// kept from it.
func (all workers) rate(job claimer.Job) (rate float64, busy int, err error) {
	answers, err := all.do(job)
	for _, answer := range answers {
		if answer.Elapsed <= 0 {
			return 0, 0, errors.New("an answer to a cycle does not say how long it took")
		}
		rate += float64(answer.Operations) / answer.Elapsed.Seconds()
		busy += answer.Busy
	}
	return rate, busy, err
}

// quantileOf returns the q-quantile (0 to 1) of the times that a histogram counts, 0 for none: the
// smallest time that so large a part of them does not exceed.
func quantileOf(h claimer.Histogram, q float64) time.Duration {
	total, passed := 0, 0
	for _, n := range h {
		total += n
	}
	for _, took := range slices.Sorted(maps.Keys(h)) {
		if passed += h[took]; float64(passed) >= q*float64(total) {
			return took
		}
	}
	return 0
}
