// Package puppet is a program that does with TCP sockets what it is told, one system call after
// the other, as any program may: it knows nothing of stacks, launchers or clusters. It is told by
// lines on standard input, and answers each with a line of JSON.
package puppet

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/plexlab-dev/plexlab/harness/bench/monotonic"
)

// Answer is what a program says after each order.
type Answer struct {
	// Began and Ended are the times before and after the system call, of CLOCK_MONOTONIC, in ns.
	Began int64 `json:"began_ns"`
	Ended int64 `json:"ended_ns"`
	// Errno is what the system call answered; 0: it succeeded.
	Errno unix.Errno `json:"errno,omitempty"`
	// Local is the socket's own end after bind, listen and connect; the zero value where it has none.
	Local netip.AddrPort `json:"local"`
	// Text is what receive received.
	Text string `json:"text,omitempty"`
	// Problem says why an order could not be carried out at all; else it is empty.
	Problem string `json:"problem,omitempty"`
}

// Options of socket.
const (
	Shared      = "shared"      // SO_REUSEPORT
	Reuse       = "reuse"       // SO_REUSEADDR
	Nonblocking = "nonblocking" // connect does not wait
	Abortive    = "abortive"    // close by RST: SO_LINGER of 0 s
	IPv6        = "ipv6"        // of IPv6, which takes IPv4 too where it is bound to no address
	V6Only      = "v6only"      // IPV6_V6ONLY: it does not
)

// Program is the state of one puppet.
type Program struct {
	config   Config
	sockets  map[string]int
	children map[string]*child
}

// Config is how a puppet was started.
type Config struct {
	// Inherited are the names of the sockets that a child was started with, one for each descriptor
	// from 4 on; descriptor 3 is the channel to its parent. Nil: the program is no child.
	Inherited []string
	// Child is the command line by which this program becomes a child with such descriptors.
	Child func(inherited []string) []string
}

// Run carries out orders until in ends. Each is one line; sockets and children have names that the
// orders give them:
//
//	socket S [OPTION...]   makes a socket
//	bind S ADDRESS:PORT
//	listen S
//	connect S ADDRESS:PORT
//	fastopen S ADDRESS:PORT  connects by sending (MSG_FASTOPEN)
//	accept S AS            takes a connection of a listening socket
//	send S WORD
//	receive S              what has come, once something has
//	dup S AS               a second descriptor of the same socket
//	shutdown S             both ways
//	close S
//	fork C                 starts a child that has every socket of this program, by its name
//	in C ORDER...          has a child carry out an order
//	pass S C               hands a copy of a socket to a child, which has it by the same name
//	kill C                 ends a child by SIGKILL
//	wait DURATION          does nothing for so long, as time.ParseDuration has it
//
// Children end with the program.
func Run(in io.Reader, out io.Writer, config Config) error {
	p := &Program{config: config, sockets: map[string]int{}, children: map[string]*child{}}
	for i, name := range config.Inherited {
		p.sockets[name] = channel + 1 + i
	}
	for fd := channel; fd <= channel+len(config.Inherited) && config.Inherited != nil; fd++ {
		unix.CloseOnExec(fd)
	}
	defer p.endChildren()
	answers := json.NewEncoder(out)
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		if err := answers.Encode(p.carryOut(lines.Text())); err != nil {
			return fmt.Errorf("answer %q: %w", lines.Text(), err)
		}
	}
	return lines.Err()
}

// carryOut is an order from line to answer.
func (p *Program) carryOut(line string) Answer {
	words := strings.Fields(line)
	if len(words) < 2 {
		return problem(fmt.Errorf("order %q is too short", line))
	}
	verb, name, operands := words[0], words[1], words[2:]
	switch verb {
	case "fork":
		return p.fork(name)
	case "in":
		return p.tell(name, strings.Join(operands, " "))
	case "kill":
		return p.kill(name)
	case "take": // of a child, told by its parent
		return p.take(name)
	case "wait":
		return wait(name)
	}
	return p.onSocket(verb, name, operands)
}

// wait is by a timer of the kernel: those of the Go runtime round up to 1 ms.
func wait(duration string) Answer {
	d, err := time.ParseDuration(duration)
	if err != nil {
		return problem(fmt.Errorf("wait: %w", err))
	}
	return timed(func() error {
		if d <= 0 { // which would disarm the timer
			return nil
		}
		fd, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC)
		if err != nil {
			return err
		}
		timer := os.NewFile(uintptr(fd), "timer")
		defer timer.Close()
		if err := unix.TimerfdSettime(fd, 0, &unix.ItimerSpec{Value: unix.NsecToTimespec(d.Nanoseconds())}, nil); err != nil {
			return err
		}
		_, err = timer.Read(make([]byte, 8))
		return err
	})
}

// timed makes a system call and says when, and what it answered.
func timed(call func() error) Answer {
	answer := Answer{Began: monotonic.Now()}
	err := call()
	answer.Ended = monotonic.Now()
	if err != nil && !errors.As(err, &answer.Errno) {
		answer.Problem = err.Error()
	}
	return answer
}

func problem(err error) Answer { return Answer{Problem: err.Error()} }
