package vipa

import (
	"net/netip"

	"github.com/plexlab-dev/plexlab/nodes/contract"
)

// profileChanged is Figure 10: a routing stack initializes. It runs again when the profile
// changes, and a stack that routes nothing tells its list all the same (T19).
func (s *Stack) profileChanged(def Definition) {
	// 100: define the DVIPAs, their candidate targets and ports.
	s.define(def)
	s.due = true
	s.initialize(nil, nil)
}

// initialize is Figure 10 once the DVIPAs are defined. It runs whenever what this stack owns changes;
// acquired are the DVIPAs that it owns from now on, and held the connections that it has, where
// that is known.
func (s *Stack) initialize(acquired []*dvipa, held []contract.Connection) {
	moved := s.review()
	s.list = s.completeList()
	s.createEntries()

	// 102: distribute the list to every stack.
	s.broadcast(s.list)

	// 104: advertise the DVIPAs to the network.
	for _, d := range acquired {
		s.settle(d)
		s.advertise(d)
	}
	for _, d := range moved {
		s.do(Advertise{Prefix: d.routing.prefix, Epoch: d.routing.epoch})
	}
	for _, address := range s.sortedDVIPAs() {
		if d := s.dvipas[address]; d.routing != nil {
			s.do(d.routing.distribute(address, d.ownedAs().Distribution, s.variant)...)
		}
	}
	if s.routes() {
		s.pass("fig10/100->102", "fig10/102->104", "fig10/104->106")
	}

	// The stack may be a target of its own DVIPA (I7).
	s.inbox = append(s.inbox, ownWord{s.list, held})
}

// review ends the ownerships that are not to be kept, and returns those whose mask has changed and
// is advertised.
func (s *Stack) review() []*dvipa {
	var moved []*dvipa
	for _, address := range s.sortedDVIPAs() {
		d := s.dvipas[address]
		r := d.routing
		if r == nil {
			continue
		}
		if !s.keeps(d) {
			s.relinquish(d)
			continue
		}
		if prefix := d.ownedAs().Prefix; r.prefix != prefix {
			r.prefix = prefix
			if r.before == nil {
				moved = append(moved, d)
			}
		}
	}
	return moved
}

// define takes the definitions over into the records, and lets go of kept lists that are not a
// backup's any more.
func (s *Stack) define(def Definition) {
	s.definition, s.addresses = def, nil
	before := make(map[netip.Addr]bool)
	for address, d := range s.dvipas {
		before[address] = d.define != nil
		d.define, d.rank, d.distribute = nil, 0, nil
	}
	for _, define := range def.Defines {
		d := s.dvipa(define.Prefix.Addr())
		d.define, d.ranged = &define, nil
		d.fresh = d.fresh || !before[d.address] && d.routing == nil
	}
	for _, backup := range def.Backups {
		s.dvipa(backup.DVIPA).rank = backup.Rank
	}
	for _, distribute := range def.Distributes {
		s.dvipa(distribute.DVIPA).distribute = &distribute
	}
	for _, address := range s.sortedDVIPAs() {
		d := s.dvipas[address]
		s.inRange(d)
		if d.define == nil && d.rank == 0 {
			d.deactivated = false
		}
		if d.rank == 0 {
			d.unowned, d.sources = nil, nil
		}
		if d.define == nil && d.binding == nil {
			d.fresh = false
		}
		switch keeps := d.rank > 0 && d.distribute == nil; {
		case !keeps:
			d.kept = nil
		case d.listed != nil && d.listed.owner != s.self:
			d.kept = &d.listed.entry
		}
		s.settle(d)
	}
}

// createEntries sees to an entry in the coupling facility for each DVIPA with CLUSTERPORTS that is
// owned here, before any other stack hears of it (T20).
func (s *Stack) createEntries() {
	for _, address := range s.sortedDVIPAs() {
		if d := s.dvipas[address]; d.routing != nil && !d.routing.entry && d.ownedAs().ClusterPorts {
			d.routing.entry = true
			s.do(CreateEntry{DVIPA: address})
		}
	}
}

// completeList is everything that the stack's profile says of DVIPAs (T19), and what of it the stack
// owns, in order of address. What the stack stands back from is left out.
func (s *Stack) completeList() contract.VIPAList {
	list := contract.VIPAList{NoWayOut: s.self.Outside && !s.outside}
	if s.left {
		return list
	}
	list.SourceIPAs = s.sources()
	for _, address := range s.sortedDVIPAs() {
		d := s.dvipas[address]
		entry := d.defines()
		switch {
		case d.routing != nil:
			entry = d.ownedAs()
			entry.Owner, entry.Epoch = true, d.routing.epoch
		case entry.Role == 0 || !s.offers(d):
			continue
		}
		list.DVIPAs = append(list.DVIPAs, entry)
	}
	return list
}

// block108: is a message about an application for a cluster-wide port? The loop of Figure 10:
// 110 and 112 are blocks 167 and 166 of Figure 13.
func (s *Stack) block108(clusterWide bool) {
	s.pass("fig10/106->108")
	if clusterWide {
		s.pass("fig10/108-yes->110", "fig10/110->106")
	} else {
		s.pass("fig10/108-no->112", "fig10/112->106")
	}
}

var fig10Edges = []Edge{
	"fig10/100->102", "fig10/102->104", "fig10/104->106", "fig10/106->108",
	"fig10/108-no->112", "fig10/108-yes->110", "fig10/112->106", "fig10/110->106",
}
