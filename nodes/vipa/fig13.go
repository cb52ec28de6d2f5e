package vipa

import (
	"fmt"
	"net/netip"

	"github.com/plexlab-dev/plexlab/nodes/contract"
)

// figure13: a routing stack receives a message from another stack, or from itself. Figure 7
// and the loop of Figure 10 (106 to 112) tell the same; their edges are passed along with it.
// What is refused passes none.
func (s *Stack) figure13(from contract.Member, m contract.Message) {
	// 160: message type?
	switch m := m.(type) {
	case contract.SRVSTAT:
		s.srvstat(from, m)
	case contract.NEWCONN:
		s.newconn(from, m)
	case contract.TERMCONN:
		s.termconn(from, m)
	default:
		if s.routes() {
			s.pass("fig13/160-other->end")
			s.figure7(otherMessage)
		}
	}
}

// srvstat: block 165 and what follows.
func (s *Stack) srvstat(from contract.Member, m contract.SRVSTAT) {
	address, port := m.Service.Addr(), m.Service.Port()
	d := s.addressed(from, m, address, m.XCF, m.Epoch)
	if d == nil {
		return
	}
	r := d.routing
	if port == 0 {
		s.refuse(from, "SRVSTAT for port 0 of %s", address)
		return
	}

	// 165: cluster-wide port? 167: the CRT entry with source zero. Any member may have one (I16).
	if m.Unique {
		s.pass("fig13/160-SRVSTAT->165", "fig13/165-yes->167", "fig13/167->end")
		s.figure7(uniquePort)
		s.block108(true)
		if m.Listening {
			s.claim(from, m, d, port)
		} else {
			s.do(r.clearUnique(address, port, m.XCF)...)
		}
		return
	}

	// 166: the DPT. That listening ended needs no permission.
	target, ok := r.candidate(port, m.XCF)
	if m.Listening && !ok {
		s.refuse(from, "SRVSTAT for %s: %s is not a candidate target", m.Service, m.XCF)
		return
	}
	if m.Listening && !r.distributes(port, s.variant) {
		s.refuse(from, "SRVSTAT for %s: not an enumerated port", m.Service)
		return
	}
	s.pass("fig13/160-SRVSTAT->165", "fig13/165-no->166", "fig13/166->end")
	s.figure7(candidateServer)
	s.block108(false)
	if m.Listening {
		s.do(r.add(address, port, target)...)
	} else {
		s.do(r.remove(address, port, m.XCF)...)
	}
}

// newconn: block 164. A connection whose remote end is zero announces a unique port (T38).
func (s *Stack) newconn(from contract.Member, m contract.NEWCONN) {
	d := s.addressed(from, m, m.DVIPA, m.XCF, m.Epoch)
	if d == nil || !s.allTo(from, m, m.DVIPA, m.Connections) {
		return
	}
	s.pass("fig13/160-NEWCONN->164", "fig13/164->end")
	s.figure7(otherMessage)
	connections, ports := uniquePorts(m.Connections)
	for _, port := range ports {
		s.block108(true)
		s.claim(from, m, d, port)
	}
	if len(connections) > 0 || m.Acknowledge != 0 {
		s.do(AddConnections{Target: m.XCF, Connections: connections, Acknowledge: m.Acknowledge})
	}
}

// claim enters a stack for a unique port, and says so where another has to give it up first.
func (s *Stack) claim(from contract.Member, m contract.Message, d *dvipa, port uint16) {
	s.do(d.routing.setUnique(d.address, port, from.XCF)...)
	if holder := d.routing.holder(port); holder != from.XCF {
		s.refuse(from, "%s for unique port %s: %s has it until it gives it up",
			m.Kind(), netip.AddrPortFrom(d.address, port), holder)
	}
}

// termconn: block 162.
func (s *Stack) termconn(from contract.Member, m contract.TERMCONN) {
	d := s.addressed(from, m, m.DVIPA, m.XCF, m.Epoch)
	if d == nil || !s.allTo(from, m, m.DVIPA, m.Connections) {
		return
	}
	s.pass("fig13/160-TERMCONN->162", "fig13/162->end")
	s.figure7(otherMessage)
	connections, ports := uniquePorts(m.Connections)
	for _, port := range ports {
		s.do(d.routing.clearUnique(m.DVIPA, port, m.XCF)...)
	}
	if len(connections) > 0 {
		s.do(EndConnections{Target: m.XCF, Connections: connections})
	}
}

// isOver: whoever owned the DVIPA at that epoch has it no more, as far as this stack knows.
func (s *Stack) isOver(address netip.Addr, epoch uint64) bool {
	k := s.epochs[address]
	return epoch > 0 && (epoch < k.epoch || epoch == k.epoch && k.holder.XCF == s.self.XCF)
}

// addressed returns the DVIPA that a message speaks of if this stack is its routing stack, the
// sender speaks for itself, and means this ownership; else it refuses the message.
func (s *Stack) addressed(from contract.Member, m contract.Message, address, xcf netip.Addr, epoch uint64) *dvipa {
	d := s.dvipas[address]
	switch {
	case d == nil || d.routing == nil:
		reason := fmt.Sprintf("%s for %s, which this stack does not own", m.Kind(), address)
		s.do(Refuse{From: from, Reason: reason, Late: xcf == from.XCF && s.isOver(address, epoch)})
	case xcf != from.XCF:
		s.refuse(from, "%s for %s speaks of %s, not of its sender", m.Kind(), address, xcf)
	case epoch != d.routing.epoch:
		reason := fmt.Sprintf("%s for %s at epoch %d: it is at epoch %d", m.Kind(), address, epoch, d.routing.epoch)
		s.do(Refuse{From: from, Reason: reason, Late: epoch < d.routing.epoch})
	default:
		return d
	}
	return nil
}

// allTo says whether every connection is one to a port of the DVIPA, or announces a unique
// port of it; else it refuses the message.
func (s *Stack) allTo(from contract.Member, m contract.Message, address netip.Addr, connections []contract.Connection) bool {
	for _, c := range connections {
		local := c.Local.Addr() == address && c.Local.Port() != 0
		remote := c.Remote.Port() != 0 && c.Remote.Addr().BitLen() == address.BitLen() && !c.Remote.Addr().IsUnspecified()
		if !local || !remote && !announcesUnique(c) {
			s.refuse(from, "%s for %s holds a connection of %s to %s", m.Kind(), address, c.Remote, c.Local)
			return false
		}
	}
	return true
}

// uniquePorts parts the connections of a message from the ports announced with source zero.
func uniquePorts(all []contract.Connection) (connections []contract.Connection, ports []uint16) {
	for _, c := range all {
		if announcesUnique(c) {
			ports = append(ports, c.Local.Port())
			continue
		}
		connections = append(connections, c)
	}
	return connections, ports
}

// announcesUnique: the remote end is zero, as the source of the CRT entry is to be.
func announcesUnique(c contract.Connection) bool {
	source := c.Remote.Addr()
	return c.Remote.Port() == 0 && (!source.IsValid() || source.IsUnspecified())
}

// routes: this stack is the routing stack of some DVIPA.
func (s *Stack) routes() bool {
	for _, d := range s.dvipas {
		if d.routing != nil {
			return true
		}
	}
	return false
}

var fig13Edges = []Edge{
	"fig13/160-SRVSTAT->165", "fig13/160-NEWCONN->164", "fig13/160-TERMCONN->162", "fig13/160-other->end",
	"fig13/165-no->166", "fig13/165-yes->167",
	"fig13/166->end", "fig13/167->end", "fig13/164->end", "fig13/162->end",
}
