package trial

import (
	"net/netip"
	"time"

	"github.com/onsi/ginkgo/v2"

	"github.com/plexlab-dev/plexlab/harness/bench/monotonic"
	"github.com/plexlab-dev/plexlab/harness/puppet"
)

// Listener is a program with one listening socket, opened and closed as the spec says. It
// accepts nothing: the kernel completes connections by itself.
type Listener struct {
	program *Program
	address netip.AddrPort
	options []string
	began   time.Time
}

// Began is when the program made the system call of its last order: listen, shutdown or close;
// after Kill, when it was killed.
func (l *Listener) Began() time.Time { return l.began }

// Listen starts a program on a stack, through the implementation's launcher under the name of an
// application, or without it where application is empty, and has it listen. Options are those of
// a puppet's sockets.
func (t *Trial) Listen(stack, application string, address netip.AddrPort, options ...string) *Listener {
	ginkgo.GinkgoHelper()
	// Connections of before may have left remnants.
	options = append(options, puppet.Reuse)
	l := &Listener{program: t.Program(stack, application), address: address, options: options}
	l.Again()
	return l
}

// order has the program make a system call on its socket.
func (l *Listener) order(verb string) {
	ginkgo.GinkgoHelper()
	answer := l.program.Do(verb + " l")
	// Both clocks are CLOCK_MONOTONIC, each with an origin of its own.
	l.began = time.Now().Add(-time.Duration(monotonic.Now() - answer.Began))
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

// Again listens at the same address once more, with another socket.
func (l *Listener) Again() {
	ginkgo.GinkgoHelper()
	l.program.Binds("l", l.address, l.options...)
	l.order("listen")
}

// Kill ends the program at once.
func (l *Listener) Kill() {
	ginkgo.GinkgoHelper()
	l.began = time.Now()
	l.program.Kill()
}
