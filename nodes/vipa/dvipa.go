package vipa

import (
	"net/netip"

	"github.com/plexlab-dev/plexlab/nodes/contract"
)

// dvipa is the record of one DVIPA: the stack's own definitions, what the owner told, and the
// stack's roles. A record without any of these is dropped.
type dvipa struct {
	address netip.Addr

	define     *Define     // own VIPADEFine
	rank       uint8       // own VIPABackup; 0: not a backup
	distribute *Distribute // own VIPADISTribute
	// ranged is the own VIPARange that a bind activated the DVIPA in, as it was then (T18).
	ranged *Range
	// binding is the own VIPARange in which a bind is about to activate it, and bindWaits says that
	// binds wait for the answer.
	binding   *Range
	bindWaits bool
	// fresh: the definition or bind is new and has not taken the DVIPA yet. Only such a one moves it
	// away from an equal.
	fresh bool
	// deactivated: by VARY, neither owned nor backed up here.
	deactivated bool
	// leased: an owner before may still answer for it by its lease.
	leased bool
	// taking is set while TakeOwnership is not answered.
	taking *taking

	// rangePorts: an own VIPARange with CLUSTERPORTS holds the address (T22).
	rangePorts bool

	// listed is what the list of its owner (this stack's own list included) said last. It
	// outlives the ownership: the stack goes on as a target until another list says otherwise.
	listed *listed
	// kept is the list a backup keeps for takeover (block 134).
	kept *contract.DVIPA
	// sources are the SOURCEIPA rules for it of whom a backup would take it over from.
	sources []contract.SourceIPA
	// unowned is what a backup that keeps no list (135) was told last of a DVIPA that nobody could take over: its mask
	// stands nowhere else.
	unowned *contract.DVIPA
	// routing is set while this stack is the routing stack.
	routing *routing

	// active: it is an address of this stack, internal or advertised.
	active bool
	// held are the connections of a stack that is no candidate: the address stays until the
	// last has ended (I16). Empty for a candidate.
	held map[contract.Connection]struct{}

	// clusterWide: CLUSTERPORTS is in force, by the list of the owner.
	clusterWide bool
	// marking: what is in use already is being noted in the coupling facility (T21). Until it is,
	// listeners take part as before.
	marking bool
	// ports are those that the coupling facility notes for this stack; uniques counts those of
	// them that are Unique, for which the address stays as well (I16).
	ports   map[uint16]*port
	uniques int
}

// listed is one DVIPA of a VIPAList, and what this stack told its owner in return.
type listed struct {
	owner contract.Member
	entry contract.DVIPA
	// ended: the owner has given it up for another stack to take.
	ended     bool
	candidate bool // block 124
	// services counts the listening sockets that take part, port by port (I9).
	services map[uint16]int
}

// dvipa returns the record of an address, making it where there is none.
func (s *Stack) dvipa(address netip.Addr) *dvipa {
	d, ok := s.dvipas[address]
	if !ok {
		d = &dvipa{address: address}
		s.dvipas[address] = d
		s.addresses = nil
	}
	return d
}

// settle makes the DVIPA an address of this stack, or ends that, as its roles demand, and
// drops a record that nothing needs.
func (s *Stack) settle(d *dvipa) {
	target := d.listed != nil && d.listed.candidate
	// Between two owners it stays as it is.
	between := d.active && d.listed != nil && d.listed.ended
	switch wanted := d.routing != nil || target || len(d.held) > 0 || d.uniques > 0 || between; {
	case wanted && !d.active:
		d.active = true
		s.addresses = nil
		s.do(Activate{DVIPA: d.address})
	case !wanted && d.active:
		d.active = false
		s.addresses = nil
		s.do(Deactivate{DVIPA: d.address})
	}
	defined := d.define != nil || d.rank > 0 || d.distribute != nil || d.ranged != nil || d.binding != nil
	if !defined && d.taking == nil && d.listed == nil && d.kept == nil && !d.active && len(d.ports) == 0 {
		delete(s.dvipas, d.address)
		s.addresses = nil
	}
}

// clusterPorts says whether the stack's own definitions ask for cluster-wide ports; the
// keyword may stand in each statement (T23), and one of a VIPARange is for every address in it that
// the stack owns (T22).
func (d *dvipa) clusterPorts() bool {
	return d.define != nil && d.define.ClusterPorts || d.distribute != nil && d.distribute.ClusterPorts ||
		d.rangePorts && (d.define != nil || d.ranged != nil || d.binding != nil)
}

// distribution is what the stack's own definitions say, nil where they distribute nothing.
func (d *dvipa) distribution() *contract.Distribution {
	switch {
	case d.distribute != nil:
		return &d.distribute.Distribution
	case d.ranged != nil:
		return d.ranged.distribution()
	}
	return nil
}

// defines is what the stack's profile says of the DVIPA, as an entry of its list (T19); the zero
// value if it names it nowhere.
func (d *dvipa) defines() contract.DVIPA {
	entry := contract.DVIPA{ClusterPorts: d.clusterPorts(), Distribution: d.distribution()}
	switch {
	case d.define != nil:
		entry.Prefix, entry.Role = d.define.Prefix, contract.RolePrimary
	case d.ranged != nil:
		entry.Prefix, entry.Role = netip.PrefixFrom(d.address, d.ranged.Prefix.Bits()), contract.RoleRange
	case d.rank > 0:
		entry.Prefix, entry.Role, entry.Rank = netip.PrefixFrom(d.address, d.address.BitLen()), contract.RoleBackup, d.rank
	default:
		return contract.DVIPA{}
	}
	return entry
}

// ownedAs is what the stack owns the DVIPA as, or would; the zero value if it cannot own it. A backup
// takes the mask, and with 134 the distribution, from the list that it heard last; with 135 the
// distribution is its own (I6). Without having heard a list there is nothing to take over.
func (d *dvipa) ownedAs() contract.DVIPA {
	entry := d.defines()
	if entry.Role != contract.RoleBackup {
		return entry
	}
	heard := d.kept
	if heard == nil && d.listed != nil {
		heard = &d.listed.entry
	}
	if heard == nil {
		heard = d.unowned
	}
	if heard == nil {
		return contract.DVIPA{}
	}
	entry.Prefix = heard.Prefix
	entry.ClusterPorts = entry.ClusterPorts || heard.ClusterPorts
	if d.distribute == nil {
		entry.Distribution = heard.Distribution
	}
	return entry
}

// forget drops what its owner told of a DVIPA that nobody is left to take over.
func (d *dvipa) forget() {
	if d.rank > 0 {
		d.unowned = &d.listed.entry
	}
	d.listed = nil
}

// inForce is the distribution that the owner told of, or else that of the own definitions.
func (d *dvipa) inForce() *contract.Distribution {
	if d.listed != nil {
		return d.listed.entry.Distribution
	}
	return d.distribution()
}

// owner returns the living stack that owns the DVIPA as far as this one has heard; it may be this
// one.
func (s *Stack) owner(d *dvipa) (contract.Member, bool) {
	if d.listed == nil || d.listed.ended || !s.living(d.listed.owner) {
		return contract.Member{}, false
	}
	return d.listed.owner, true
}

// owned says whether a living stack, which may be this one, owns the DVIPA.
func (s *Stack) owned(d *dvipa) bool {
	_, lives := s.owner(d)
	return d.routing != nil || lives
}
