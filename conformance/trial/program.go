package trial

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"time"

	"github.com/onsi/ginkgo/v2"
	"golang.org/x/sys/unix"

	"github.com/plexlab-dev/plexlab/harness/bench/probe"
	"github.com/plexlab-dev/plexlab/harness/lab"
	"github.com/plexlab-dev/plexlab/harness/verdict"
)

// Listener is a program with one listening socket, opened and closed as the spec says. It
// accepts nothing: the kernel completes connections by itself.
type Listener struct {
	process *lab.Process
	orders  *os.File
	told    *os.File
	answers *bufio.Scanner
	// listening is the command that opens the socket.
	listening string
	began     time.Time
}

// Began is when the program made the system call of its last order: listen, shutdown or close;
// after Kill, when it was killed.
func (l *Listener) Began() time.Time { return l.began }

// Listen starts a program on a stack, through the implementation's launcher under the name of an
// application, or without it where application is empty, and has it listen. Options are
// "shared" (SO_REUSEPORT) and "v6only".
func (t *Trial) Listen(stack, application string, address netip.AddrPort, options ...string) *Listener {
	ginkgo.GinkgoHelper()
	theirs, ours, err := os.Pipe()
	verdict.Engine(err, "make a pipe")
	answers, told, err := os.Pipe()
	verdict.Engine(err, "make a pipe")
	process, err := t.Lab.Start(t.ctx, stack, lab.ExecSpec{
		Argv: []string{programPath(), "probe", "listener"}, Application: application,
		Stdin: theirs, Stdout: told, Stderr: ginkgoLog,
	})
	theirs.Close()
	told.Close()
	verdict.Engine(err, "start a listener on %s", stack)
	l := &Listener{
		process: process, orders: ours, told: answers, answers: bufio.NewScanner(answers),
		listening: strings.Join(append([]string{"listen", address.String()}, options...), " "),
	}
	ginkgo.DeferCleanup(func() {
		ours.Close()
		process.Close()
		answers.Close()
	})
	l.order(l.listening)
	return l
}

// ginkgoLog is where programs write what is not an answer.
var ginkgoLog = os.Stderr

// order tells the program what to do and waits until it is done.
func (l *Listener) order(command string) {
	ginkgo.GinkgoHelper()
	_, err := fmt.Fprintln(l.orders, command)
	verdict.Engine(err, "tell a listener: %s", command)
	verdict.Engine(l.told.SetReadDeadline(time.Now().Add(Limit)), "limit the wait for a listener")
	if !l.answers.Scan() {
		if errors.Is(l.answers.Err(), os.ErrDeadlineExceeded) {
			verdict.Mismatch(command+" on the stack is done within "+Limit.String(), "it is not")
		}
		verdict.Engine(fmt.Errorf("it ended: %v", l.answers.Err()), "wait for a listener: %s", command)
	}
	var answer probe.Answer
	verdict.Engine(json.Unmarshal(l.answers.Bytes(), &answer), "read the answer of a listener")
	if answer.Error != "" {
		verdict.Mismatch(command+" on the stack succeeds", answer.Error)
	}
	// Both clocks are CLOCK_MONOTONIC, each with an origin of its own.
	l.began = time.Now().Add(-time.Duration(probe.Now() - answer.Began))
}

// Close closes the socket; the program stays.
func (l *Listener) Close() {
	ginkgo.GinkgoHelper()
	l.order("close")
}

// Shutdown ends listening by shutdown(); the socket stays open.
func (l *Listener) Shutdown() {
	ginkgo.GinkgoHelper()
	l.order("shutdown")
}

// Again listens at the same address once more.
func (l *Listener) Again() {
	ginkgo.GinkgoHelper()
	l.order(l.listening)
}

// Kill ends the program at once.
func (l *Listener) Kill() {
	ginkgo.GinkgoHelper()
	l.began = time.Now()
	verdict.Engine(l.process.Signal(unix.SIGKILL), "kill a listener")
}
