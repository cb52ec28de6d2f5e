// Package probe has the programs that measure from where they run. In the laboratory, one opens
// and closes listeners and one knocks from outside, which tells how long a change of a listening
// socket takes to reach the distributor; another binds. One asks for connections all the time, which
// tells for how long nobody answers, and one talks to an echo on many connections. They are told what to do by lines on
// standard input and answer each with a line of JSON that carries times of CLOCK_MONOTONIC, which all
// namespaces share. Outside it, one locks a byte of a port file, told as claimers are.
package probe

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"

	"github.com/plexlab-dev/plexlab/harness/bench/monotonic"
)

// Answer is what a program says after each command.
type Answer struct {
	// Began and Ended are the times before and after the system call that the command stands
	// for; of a knock, the one that was let in.
	Began int64 `json:"began_ns"`
	Ended int64 `json:"ended_ns"`
	// Took are the nanoseconds of each system call of a command that stands for many.
	Took []int64 `json:"took_ns,omitempty"`
	// Talk is what a Talker has to say in the end.
	Talk *Talk `json:"talk,omitempty"`
	// Error is empty if the command was carried out.
	Error string `json:"error,omitempty"`
}

// serve carries out one command a line until in ends.
func serve(in io.Reader, out io.Writer, command func(line string) (Answer, error)) error {
	answers := json.NewEncoder(out)
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		answer, err := command(lines.Text())
		if err != nil {
			answer.Error = err.Error()
		}
		if err := answers.Encode(answer); err != nil {
			return fmt.Errorf("answer a command: %w", err)
		}
	}
	return lines.Err()
}

// timed runs call and says when.
func timed(call func() error) (Answer, error) {
	began := monotonic.Now()
	err := call()
	return Answer{Began: began, Ended: monotonic.Now()}, err
}
