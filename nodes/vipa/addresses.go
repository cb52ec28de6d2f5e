package vipa

import (
	"net/netip"

	"github.com/plexlab-dev/plexlab/nodes/contract"
)

// Addresses is what a stack knew of addresses at one moment, for those who bind and connect
// without waiting for the stack. It never changes and is safe for concurrent use; a nil one knows
// nothing.
type Addresses struct {
	dvipas     map[netip.Addr]address
	ranges     []Range
	ranged     []netip.Addr // activated in them
	rules      []contract.SourceIPA
	self       netip.Addr          // XCF address
	xcf        map[netip.Addr]bool // of every member
	xcfNetwork netip.Prefix
}

// address is what Figure 15 asks of one address; the zero value is one that is no DVIPA.
type address struct {
	dvipa        bool // block 210
	clusterPorts bool // block 200
	configured   bool // block 216 (I8)
	active       bool // block 220
	activates    bool // block 222
	distribution *contract.Distribution
	owner        netip.Addr // XCF address of the living owner
	// left: it stays an address of this stack for what is left of connections and sockets alone. No stack owns it, and
	// none takes it over.
	left bool
}

// Addresses returns the present snapshot; it is the same one until something in it changes.
func (s *Stack) Addresses() *Addresses {
	if s.addresses == nil {
		s.addresses = s.snapshot()
	}
	return s.addresses
}

func (s *Stack) snapshot() *Addresses {
	a := &Addresses{
		dvipas:     make(map[netip.Addr]address, len(s.dvipas)),
		ranges:     s.definition.Ranges,
		rules:      s.rules(),
		self:       s.self.XCF,
		xcf:        map[netip.Addr]bool{s.self.XCF: true},
		xcfNetwork: s.xcfNetwork,
	}
	for xcf := range s.members {
		a.xcf[xcf] = true
	}
	for _, at := range s.sortedDVIPAs() {
		d := s.dvipas[at]
		a.dvipas[at] = s.describe(d)
		if d.ranged != nil {
			a.ranged = append(a.ranged, at)
		}
	}
	return a
}

// describe is what binds need to know of one DVIPA. One that a bind is to activate is not active
// yet, though it may be an address of this stack still, from an owner that is gone.
func (s *Stack) describe(d *dvipa) address {
	in := rangeOf(s.definition.Ranges, d.address)
	if s.activates(d.address) {
		return activatedIn(*in)
	}
	owner, lives := s.owner(d)
	return address{
		left:         !lives && !s.contended(d),
		owner:        owner.XCF,
		dvipa:        true,
		clusterPorts: d.clusterWide,
		configured:   d.define != nil || d.rank > 0 || d.active || in != nil,
		active:       d.active,
		distribution: d.inForce(),
	}
}

// activatedIn is a DVIPA that is yet to be activated in a VIPARange.
func activatedIn(in Range) address {
	return address{
		dvipa: true, clusterPorts: in.ClusterPorts, configured: true, activates: true, distribution: in.distribution(),
	}
}

// at returns what is known of one address.
func (a *Addresses) at(one netip.Addr) address {
	if a == nil {
		return address{}
	}
	if at, ok := a.dvipas[one]; ok {
		return at
	}
	if in := rangeOf(a.ranges, one); in != nil && !a.xcf[one] {
		return activatedIn(*in)
	}
	return address{}
}

// Active says whether the DVIPA is an address of this stack.
func (a *Addresses) Active(dvipa netip.Addr) bool {
	return a != nil && a.at(dvipa).active
}

// Activates says whether a bind to the DVIPA is to activate it here (block 222).
func (a *Addresses) Activates(dvipa netip.Addr) bool { return a.at(dvipa).activates }

// Owners are the living owners of DVIPAs, by XCF address. What this stack opens to a DVIPA is to go to its owner, which
// may be this stack: where the DVIPA is an address of this stack, the kernel would look for a listener here alone.
func (a *Addresses) Owners() map[netip.Addr]netip.Addr {
	owners := make(map[netip.Addr]netip.Addr)
	if a == nil {
		return owners
	}
	for dvipa, at := range a.dvipas {
		if at.owner.IsValid() {
			owners[dvipa] = at.owner
		}
	}
	return owners
}

// ClusterPorts says whether the ports of the DVIPA are assigned cluster-wide.
func (a *Addresses) ClusterPorts(dvipa netip.Addr) bool { return a.at(dvipa).clusterPorts }

// Use says how the port of a service is assigned when it is bound (I15): Local without
// CLUSTERPORTS.
func (a *Addresses) Use(service netip.AddrPort) Use {
	service = unmapped(service)
	at := a.at(service.Addr())
	if !at.clusterPorts {
		return Local
	}
	return at.use(service.Port())
}

// use is I15 for a port of an address with CLUSTERPORTS; 0 stands for any.
func (at address) use(port uint16) Use { return assignment(at.distribution, port) }

// enumerated are the ports enumerated for distribution, if any.
func (at address) enumerated() []contract.PortRange {
	if at.distribution == nil {
		return nil
	}
	return at.distribution.Ports
}
