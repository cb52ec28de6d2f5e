package trial

import (
	"fmt"
	"net/netip"

	"github.com/onsi/ginkgo/v2"
	"github.com/onsi/gomega"
	"golang.org/x/sys/unix"

	"github.com/plexlab-dev/plexlab/harness/verdict"
)

// EventuallyConnects connects a program until it is let in: the routing stack has entered the
// port. Meanwhile it may be refused.
func (t *Trial) EventuallyConnects(p *Program, socket string, to netip.AddrPort) {
	ginkgo.GinkgoHelper()
	gomega.Eventually(func() unix.Errno {
		p.Do(SocketOrder(socket, to))
		answer := p.Try("connect " + socket + " " + to.String())
		if answer.Errno != 0 {
			p.Do("close " + socket)
		}
		return answer.Errno
	}).Should(gomega.BeZero(), "connect to %s from %s", to, p.Stack)
}

// EventuallyBinds binds a socket again and again until that succeeds: a port is given back a moment
// after its socket has gone.
func (t *Trial) EventuallyBinds(p *Program, socket string, to netip.AddrPort) netip.AddrPort {
	ginkgo.GinkgoHelper()
	p.Do(SocketOrder(socket, to))
	var bound netip.AddrPort
	gomega.Eventually(func() string {
		answer := p.Try(bind(socket, to))
		bound = answer.Local
		return errnoName(answer.Errno)
	}).Should(gomega.Equal(errnoName(0)), "bind to %s on %s", to, p.Stack)
	return bound
}

// SetEphemeralPorts sets the range that the kernel of a stack chooses ports from.
func (t *Trial) SetEphemeralPorts(stack string, first, last uint16) {
	ginkgo.GinkgoHelper()
	set := fmt.Sprintf("echo %d %d > /proc/sys/net/ipv4/ip_local_port_range", first, last)
	_, err := t.output(t.Soon(), stack, []string{"sh", "-c", set})
	verdict.Engine(err, "set the ephemeral ports of %s", stack)
}
