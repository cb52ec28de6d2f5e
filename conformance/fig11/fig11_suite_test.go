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
	toAll    = contract.Distribution{All: true}
	toSelf   = contract.Distribution{Targets: []contract.Target{{XCF: self, Weight: 1}}}
	toOthers = contract.Distribution{Targets: []contract.Target{{XCF: trial.XCF(2), Weight: 1}}}
)

// on enumerates ports.
func on(d contract.Distribution, ports ...contract.PortRange) contract.Distribution {
	d.Ports = ports
	return d
}

// only is a single port.
func only(port uint16) contract.PortRange { return contract.PortRange{First: port, Last: port} }

// owned is the entry of a list by which its sender owns a DVIPA.
func owned(dvipa netip.Addr, epoch uint64, d contract.Distribution) contract.DVIPA {
	return contract.DVIPA{
		Prefix: netip.PrefixFrom(dvipa, 24), Role: contract.RolePrimary, Owner: true, Epoch: epoch, Distribution: &d,
	}
}

// at is an end of a socket.
func at(address netip.Addr, port uint16) netip.AddrPort { return netip.AddrPortFrom(address, port) }

// srvstat is what the stack under test says of a service.
func srvstat(service netip.AddrPort, listening bool, epoch uint64) contract.SRVSTAT {
	return contract.SRVSTAT{Service: service, XCF: self, Listening: listening, Epoch: epoch}
}

var anyIPv4, anyIPv6 = netip.IPv4Unspecified(), netip.IPv6Unspecified()

// said is everything that the stack under test has told a partner.
func said(p *trial.Partner) []contract.Message {
	var all []contract.Message
	for _, entry := range p.Messages() {
		all = append(all, entry.Message)
	}
	return all
}
