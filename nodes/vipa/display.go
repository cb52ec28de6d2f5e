package vipa

import (
	"maps"
	"net/netip"
	"slices"

	"github.com/plexlab-dev/plexlab/nodes/contract"
)

// Status is what a DVIPA is to the stack, the most telling of its roles.
type Status string

// The values of Status.
const (
	StatusActive   Status = "active"   // owned and advertised here
	StatusTarget   Status = "target"   // internal address
	StatusBackup   Status = "backup"   // VIPABackup here
	StatusInactive Status = "inactive" // known from a list only
)

// Origin is the statement by which the stack knows a DVIPA.
type Origin string

// The values of Origin.
const (
	OriginDefine Origin = "VIPADEFine"
	OriginBackup Origin = "VIPABackup"
	OriginRange  Origin = "VIPARange" // activated by a bind here
	OriginList   Origin = "VIPA_LIST"
)

// DVIPAStatus is one row of what NETSTAT VIPADYN shows.
type DVIPAStatus struct {
	// Prefix is the DVIPA with the length of its mask, that which its owner told, or else that of the own definition;
	// that of a single host until a list has told a backup.
	Prefix netip.Prefix
	Status Status
	Origin Origin
	Rank   uint8 // 1 to 254 for a backup, else 0
	// Owner is the living routing stack; its XCF is the zero Addr if none is known.
	Owner contract.Member
	// Epoch is that of the ownership heard of last; 0 if none.
	Epoch uint64
	// Settling: owned here, and not every living stack has told yet what it holds (I20).
	Settling bool
	// Deactivated: by VARY; this stack neither owns it nor backs it up.
	Deactivated bool
	// Kept: a list is kept for takeover (block 134).
	Kept         bool
	ClusterPorts bool
	// Distribution is the one in force, for a backup without an owner the one it would use; nil
	// where nothing is distributed.
	Distribution *contract.Distribution
}

// DPTEntry is one entry of the destination port table: the current actual targets of a service.
type DPTEntry struct {
	Service netip.AddrPort
	Targets []contract.Target
}

// UniqueEntry is one CRT entry with source zero.
type UniqueEntry struct {
	Service netip.AddrPort
	Target  netip.Addr
}

// PortStatus is one port of a DVIPA that the coupling facility notes for this stack.
type PortStatus struct {
	Service netip.AddrPort
	Use     Use // Shared or Unique
	// Sockets are bound to it, and Listeners listen on it, as far as the stack was told; a port
	// with neither is in use by connections, or by what is left of them.
	Sockets, Listeners int
	// Routed: the owner of the DVIPA is to route a unique port to this stack.
	Routed bool
	// Outbound: connect() was called for sockets that are bound to it. Rest: the connection of one that is closed
	// was established, so that the port rests when it is given back.
	Outbound, Rest bool
}

// MemberStatus is one living partner.
type MemberStatus struct {
	Member contract.Member
	// Settled: it has answered every VIPAList of this stack with EndOfList, so everything that
	// it holds is known here.
	Settled bool
}

// DVIPAs returns every DVIPA that the stack knows, in order of address.
func (s *Stack) DVIPAs() []DVIPAStatus {
	var all []DVIPAStatus
	for _, address := range s.sortedDVIPAs() {
		all = append(all, s.status(s.dvipas[address]))
	}
	return all
}

func (s *Stack) status(d *dvipa) DVIPAStatus {
	st := DVIPAStatus{
		Prefix:       netip.PrefixFrom(d.address, d.address.BitLen()),
		Status:       StatusInactive,
		Origin:       OriginList,
		Rank:         d.rank,
		Settling:     d.routing != nil && len(d.routing.awaited) > 0,
		Deactivated:  d.deactivated,
		Kept:         d.kept != nil,
		ClusterPorts: d.clusterPorts(),
		Distribution: d.distribution(),
	}
	if own := d.ownedAs().Prefix; own.IsValid() {
		st.Prefix = own
	}
	if d.kept != nil {
		st.Prefix, st.Distribution = d.kept.Prefix, d.kept.Distribution
	}
	if l := d.listed; l != nil {
		st.Prefix, st.Epoch = l.entry.Prefix, l.entry.Epoch
		st.ClusterPorts, st.Distribution = l.entry.ClusterPorts, l.entry.Distribution
		st.Owner, _ = s.owner(d)
	}
	switch {
	case d.ranged != nil:
		st.Origin = OriginRange
	case d.define != nil:
		st.Origin = OriginDefine
	case d.rank > 0:
		st.Origin = OriginBackup
	}
	switch {
	case d.routing != nil:
		st.Status = StatusActive
	case d.active:
		st.Status = StatusTarget
	case d.rank > 0 && !d.deactivated:
		st.Status = StatusBackup
	}
	return st
}

// DPT returns the destination port table, in order of service.
func (s *Stack) DPT() []DPTEntry {
	var all []DPTEntry
	for _, address := range s.sortedDVIPAs() {
		if r := s.dvipas[address].routing; r != nil {
			for _, port := range slices.Sorted(maps.Keys(r.dpt)) {
				all = append(all, DPTEntry{Service: netip.AddrPortFrom(address, port), Targets: r.dpt[port]})
			}
		}
	}
	return all
}

// Unique returns the CRT entries of unique ports, in order of service.
func (s *Stack) Unique() []UniqueEntry {
	var all []UniqueEntry
	for _, address := range s.sortedDVIPAs() {
		if r := s.dvipas[address].routing; r != nil {
			for _, port := range slices.Sorted(maps.Keys(r.unique)) {
				all = append(all, UniqueEntry{Service: netip.AddrPortFrom(address, port), Target: r.holder(port)})
			}
		}
	}
	return all
}

// Ports returns what the coupling facility notes for this stack, in order of address and port: what
// it has to note again if it is made anew.
func (s *Stack) Ports() []PortStatus {
	var all []PortStatus
	for _, address := range s.sortedDVIPAs() {
		d := s.dvipas[address]
		for _, number := range slices.Sorted(maps.Keys(d.ports)) {
			p, service := d.ports[number], netip.AddrPortFrom(address, number)
			all = append(all, PortStatus{
				Service: service, Use: p.use, Sockets: len(p.sockets), Listeners: s.listeners.on(service),
				Routed: p.routed, Outbound: p.outbound, Rest: p.rest,
			})
		}
	}
	return all
}

// Members returns the living partners in order of XCF address, without the stack itself.
func (s *Stack) Members() []MemberStatus {
	var all []MemberStatus
	for _, xcf := range sortedAddresses(s.members) {
		m := s.members[xcf]
		all = append(all, MemberStatus{Member: m.Member, Settled: m.ended == m.told})
	}
	return all
}

// Started: the stack has gathered, and every DVIPA that it asked for at first is its own or another's.
// It stays so.
func (s *Stack) Started() bool { return s.started }

// Settled: every living partner has told everything that it holds (I20).
func (s *Stack) Settled() bool {
	for _, m := range s.members {
		if m.ended < m.told {
			return false
		}
	}
	return true
}
