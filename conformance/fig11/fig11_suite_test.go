// Package fig11 certifies Figure 11, a stack receives a message, and with it Figure 5, by which
// its block 128 decides which listening sockets take part. The stack under test is a target or
// backup; the routing stacks are scripted.
package fig11

import (
	"net/netip"
	"testing"

	"github.com/plexlab-dev/plexlab/conformance/trial"
	"github.com/plexlab-dev/plexlab/nodes/contract"
)

func TestFigure11(t *testing.T) { trial.Suite(t, "fig11") }

// The stack under test is MVS1, at XCF address 10.1.0.1
// and, where it is not inside, 192.168.44.101.
var (
	self    = trial.XCF(1)
	outside = netip.MustParseAddr("192.168.44.101")
)

// toAll and toSelf make the stack under test a candidate target, to others leaves it out.
var (
	toAll    = trial.ToAll
	toSelf   = trial.To(1)
	toOthers = trial.To(2)
)

var on, only, owned, at = trial.On, trial.Only, trial.Owned, trial.At

// srvstat is what the stack under test says of a service.
func srvstat(service netip.AddrPort, listening bool, epoch uint64) contract.SRVSTAT {
	return contract.SRVSTAT{Service: service, XCF: self, Listening: listening, Epoch: epoch}
}

var anyIPv4, anyIPv6 = netip.IPv4Unspecified(), netip.IPv6Unspecified()
