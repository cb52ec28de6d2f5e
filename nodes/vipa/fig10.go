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
	s.initialize()
}

// initialize is Figure 10 once the DVIPAs are defined.
func (s *Stack) initialize() {
	acquired := s.own()
	s.list = s.completeList()
	s.createEntries()

	// 102: distribute the list to every stack.
	s.broadcast()

	// 104: advertise the DVIPAs to the network.
	for _, d := range acquired {
		s.settle(d)
		s.do(Advertise{Prefix: d.routing.prefix, Epoch: d.routing.epoch})
	}
	for _, address := range s.sortedDVIPAs() {
		if d := s.dvipas[address]; d.routing != nil {
			s.do(d.routing.distribute(address, d.distribution(), s.variant)...)
		}
	}
	if s.routes() {
		s.pass("fig10/100->102", "fig10/102->104", "fig10/104->106")
	}

	// The stack may be a target of its own DVIPA (I7).
	s.tell(s.self.XCF, s.list)
}

// define takes the definitions over into the records, and lets go of kept lists that are not a
// backup's any more.
func (s *Stack) define(def Definition) {
	s.definition, s.addresses = def, nil
	for _, d := range s.dvipas {
		d.define, d.rank, d.distribute = nil, 0, nil
	}
	for _, define := range def.Defines {
		d := s.dvipa(define.Prefix.Addr())
		d.define, d.ranged = &define, nil
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
		switch keeps := d.rank > 0 && d.distribute == nil; {
		case !keeps:
			d.kept = nil
		case d.listed != nil && d.listed.owner != s.self:
			d.kept = &d.listed.entry
		}
		s.settle(d)
	}
}

// own makes the stack the routing stack of what it defines by VIPADEFine and what was activated
// in its VIPARanges, and of that only. It returns those DVIPAs that have to be advertised, in
// order of address.
func (s *Stack) own() []*dvipa {
	var acquired []*dvipa
	for _, address := range s.sortedDVIPAs() {
		d := s.dvipas[address]
		switch r, prefix := d.routing, d.prefix(); {
		case !prefix.IsValid() && r != nil:
			s.do(Withdraw{DVIPA: address})
			s.do(r.clear(address)...)
			d.routing = nil
			s.addresses = nil
		case !prefix.IsValid():
		case r == nil:
			s.epoch++
			d.routing = newRouting(prefix, s.epoch)
			s.addresses = nil
			if !d.active {
				d.clusterWide = d.clusterPorts()
			}
			acquired = append(acquired, d)
		case r.prefix != prefix:
			r.prefix = prefix
			acquired = append(acquired, d)
		}
	}
	return acquired
}

// createEntries sees to an entry in the coupling facility for each DVIPA with CLUSTERPORTS that is
// owned here, before any other stack hears of it (T20).
func (s *Stack) createEntries() {
	for _, address := range s.sortedDVIPAs() {
		if d := s.dvipas[address]; d.routing != nil && !d.routing.entry && d.clusterPorts() {
			d.routing.entry = true
			s.do(CreateEntry{DVIPA: address})
		}
	}
}

// completeList is everything that the stack's profile says of DVIPAs (T19), in order of address.
func (s *Stack) completeList() contract.VIPAList {
	list := contract.VIPAList{SourceIPAs: s.definition.SourceIPAs}
	for _, address := range s.sortedDVIPAs() {
		d := s.dvipas[address]
		entry := contract.DVIPA{ClusterPorts: d.clusterPorts(), Distribution: d.distribution()}
		switch {
		case d.routing != nil:
			entry.Prefix = d.routing.prefix
			entry.Role, entry.Owner, entry.Epoch = contract.RolePrimary, true, d.routing.epoch
			if d.ranged != nil {
				entry.Role = contract.RoleRange
			}
		case d.rank > 0:
			entry.Prefix = netip.PrefixFrom(address, address.BitLen())
			entry.Role, entry.Rank = contract.RoleBackup, d.rank
		default:
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
