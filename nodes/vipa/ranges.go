package vipa

import (
	"net/netip"

	"github.com/plexlab-dev/plexlab/nodes/contract"
)

// bindInRange is block 226: the DVIPA of an own VIPARange becomes active, owned by this stack, and
// every stack is told (RoleRange).
func (s *Stack) bindInRange(dvipa netip.Addr) {
	d := s.dvipas[dvipa]
	switch {
	case s.activates(dvipa):
		in := *rangeOf(s.definition.Ranges, dvipa)
		d = s.dvipa(dvipa)
		d.binding, d.bindWaits = &in, true
		s.addresses, s.due = nil, true
	case d != nil && d.active:
		s.do(LetBind{DVIPA: dvipa})
	default:
		s.do(RefuseBind{DVIPA: dvipa, Reason: "no stack activates it here: " + s.whyNot(d)})
	}
}

// whyNot says why a bind does not activate a DVIPA; the record may be nil.
func (s *Stack) whyNot(d *dvipa) string {
	if d != nil {
		if owner, lives := s.owner(d); lives {
			return owner.Stack + " owns it"
		}
	}
	return "it is in no VIPARange of this stack"
}

// answerBinds lets binds go on, or fail, once it is known who owns the DVIPA.
func (s *Stack) answerBinds(d *dvipa) {
	switch {
	case !d.bindWaits:
	case d.routing != nil:
		d.bindWaits = false
		s.do(LetBind{DVIPA: d.address})
	case s.gathered && d.taking == nil && !s.taken(d):
		d.bindWaits, d.binding = false, nil
		s.addresses = nil
		s.do(RefuseBind{DVIPA: d.address, Reason: s.whyNot(d)})
		s.settle(d)
	}
}

// rangeUnused withdraws a DVIPA that was activated in a VIPARange, once this stack has nothing of
// it any more and no other stack is a target or holds a unique port.
func (s *Stack) rangeUnused(dvipa netip.Addr) {
	d := s.dvipas[dvipa]
	if d == nil || d.ranged == nil || d.bindWaits {
		return
	}
	if len(d.ports) > 0 || len(s.listeners.byAddress[dvipa]) > 0 {
		return
	}
	if d.routing != nil && (len(d.routing.dpt) > 0 || len(d.routing.unique) > 0 || len(d.routing.awaited) > 0) {
		return
	}
	d.ranged = nil
	s.due = true
	s.initialize(nil, nil)
}

// activates says whether a bind here is to activate the DVIPA: it lies in an own VIPARange, it is
// none that this stack defines or backs up, and no living stack owns it, or one by a bind, and this
// stack is no target of it (MOVEable NONDISRUPTIVE).
func (s *Stack) activates(dvipa netip.Addr) bool {
	if rangeOf(s.definition.Ranges, dvipa) == nil || dvipa == s.self.XCF || s.members[dvipa] != nil || s.left || s.cutOff {
		return false
	}
	d := s.dvipas[dvipa]
	switch {
	case d == nil:
		return true
	case d.rank > 0 || d.define != nil || d.routing != nil:
		return false
	case !s.owned(d):
		return true
	}
	return d.listed.entry.Role == contract.RoleRange && !d.listed.candidate
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
