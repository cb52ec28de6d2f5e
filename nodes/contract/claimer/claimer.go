// Package claimer is the conversation with a claimer: a program that takes and gives back ports of
// DVIPAs in the port file as one stack of a plex, without network, laboratory or applications. It is
// what a measurement of the port file starts, one for each stack, and may kill.
//
// A claimer joins the port file, says so by an empty Answer, and then carries out one Job after
// the other: jobs are lines of JSON on standard input, answers lines of JSON on standard output.
// It ends with its input.
package claimer

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"net/netip"
	"time"
)

// Work is what there is to do.
type Work string

const (
	// Cycle: for the time of the job, take one port of the pool as unique and give it back, over
	// and over. Each of the two is an operation.
	Cycle Work = "cycle"
	// Hold: take ports of the pool as unique until there is none, and keep them.
	Hold Work = "hold"
	// Release: give back what was held, one port at a time.
	Release Work = "release"
	// Churn: over and over until killed, take ports of the pool as unique and give them back, so as to
	// be inside updates of the entry nearly all the time. So several ports are given back, and marked as in use
	// once more, under one lock; nobody else takes ports of the DVIPA. There is no answer unless
	// it fails.
	Churn Work = "churn"
)

// A Job is one thing to do.
type Job struct {
	Do    Work       `json:"do"`
	DVIPA netip.Addr `json:"dvipa"`
	// For is how long a cycle goes on.
	For time.Duration `json:"for_ns,omitempty"`
	// Timed: tell how long each claim of a cycle took, from the call until the port is the stack's.
	Timed bool `json:"timed,omitempty"`
}

// An Answer follows each job.
type Answer struct {
	// Operations and Elapsed are those of a cycle.
	Operations int           `json:"operations,omitempty"`
	Elapsed    time.Duration `json:"elapsed_ns,omitempty"`
	Took       Histogram     `json:"took_ns,omitempty"`
	// Busy is how often in a cycle an application would have got EAGAIN, because others had the lock
	// of the entry for too long. It is tried again, which is no operation of its own.
	Busy int `json:"busy,omitempty"`
	// Ports are those that are held.
	Ports []uint16 `json:"ports,omitempty"`
	// Error is empty if the job was carried out.
	Error string `json:"error,omitempty"`
}

// Serve carries out jobs until in ends.
func Serve(in io.Reader, out io.Writer, work func(Job) (Answer, error)) error {
	jobs, answers := json.NewDecoder(in), json.NewEncoder(out)
	for answer := (Answer{}); ; {
		if err := answers.Encode(answer); err != nil {
			return fmt.Errorf("answer a job: %w", err)
		}
		var job Job
		if err := jobs.Decode(&job); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("read a job: %w", err)
		}
		var err error
		if answer, err = work(job); err != nil {
			answer.Error = err.Error()
		}
	}
}

// Repeat repeats something for a time, and answers with so many operations for each repetition.
func Repeat(length time.Duration, operations int, once func() error) (answer Answer, err error) {
	begun := time.Now()
	for answer.Elapsed < length {
		if err := once(); err != nil {
			return answer, err
		}
		answer.Operations += operations
		answer.Elapsed = time.Since(begun)
	}
	return answer, nil
}

// A Histogram counts times: its keys are nanoseconds, rounded down to their first six binary
// digits, which is by 3 % at most.
type Histogram map[time.Duration]int

// Add counts a time.
func (h Histogram) Add(took time.Duration) {
	drop := max(0, bits.Len64(uint64(took))-6)
	h[took>>drop<<drop]++
}
