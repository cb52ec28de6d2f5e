package vipa

import (
	"maps"
	"net/netip"
	"slices"

	"github.com/plexlab-dev/plexlab/nodes/contract"
)

// Marking is what I15 needs to know of a DVIPA that gets CLUSTERPORTS, to assign the ports that are in use there
// already (T21, T22): how the ports came to be in use matters where every port is distributed.
type Marking struct {
	DVIPA netip.Addr
	// Distribution is the one that is or will be in force; nil where nothing is distributed.
	Distribution *contract.Distribution
	// Chosen and Named are the ports of this stack's sockets that the stack chose (bind to port 0, connect without
	// bind), and those that were asked for by number, as far as it was told of the sockets; each in order. Listening
	// sockets that it was told of no otherwise are among the second.
	Chosen, Named []uint16
	// Served are the stacks that listen on each port as the DPT has them; nil where this stack is not
	// the routing stack, and does not know.
	Served map[uint16][]netip.Addr
}

// Own says how a port in use here is assigned.
func (m Marking) Own(port uint16) Use {
	if m.everyPort() && slices.Contains(m.Chosen, port) {
		return Unique
	}
	if slices.Contains(m.Named, port) {
		return m.Numbered(port)
	}
	return m.Other(port)
}

// Other says how a port is assigned that connections are known of and nothing more. Where it could be a distributed
// one, but nobody serves it, they were opened from it.
func (m Marking) Other(port uint16) Use {
	if m.everyPort() && m.Served != nil && len(m.Served[port]) == 0 {
		return Unique
	}
	return m.Numbered(port)
}

// Numbered says how a port is assigned that was asked for by number.
func (m Marking) Numbered(port uint16) Use { return assignment(m.Distribution, port) }

// everyPort: whatever is bound by number is distributed.
func (m Marking) everyPort() bool { return m.Distribution != nil && len(m.Distribution.Ports) == 0 }

// marking is what is known now for a distribution.
func (s *Stack) marking(d *dvipa, dist *contract.Distribution) Marking {
	m := Marking{DVIPA: d.address, Distribution: dist}
	for _, bound := range s.sockets {
		switch {
		case bound.local.Addr() != d.address:
		case bound.chosen:
			m.Chosen = append(m.Chosen, bound.local.Port())
		default:
			m.Named = append(m.Named, bound.local.Port())
		}
	}
	for _, l := range s.listeners.reaching(d.address) {
		if s.sockets[l.ID] == nil {
			m.Named = append(m.Named, l.Local.Port())
		}
	}
	m.Chosen, m.Named = ordered(m.Chosen), ordered(m.Named)
	if d.routing != nil {
		m.Served = make(map[uint16][]netip.Addr)
		for port, targets := range d.routing.dpt {
			for _, t := range targets {
				m.Served[port] = append(m.Served[port], t.XCF)
			}
		}
	}
	return m
}

// Markings are the DVIPAs active here, in order, whose ports in use would be marked if this definition were in
// force: they get CLUSTERPORTS by it.
func (s *Stack) Markings(def Definition) []Marking {
	c := &changes{stack: s, before: s.definition, after: def}
	after := def.byDVIPA()
	var all []Marking
	for _, address := range s.sortedDVIPAs() {
		d, st := s.dvipas[address], after[address]
		if !d.active || d.clusterWide || !c.clusterPorts(def, address, st) {
			continue
		}
		dist := st.distribution()
		if dist == nil && d.ranged != nil {
			dist = d.ranged.distribution()
		}
		all = append(all, s.marking(d, dist))
	}
	return all
}

// Inherit names the addresses that sockets or remnants of this system had when the stack started: an earlier
// incarnation left them, and the coupling facility does not have their ports as this one's. Where such an address is an
// active DVIPA with CLUSTERPORTS, what is in use is marked as in T21. It is to be called before the first Step.
func (s *Stack) Inherit(addresses []netip.Addr) {
	s.inherited = make(map[netip.Addr]bool)
	for _, address := range addresses {
		s.inherited[address] = true
	}
}

func (s *Stack) markInherited() {
	if len(s.inherited) == 0 {
		return
	}
	for _, address := range slices.SortedFunc(maps.Keys(s.inherited), netip.Addr.Compare) {
		if d := s.dvipas[address]; d != nil && d.active && d.clusterWide {
			delete(s.inherited, address)
			s.mark(d)
		}
	}
}

// InUse are the DVIPAs active here, in order, with what is known of the ports of this stack's sockets.
func (s *Stack) InUse() []Marking {
	var all []Marking
	for _, address := range s.sortedDVIPAs() {
		if d := s.dvipas[address]; d.active {
			all = append(all, s.marking(d, d.inForce()))
		}
	}
	return all
}

func ordered(ports []uint16) []uint16 {
	slices.Sort(ports)
	return slices.Compact(ports)
}
