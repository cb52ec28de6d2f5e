package trial

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"time"

	"github.com/onsi/ginkgo/v2"
	"github.com/onsi/gomega"
	"golang.org/x/sys/unix"

	"github.com/plexlab-dev/plexlab/harness/lab"
	"github.com/plexlab-dev/plexlab/harness/puppet"
	"github.com/plexlab-dev/plexlab/harness/verdict"
)

// A Program does with its sockets what the spec says (harness/puppet has the orders), and knows
// nothing of the stack that it runs on.
type Program struct {
	// Stack is where it runs.
	Stack   string
	process *lab.Process
	orders  *os.File
	told    *os.File
	answers *bufio.Scanner
	last    string // order
}

// Program starts a program on a node: of a stack through the implementation's launcher under the
// name of an application, or without it where application is empty.
func (t *Trial) Program(node, application string) *Program {
	ginkgo.GinkgoHelper()
	theirs, ours, err := os.Pipe()
	verdict.Engine(err, "make a pipe")
	answers, told, err := os.Pipe()
	verdict.Engine(err, "make a pipe")
	process, err := t.Lab.Start(t.ctx, node, lab.ExecSpec{
		Argv: []string{puppetPath()}, Application: application,
		Stdin: theirs, Stdout: told, Stderr: ginkgoLog,
	})
	theirs.Close()
	told.Close()
	verdict.Engine(err, "start a program on %s", node)
	ginkgo.DeferCleanup(func() {
		ours.Close()
		process.Close()
		answers.Close()
	})
	return &Program{Stack: node, process: process, orders: ours, told: answers, answers: bufio.NewScanner(answers)}
}

// Begin gives an order and does not wait; Answer does.
func (p *Program) Begin(order string) {
	ginkgo.GinkgoHelper()
	p.last = order
	_, err := fmt.Fprintln(p.orders, order)
	verdict.Engine(err, "tell a program of %s: %s", p.Stack, order)
}

// Answer waits until the order that was begun is carried out. An errno is an answer.
func (p *Program) Answer() puppet.Answer {
	ginkgo.GinkgoHelper()
	verdict.Engine(p.told.SetReadDeadline(time.Now().Add(Limit())), "limit the wait for a program")
	if !p.answers.Scan() {
		if errors.Is(p.answers.Err(), os.ErrDeadlineExceeded) {
			verdict.Mismatch(fmt.Sprintf("%q on %s done within %s", p.last, p.Stack, Limit()), "it is not")
		}
		verdict.Engine(fmt.Errorf("it ended: %w", errors.Join(p.answers.Err(), os.ErrClosed)), "wait for a program of %s: %s", p.Stack, p.last)
	}
	var answer puppet.Answer
	verdict.Engine(json.Unmarshal(p.answers.Bytes(), &answer), "read the answer of a program")
	if answer.Problem != "" {
		verdict.Engine(errors.New(answer.Problem), "have a program of %s carry out %q", p.Stack, p.last)
	}
	return answer
}

// Try carries out an order; an errno is an answer.
func (p *Program) Try(order string) puppet.Answer {
	ginkgo.GinkgoHelper()
	p.Begin(order)
	return p.Answer()
}

// Do carries out orders that have to succeed, and returns the last answer.
func (p *Program) Do(orders ...string) (last puppet.Answer) {
	ginkgo.GinkgoHelper()
	for _, order := range orders {
		if last = p.Try(order); last.Errno != 0 {
			verdict.Mismatch(fmt.Sprintf("%q on %s succeeds", order, p.Stack), errnoName(last.Errno))
		}
	}
	return last
}

// Binds makes a socket and binds it, which has to succeed, and returns where it is bound.
func (p *Program) Binds(socket string, at netip.AddrPort, options ...string) netip.AddrPort {
	ginkgo.GinkgoHelper()
	return p.Do(SocketOrder(socket, at, options...), bind(socket, at)).Local
}

// Listens makes a socket, binds it and listens, which has to succeed, and returns where.
func (p *Program) Listens(socket string, at netip.AddrPort, options ...string) netip.AddrPort {
	ginkgo.GinkgoHelper()
	return p.Do(SocketOrder(socket, at, options...), bind(socket, at), "listen "+socket).Local
}

// Connects makes a socket and connects it, which has to succeed, and returns its own end.
func (p *Program) Connects(socket string, to netip.AddrPort, options ...string) netip.AddrPort {
	ginkgo.GinkgoHelper()
	return p.Do(SocketOrder(socket, to, options...), fmt.Sprintf("connect %s %s", socket, to)).Local
}

// Refused makes a socket and expects that binding it answers an errno. The socket is closed then.
func (p *Program) Refused(errno unix.Errno, at netip.AddrPort, options ...string) {
	ginkgo.GinkgoHelper()
	p.Do(SocketOrder("refused", at, options...))
	p.expectRefused(p.Try(bind("refused", at)).Errno, errno, at)
}

// EventuallyRefused is Refused, and EventuallyBound is Binds, where a stack has to ask another one, which a loaded machine may keep
// from answering in time: that makes EAGAIN of a bind, and only that is tried again.
func (p *Program) EventuallyRefused(errno unix.Errno, at netip.AddrPort) {
	ginkgo.GinkgoHelper()
	p.expectRefused(p.decided("refused", at).Errno, errno, at)
}

// EventuallyBound returns where the socket is bound.
func (p *Program) EventuallyBound(socket string, at netip.AddrPort) netip.AddrPort {
	ginkgo.GinkgoHelper()
	answer := p.decided(socket, at)
	gomega.Expect(errnoName(answer.Errno)).To(gomega.Equal(errnoName(0)), "what bind to %s on %s answers", at, p.Stack)
	return answer.Local
}

// decided makes a socket and binds it until the answer is another one than EAGAIN.
func (p *Program) decided(socket string, at netip.AddrPort) (answer puppet.Answer) {
	ginkgo.GinkgoHelper()
	p.Do(SocketOrder(socket, at))
	gomega.Eventually(func() unix.Errno {
		answer = p.Try(bind(socket, at))
		return answer.Errno
	}).ShouldNot(gomega.Equal(unix.EAGAIN), "what bind to %s on %s answers", at, p.Stack)
	return answer
}

func (p *Program) expectRefused(answer, errno unix.Errno, at netip.AddrPort) {
	ginkgo.GinkgoHelper()
	gomega.Expect(errnoName(answer)).To(gomega.Equal(errnoName(errno)), "what bind to %s on %s answers", at, p.Stack)
	p.Do("close refused")
}

// SocketOrder is the order to make a socket, of the IP version of the address that it is for. Options are
// those of a puppet's sockets.
func SocketOrder(name string, address netip.AddrPort, options ...string) string {
	words := append([]string{"socket", name}, options...)
	if address.Addr().Is6() {
		words = append(words, puppet.IPv6)
	}
	return strings.Join(words, " ")
}

func bind(socket string, at netip.AddrPort) string { return fmt.Sprintf("bind %s %s", socket, at) }

// ginkgoLog is where programs write what is not an answer.
var ginkgoLog = os.Stderr

// errnoName is EADDRINUSE, say; "success" for none.
func errnoName(errno unix.Errno) string {
	if errno == 0 {
		return "success"
	}
	return unix.ErrnoName(errno)
}

// Kill ends the program, and its children, at once, and waits until it has ended: the kernel has closed
// its descriptors then.
func (p *Program) Kill() {
	ginkgo.GinkgoHelper()
	verdict.Engine(p.process.Signal(unix.SIGKILL), "kill a program of %s", p.Stack)
	limit, cancel := context.WithTimeout(context.Background(), Limit())
	defer cancel()
	_, err := p.process.Wait(limit)
	verdict.Engine(err, "await the end of a program of %s", p.Stack)
	verdict.Engine(p.process.Close(), "let go of a program of %s", p.Stack)
}
