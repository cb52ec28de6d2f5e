package trial

import (
	"net/netip"

	"github.com/plexlab-dev/plexlab/harness/peer"
	"github.com/plexlab-dev/plexlab/nodes/contract"
)

// ToAll makes every stack a candidate target.
var ToAll = contract.Distribution{All: true}

// To makes stacks candidate targets by their numbers.
func (f Family) To(stacks ...int) contract.Distribution {
	var d contract.Distribution
	for _, n := range stacks {
		d.Targets = append(d.Targets, contract.Target{XCF: f.XCF(n), Weight: 1})
	}
	return d
}

// On enumerates ports.
func On(d contract.Distribution, ports ...contract.PortRange) contract.Distribution {
	d.Ports = ports
	return d
}

// Only is a single port.
func Only(port uint16) contract.PortRange { return contract.PortRange{First: port, Last: port} }

// Owned is the entry of a list by which its sender owns a DVIPA of network 44.
func (f Family) Owned(dvipa netip.Addr, epoch uint64, d contract.Distribution) contract.DVIPA {
	return contract.DVIPA{
		Prefix: f.OnNetwork44(dvipa), Role: contract.RolePrimary, Owner: true, Epoch: epoch, Distribution: &d,
	}
}

// Clustered is Owned with cluster-wide ports.
func (f Family) Clustered(dvipa netip.Addr, epoch uint64, d contract.Distribution) contract.DVIPA {
	owned := f.Owned(dvipa, epoch, d)
	owned.ClusterPorts = true
	return owned
}

// At is an end of a socket.
func At(address netip.Addr, port uint16) netip.AddrPort { return netip.AddrPortFrom(address, port) }

// Said is everything that the stack under test has told a partner, in order.
func (p *Partner) Said() []contract.Message {
	var all []contract.Message
	for _, entry := range p.Messages() {
		all = append(all, entry.Message)
	}
	return all
}

// Shared is what the stack under test says when listening on a distributed port begins or ends,
// and Unique what it says of a unique port, both at epoch 1.
func (u *UnitTrial) Shared(service netip.AddrPort, listening bool) contract.SRVSTAT {
	return contract.SRVSTAT{Service: service, XCF: u.family.XCF(u.self), Listening: listening, Epoch: 1}
}

// Unique is Shared of a unique port.
func (u *UnitTrial) Unique(service netip.AddrPort, listening bool) contract.SRVSTAT {
	m := u.Shared(service, listening)
	m.Unique = true
	return m
}

// Holder matches the message that names the stack under test as the holder of a unique port, whether
// or not a socket listens there yet (I19).
func Holder(service netip.AddrPort) peer.Match {
	return peer.Of("that names the holder of "+service.String(), func(m contract.SRVSTAT) bool {
		return m.Service == service && m.Unique
	})
}

// About matches every message about a service: that listening began or ended there.
func About(service netip.AddrPort) peer.Match {
	return peer.Of("about "+service.String(), func(m contract.SRVSTAT) bool { return m.Service == service })
}
