package vipa

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/plexlab-dev/plexlab/nodes/contract"
)

// figure11: a stack receives a message. held are the connections to DVIPAs that it holds.
func (s *Stack) figure11(from contract.Member, m contract.Message, held []contract.Connection) {
	s.pass("fig11/120->122")

	// 122: does it hold a VIPA list? One in which its sender owns nothing has nothing for a
	// target or backup either.
	list, ok := m.(contract.VIPAList)
	if !ok {
		s.pass("fig11/122-no->end")
		return
	}
	if !slices.ContainsFunc(list.DVIPAs, func(e contract.DVIPA) bool { return e.Owner }) {
		s.pass("fig11/122-no->end")
	}
	s.vipaList(from, list, held)
	s.tell(from.XCF, contract.EndOfList{})
}

// vipaList is Figure 11 from 122-yes on, for each DVIPA that the sender owns, and the end of
// what it owns no more.
func (s *Stack) vipaList(from contract.Member, list contract.VIPAList, held []contract.Connection) {
	connections := byDVIPA(held)
	partner := s.members[from.XCF]
	if partner != nil {
		partner.heard = true
		partner.entries = make(map[netip.Addr]contract.DVIPA, len(list.DVIPAs))
		for _, e := range list.DVIPAs {
			partner.entries[e.Prefix.Addr()] = e
		}
		partner.sources = list.SourceIPAs
		partner.outside = partner.Outside && !list.NoWayOut
		s.chooseWayOut()
	}
	owned := make(map[netip.Addr]bool)
	for _, e := range list.DVIPAs {
		if !e.Owner {
			continue
		}
		address := e.Prefix.Addr()
		reason := s.objection(from, e)
		if owned[address] {
			reason = "listed twice"
		}
		owned[address] = true
		if reason != "" {
			s.refuse(from, "VIPA_LIST entry for %s at epoch %d: %s", e.Prefix, e.Epoch, reason)
			continue
		}
		s.candidate(s.dvipa(address), from, e, connections[address])
	}
	s.unlisted(from, owned, connections)
	if partner != nil {
		s.disclaim(partner)
	}
	if from != s.self {
		s.due = true
	}
	s.addresses = nil
	s.askAgain()
}

// objection says why an entry of an owner's list is not accepted, or nothing. The highest epoch owns
// the DVIPA, whatever became of those who had it before.
func (s *Stack) objection(from contract.Member, e contract.DVIPA) string {
	address := e.Prefix.Addr()
	switch {
	case !e.Prefix.IsValid(), address.IsUnspecified(), address.IsMulticast(), address.IsLoopback(), address.Is4In6():
		return "not a unicast address with the length of its mask"
	case address == s.self.XCF, s.members[address] != nil:
		return "an XCF address is no DVIPA"
	case e.Epoch == 0:
		return "an owner's epoch begins at 1"
	}
	known := s.epochs[address]
	d := s.dvipas[address]
	switch {
	case from == s.self:
		return ""
	case d != nil && d.routing != nil && e.Epoch <= d.routing.epoch:
		return fmt.Sprintf("this stack owns it at epoch %d", d.routing.epoch)
	case e.Epoch < known.epoch:
		return fmt.Sprintf("its epoch is %d already", known.epoch)
	case e.Epoch == known.epoch && known.holder.XCF != from.XCF:
		return fmt.Sprintf("%s took it at epoch %d", known.holder.Stack, known.epoch)
	}
	return ""
}

// candidate is Figure 11 from block 124 on, for one DVIPA of the list.
func (s *Stack) candidate(d *dvipa, from contract.Member, e contract.DVIPA, held []contract.Connection) {
	if d.routing != nil && from != s.self {
		s.relinquish(d)
	}
	var before map[uint16]int
	if d.listed != nil && d.listed.owner == from {
		before = d.listed.services
	}
	d.listed, d.unowned = &listed{owner: from, entry: e}, nil
	s.follow(d)
	if s.epochs[d.address].epoch < e.Epoch {
		d.leased = false // whoever took it has seen to that
	}
	s.epochs[d.address] = known{epoch: e.Epoch, holder: from}
	s.addresses = nil

	// 124: is this stack a candidate target?
	s.pass("fig11/122-yes->124")
	reported := names(e.Distribution, s.self.XCF) // by 130
	if reported {
		s.pass("fig11/124-yes->126")
		// 126: an internal address, if it is not active yet.
		d.listed.candidate = true
		d.held = nil
		s.assignClusterWide(d)
		s.settle(d)
		s.pass("fig11/126->128")
		// 128, 130: listening applications.
		s.block128(d, before)
	} else {
		s.pass("fig11/124-no->132")
		// I16: the address stays for the connections and unique ports that are left.
		d.held = set(held)
		s.assignClusterWide(d)
		s.settle(d)
		if routes := d.routes(); len(routes) > 0 {
			s.pass("fig11/128-yes->130", "fig11/130->131")
			s.block130Unique(d, routes)
			reported = true
		}
	}
	// 131, 133: active connections; a stack that is no candidate tells of them all the same (I16).
	switch {
	case len(held) > 0:
		s.pass("fig11/131-yes->133")
		s.block133(d, held)
		s.pass("fig11/133->132")
	case reported:
		s.pass("fig11/131-no->132")
	}

	// 132: backup of the routing stack?
	if d.rank == 0 || from == s.self {
		s.pass("fig11/132-no->end")
		return
	}
	s.pass("fig11/132-yes->135")
	d.sources = s.sourcesOf(from, d.address)
	// 135: its own VIPADISTribute stands, if it has one.
	if d.distribute != nil {
		s.pass("fig11/135-yes->end")
		return
	}
	// 134: keep the list for takeover.
	s.pass("fig11/135-no->134", "fig11/134->end")
	d.kept = &d.listed.entry
}

// assignClusterWide takes over what the list says of CLUSTERPORTS. Where the keyword was added
// while this stack uses the DVIPA, what it uses already is marked (T21).
func (s *Stack) assignClusterWide(d *dvipa) {
	added := d.listed.entry.ClusterPorts && !d.clusterWide
	d.clusterWide = d.listed.entry.ClusterPorts
	if added && s.uses(d) {
		s.mark(d)
	}
}

// uses: the DVIPA is an address of this stack, or was until the stack was cut off and has sockets of that time.
func (s *Stack) uses(d *dvipa) bool {
	for _, bound := range s.sockets {
		if bound.local.Addr() == d.address {
			return true
		}
	}
	return d.active
}

// follow: where owners keep the tables of ports, what this stack holds is told to the one that the
// list names (T35). This stack itself knows.
func (s *Stack) follow(d *dvipa) {
	switch {
	case !s.followed:
	case d.listed == nil || !d.listed.entry.ClusterPorts:
		s.do(FollowOwner{DVIPA: d.address})
	case d.listed.owner != s.self:
		s.do(FollowOwner{DVIPA: d.address, Owner: d.listed.owner, Epoch: d.listed.entry.Epoch})
	}
}

// unlisted: DVIPAs that the sender owned and owns no more are left to the stack that takes them
// over; with none that could they are not addresses of this stack any more, except for the
// connections it holds. A kept list stays.
func (s *Stack) unlisted(from contract.Member, owned map[netip.Addr]bool, connections map[netip.Addr][]contract.Connection) {
	for _, address := range s.sortedDVIPAs() {
		d := s.dvipas[address]
		if d.listed == nil || d.listed.owner.XCF != from.XCF || owned[address] {
			continue
		}
		if s.contended(d) {
			d.listed.ended = true
			continue
		}
		d.forget()
		s.follow(d)
		d.held = set(connections[address])
		s.settle(d)
	}
}

// names says whether the distribution makes a stack a candidate target.
func names(dist *contract.Distribution, xcf netip.Addr) bool {
	return dist != nil && (dist.All || slices.ContainsFunc(dist.Targets, func(t contract.Target) bool { return t.XCF == xcf }))
}

var fig11Edges = []Edge{
	"fig11/120->122", "fig11/122-no->end", "fig11/122-yes->124",
	"fig11/124-yes->126", "fig11/124-no->132",
	"fig11/126->128",
	"fig11/128-no->131", "fig11/128-yes->130", "fig11/130->131",
	"fig11/131-no->132", "fig11/131-yes->133", "fig11/133->132",
	"fig11/132-no->end", "fig11/132-yes->135",
	"fig11/135-yes->end", "fig11/135-no->134", "fig11/134->end",
}
