// Package fig11 certifies Figure 11, a stack receives a message, and with it Figure 5, by which
// its block 128 decides which listening sockets take part. The stack under test is a target or
// backup; the routing stacks are scripted.
package fig11

import (
	"net/netip"
	"testing"

	"github.com/plexlab-dev/plexlab/conformance/trial"
	"github.com/plexlab-dev/plexlab/harness/impl"
	"github.com/plexlab-dev/plexlab/nodes/contract"
)

func TestFigure11(t *testing.T) { trial.Suite(t, "fig11", impl.Core) }

// A plex is the lab of one family. The stack under test is MVS1.
type plex struct {
	trial.Family
	// self is its XCF address, outside that on network 44 where it is not inside.
	self, outside netip.Addr
	// toSelf makes it a candidate target, toOthers leaves it out.
	toSelf, toOthers contract.Distribution
}

// toAll makes every stack a candidate target.
var toAll = trial.ToAll

// describe describes the same of both families.
func describe(text string, body func(f plex)) bool {
	return trial.DescribeFamilies(text, func(f trial.Family) {
		to := func(n int) contract.Distribution {
			return contract.Distribution{Targets: []contract.Target{{XCF: f.XCF(n), Weight: 1}}}
		}
		body(plex{Family: f, self: f.XCF(1), outside: f.Outside(1), toSelf: to(1), toOthers: to(2)})
	})
}

// owned is the entry of a list by which its sender owns a DVIPA.
func (f plex) owned(dvipa netip.Addr, epoch uint64, d contract.Distribution) contract.DVIPA {
	return contract.DVIPA{
		Prefix: f.OnNetwork44(dvipa), Role: contract.RolePrimary, Owner: true, Epoch: epoch, Distribution: &d,
	}
}

var on, only, at = trial.On, trial.Only, trial.At

// srvstat is what the stack under test says of a service.
func (f plex) srvstat(service netip.AddrPort, listening bool, epoch uint64) contract.SRVSTAT {
	return contract.SRVSTAT{Service: service, XCF: f.self, Listening: listening, Epoch: epoch}
}

var anyIPv4, anyIPv6 = trial.IPv4.Any, trial.IPv6.Any
