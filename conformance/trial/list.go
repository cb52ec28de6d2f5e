package trial

import (
	"net/netip"

	"github.com/plexlab-dev/plexlab/nodes/contract"
)

// ToAll makes every stack a candidate target.
var ToAll = contract.Distribution{All: true}

// To makes stacks candidate targets by their numbers.
func To(stacks ...int) contract.Distribution {
	var d contract.Distribution
	for _, n := range stacks {
		d.Targets = append(d.Targets, contract.Target{XCF: XCF(n), Weight: 1})
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
func Owned(dvipa netip.Addr, epoch uint64, d contract.Distribution) contract.DVIPA {
	return contract.DVIPA{
		Prefix: netip.PrefixFrom(dvipa, 24), Role: contract.RolePrimary, Owner: true, Epoch: epoch, Distribution: &d,
	}
}

// Clustered is Owned with cluster-wide ports.
func Clustered(dvipa netip.Addr, epoch uint64, d contract.Distribution) contract.DVIPA {
	owned := Owned(dvipa, epoch, d)
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
