package claimrate

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"time"
)

// Rates are operations per second of all contenders together.
type Rates struct {
	// Claims counts claims and releases, Bare pairs of a lock and its unlock.
	Claims, Bare float64
	// P50 and P99 are percentiles of the time that a claim takes with its commit: the median
	// and the greatest among the contenders.
	P50, P99 time.Duration
}

// Ratio is what the port file makes of its locks.
func (r Rates) Ratio() float64 { return r.Claims / r.Bare }

// Measure has so many contenders claim and lock in turns of the length given, for rounds of both.
// Each contender is a process that the command starts; the path of the port file and the number
// of the contender, from 1, are appended to it, and it calls Work.
func Measure(command []string, path string, contenders, rounds int, turn time.Duration) (Rates, error) {
	workers, err := start(command, path, contenders)
	defer workers.end()
	if err != nil {
		return Rates{}, err
	}
	var r Rates
	for range rounds {
		for _, kind := range []Kind{Claims, Bare} {
			answers, err := workers.do(kind, turn)
			if err != nil {
				return Rates{}, err
			}
			operations := 0
			for _, d := range answers {
				operations += d.Operations
				r.P99, r.P50 = max(r.P99, d.P99), max(r.P50, d.P50)
			}
			rate := float64(operations) / turn.Seconds() / float64(rounds)
			if kind == Claims {
				r.Claims += rate
			} else {
				r.Bare += rate
			}
		}
	}
	return r, nil
}

// MeasureKills has contenders claim for the time given, while another one that claims as well is
// killed each second, and returns the percentiles of a claim of the others.
func MeasureKills(command []string, path string, contenders int, length time.Duration) (Rates, error) {
	workers, err := start(command, path, contenders-1)
	defer workers.end()
	if err != nil {
		return Rates{}, err
	}
	result := make(chan error, 1)
	var answers []done
	go func() {
		var err error
		answers, err = workers.do(Claims, length)
		result <- err
	}()
	kill := time.NewTimer(0)
	defer kill.Stop()
	for {
		victim, err := start1(command, path, contenders)
		if err != nil {
			return Rates{}, err
		}
		err = victim.begin(job{Claims, now() + length})
		kill.Reset(time.Second)
		select {
		case <-kill.C:
			victim.end()
		case err := <-result:
			victim.end()
			var r Rates
			for _, d := range answers {
				r.Claims += float64(d.Operations) / length.Seconds()
				r.P99, r.P50 = max(r.P99, d.P99), max(r.P50, d.P50)
			}
			return r, err
		}
		if err != nil {
			return Rates{}, err
		}
	}
}

type worker struct {
	cmd    *exec.Cmd
	input  io.WriteCloser
	output *bufio.Scanner
}

type workers []*worker

func start(command []string, path string, n int) (workers, error) {
	var all workers
	for i := range n {
		w, err := start1(command, path, i+1)
		if err != nil {
			return all, err
		}
		all = append(all, w)
	}
	return all, nil
}

func start1(command []string, path string, n int) (*worker, error) {
	cmd := exec.Command(command[0], append(command[1:len(command):len(command)], path, strconv.Itoa(n))...)
	cmd.Stderr = os.Stderr
	input, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	output, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start a contender: %w", err)
	}
	w := &worker{cmd, input, bufio.NewScanner(output)}
	if _, err := w.answer(); err != nil {
		w.end()
		return nil, err
	}
	return w, nil
}

func (w *worker) begin(j job) error {
	line, err := json.Marshal(j)
	if err == nil {
		_, err = w.input.Write(append(line, '\n'))
	}
	return err
}

func (w *worker) answer() (done, error) {
	if !w.output.Scan() {
		return done{}, errors.Join(errors.New("a contender ended"), w.output.Err())
	}
	var d done
	if err := json.Unmarshal(w.output.Bytes(), &d); err != nil {
		return done{}, fmt.Errorf("a contender answered %q: %w", w.output.Text(), err)
	}
	if d.Error != "" {
		return done{}, errors.New(d.Error)
	}
	return d, nil
}

// end kills the process, by whatever it is stopped.
func (w *worker) end() {
	_ = w.cmd.Process.Kill()
	_ = w.cmd.Wait()
}

func (all workers) end() {
	for _, w := range all {
		w.end()
	}
}

// do has all workers do one thing at once for a time.
func (all workers) do(kind Kind, length time.Duration) ([]done, error) {
	until := now() + length
	for _, w := range all {
		if err := w.begin(job{kind, until}); err != nil {
			return nil, err
		}
	}
	var answers []done
	for _, w := range all {
		d, err := w.answer()
		if err != nil {
			return nil, err
		}
		answers = append(answers, d)
	}
	return answers, nil
}
