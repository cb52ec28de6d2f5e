package vipa

import (
	"net/netip"
	"slices"

	"github.com/plexlab-dev/plexlab/nodes/contract"
)

// ConnectionsPerMessage is how many connections one NEWCONN or TERMCONN holds at most; more
// go into further messages. It keeps a message, and the batch of table changes that it leads
// to, small.
const ConnectionsPerMessage = 1000

// connectionsHeld tells the owner of each DVIPA of connections that this stack holds (T31).
func (s *Stack) connectionsHeld(connections []contract.Connection) {
	groups := byDVIPA(connections)
	for _, address := range sortedAddresses(groups) {
		d := s.dvipas[address]
		if d == nil {
			continue
		}
		if d.lingers() {
			for _, c := range groups[address] {
				d.held[c] = struct{}{}
			}
		}
		s.block133(d, groups[address])
	}
}

// connectionsEnded tells the owner of each DVIPA that this stack holds nothing of these
// connections any more, and gives up an address that stayed for the last of them (I16).
func (s *Stack) connectionsEnded(connections []contract.Connection) {
	groups := byDVIPA(connections)
	for _, address := range sortedAddresses(groups) {
		d := s.dvipas[address]
		if d == nil {
			continue
		}
		s.report(d, groups[address], func(part []contract.Connection, epoch uint64) contract.Message {
			return contract.TERMCONN{DVIPA: address, XCF: s.self.XCF, Connections: part, Epoch: epoch}
		})
		s.giveUp(groups[address])
		s.releaseEnded(d, groups[address])
		if d.lingers() {
			for _, c := range groups[address] {
				delete(d.held, c)
			}
			s.settle(d)
		}
	}
}

// block133 tells the routing stack of connections to the DVIPA.
func (s *Stack) block133(d *dvipa, connections []contract.Connection) {
	s.report(d, connections, func(part []contract.Connection, epoch uint64) contract.Message {
		return contract.NEWCONN{DVIPA: d.address, XCF: s.self.XCF, Connections: part, Epoch: epoch}
	})
}

// report tells the owner, if one lives, of connections, in parts of a message's size.
func (s *Stack) report(d *dvipa, connections []contract.Connection, message func([]contract.Connection, uint64) contract.Message) {
	owner, lives := s.owner(d)
	if !lives {
		return
	}
	for part := range slices.Chunk(connections, ConnectionsPerMessage) {
		s.tell(owner.XCF, message(part, d.listed.entry.Epoch))
	}
}

// lingers: the address is active for the sake of its connections alone.
func (d *dvipa) lingers() bool { return len(d.held) > 0 }

// byDVIPA sorts connections by their local address, keeping their order for each. Mostly all have the same.
func byDVIPA(connections []contract.Connection) map[netip.Addr][]contract.Connection {
	groups := make(map[netip.Addr][]contract.Connection)
	all := make([]contract.Connection, len(connections))
	for i, c := range connections {
		all[i] = asPackets(c)
	}
	for len(all) > 0 {
		address, n := all[0].Local.Addr(), 1
		for n < len(all) && all[n].Local.Addr() == address {
			n++
		}
		if others, some := groups[address]; some {
			groups[address] = append(others, all[:n]...)
		} else {
			groups[address] = all[:n:n]
		}
		all = all[n:]
	}
	return groups
}

// asPackets takes both ends of a connection as the family that its packets have.
func asPackets(c contract.Connection) contract.Connection {
	return contract.Connection{Remote: unmapped(c.Remote), Local: unmapped(c.Local)}
}

func set(connections []contract.Connection) map[contract.Connection]struct{} {
	held := make(map[contract.Connection]struct{}, len(connections))
	for _, c := range connections {
		held[c] = struct{}{}
	}
	return held
}
