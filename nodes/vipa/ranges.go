package vipa

import "net/netip"

// bindInRange is block 226: the DVIPA of an own VIPARange becomes active, owned by this stack, and
// every stack is told (RoleRange). One that a living stack owns stays where it is.
func (s *Stack) bindInRange(dvipa netip.Addr) {
	if !s.activates(dvipa) {
		return
	}
	in := *rangeOf(s.definition.Ranges, dvipa)
	d := s.dvipa(dvipa)
	d.ranged, d.rangePorts = &in, in.ClusterPorts
	s.initialize()
}

// rangeUnused withdraws a DVIPA that was activated in a VIPARange, once this stack has nothing of
// it any more and no other stack is a target or holds a unique port.
func (s *Stack) rangeUnused(dvipa netip.Addr) {
	d := s.dvipas[dvipa]
	if d == nil || d.ranged == nil {
		return
	}
	if len(d.ports) > 0 || len(s.listeners.byAddress[dvipa]) > 0 || len(d.routing.dpt) > 0 || len(d.routing.unique) > 0 {
		return
	}
	d.ranged = nil
	s.initialize()
}

// activates says whether a bind here is to activate the DVIPA: it lies in an own VIPARange, no
// living stack owns it, and it is none that this stack is a backup for.
func (s *Stack) activates(dvipa netip.Addr) bool {
	if rangeOf(s.definition.Ranges, dvipa) == nil || dvipa == s.self.XCF || s.members[dvipa] != nil {
		return false
	}
	d := s.dvipas[dvipa]
	return d == nil || d.rank == 0 && !s.owned(d)
}

// inRange takes CLUSTERPORTS of a VIPARange over for an address in it (T22). What was activated in
// a range keeps the keyword when the statement goes.
func (s *Stack) inRange(d *dvipa) {
	switch in := rangeOf(s.definition.Ranges, d.address); {
	case in != nil:
		d.rangePorts = in.ClusterPorts
	case d.ranged == nil:
		d.rangePorts = false
	}
}

// rangeOf returns the VIPARange that holds an address, nil if none does. Ranges of a definition
// do not overlap.
func rangeOf(ranges []Range, dvipa netip.Addr) *Range {
	for i := range ranges {
		if ranges[i].Prefix.Contains(dvipa) {
			return &ranges[i]
		}
	}
	return nil
}

// Ranged returns the DVIPAs that binds of this stack activated in a VIPARange, in order of address.
func (a *Addresses) Ranged() []netip.Addr {
	if a == nil {
		return nil
	}
	return a.ranged
}
