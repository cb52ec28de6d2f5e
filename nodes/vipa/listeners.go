package vipa

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"

	"github.com/plexlab-dev/plexlab/nodes/contract"
)

// listeners are the listening sockets of the stack, found by socket and by local address.
type listeners struct {
	byID      map[uint64]Listener
	byAddress map[netip.Addr]map[uint16]map[uint64]Listener // by port and ID
}

func newListeners() listeners {
	return listeners{
		byID:      make(map[uint64]Listener),
		byAddress: make(map[netip.Addr]map[uint16]map[uint64]Listener),
	}
}

func (ls listeners) add(l Listener) {
	ls.byID[l.ID] = l
	address, port := l.Local.Addr(), l.Local.Port()
	if ls.byAddress[address] == nil {
		ls.byAddress[address] = make(map[uint16]map[uint64]Listener)
	}
	if ls.byAddress[address][port] == nil {
		ls.byAddress[address][port] = make(map[uint64]Listener)
	}
	ls.byAddress[address][port][l.ID] = l
}

func (ls listeners) remove(l Listener) {
	delete(ls.byID, l.ID)
	address, port := l.Local.Addr(), l.Local.Port()
	delete(ls.byAddress[address][port], l.ID)
	if len(ls.byAddress[address][port]) == 0 {
		delete(ls.byAddress[address], port)
	}
	if len(ls.byAddress[address]) == 0 {
		delete(ls.byAddress, address)
	}
}

// on counts the sockets that listen on exactly this address and port.
func (ls listeners) on(local netip.AddrPort) int {
	return len(ls.byAddress[local.Addr()][local.Port()])
}

// reaching returns the sockets that connections to the DVIPA can reach, in order of ID.
func (ls listeners) reaching(dvipa netip.Addr) []Listener {
	var found []Listener
	for _, local := range []netip.Addr{dvipa, netip.IPv4Unspecified(), netip.IPv6Unspecified()} {
		for _, same := range ls.byAddress[local] {
			for _, l := range same {
				if l.takes(dvipa) {
					found = append(found, l)
				}
			}
		}
	}
	slices.SortFunc(found, func(a, b Listener) int { return cmp.Compare(a.ID, b.ID) })
	return found
}

// listenStarted: block 128 runs by itself when an application starts to listen.
func (s *Stack) listenStarted(l Listener) {
	l.Local = unmapped(l.Local)
	if old, ok := s.listeners.byID[l.ID]; ok {
		if old == l {
			return
		}
		s.listenEnded(l.ID)
	}
	s.listeners.add(l)

	number := l.Local.Port()
	if p := s.dvipas[l.Local.Addr()].port(number); p != nil {
		p.listened = true
	}
	targets := s.targetsOf(l)
	if len(targets) == 0 {
		conventional5(&s.trace)
	}
	for _, d := range targets {
		switch s.figure5(d, l, &s.trace) {
		case announced:
			d.listed.services[number]++
			if d.listed.services[number] == 1 {
				s.announce(d, number, true)
			}
		case unique:
			// The message of 506; the one of 228 came before.
			if s.listeners.on(l.Local) == 1 {
				d.ports[number].routed = true
				s.announceUnique(d, number, true)
			}
		}
	}
	if d := s.dvipas[l.Local.Addr()]; d != nil {
		s.reroute(d, number)
	}
}

// listenEnded is Figure 14, and Figure 6 as far as it is about listening sockets. The last socket
// of a service tells that listening ended (I9); block 130 sends that message too. The port is
// given back where nothing else uses it (I18).
func (s *Stack) listenEnded(id uint64) {
	l, ok := s.listeners.byID[id]
	if !ok {
		return
	}
	s.listeners.remove(l)
	number := l.Local.Port()
	at := s.dvipas[l.Local.Addr()]
	p := at.port(number)

	// The end of the socket itself is no second one.
	if known := s.sockets[id]; known != nil {
		known.listened = true
	}
	associated := false
	for _, d := range s.targetsOf(l) {
		how := s.figure5(d, l, nil)
		if d != at && how == plain {
			continue
		}
		associated = true
		s.figure14(d, at.assigned(number))
		s.figure6(d, at.assigned(number), how == announced)
		switch {
		case how == announced:
			d.listed.services[number]--
			if d.listed.services[number] == 0 {
				delete(d.listed.services, number)
				s.block194(at.assigned(number))
				s.announce(d, number, false)
			}
		case how == unique && s.listeners.on(l.Local) == 0:
			p.routed = false
			s.block194(p.use)
			s.announceUnique(d, number, false)
		}
	}
	if !associated {
		s.figure14(at, at.assigned(number))
		s.figure6(at, at.assigned(number), false)
	}
	if p == nil || s.listeners.on(l.Local) > 0 {
		return
	}
	p.withheld = false
	_, bound := p.sockets[id]
	if others := len(p.sockets); others == 0 || bound && others == 1 {
		s.release(at, number)
	}
}

// block194: the message to the routing stack, which is that of block 610 too. Without CLUSTERPORTS
// it is one of the updates of 184.
func (s *Stack) block194(use Use) {
	if use != Local {
		s.pass("fig14/194->end")
	}
	s.pass("fig06/610->end")
}

// figure5 is that of a listener that takes connections to the DVIPA.
func (s *Stack) figure5(d *dvipa, l Listener, trace *trace) opening {
	if s.heldBack(d, l) {
		return plain
	}
	var dist *contract.Distribution
	if d.listed != nil && d.listed.candidate {
		dist = d.listed.entry.Distribution
	}
	if l.Local.Addr().IsUnspecified() {
		return figure5(l, dist, Local, false, s.variant, trace)
	}
	number := l.Local.Port()
	if p := d.port(number); p != nil {
		return figure5(l, dist, p.use, true, s.variant, trace)
	}
	cluster := Local
	if d.clusterWide && !d.marking {
		cluster = assignment(d.inForce(), number)
	}
	return figure5(l, dist, cluster, false, s.variant, trace)
}

// targetsOf returns the DVIPAs that the socket takes connections of and that this stack is a
// candidate target for or, for the very port, the holder (I16); in order of address.
func (s *Stack) targetsOf(l Listener) []*dvipa {
	addresses := []netip.Addr{l.Local.Addr()}
	if l.Local.Addr().IsUnspecified() {
		addresses = s.sortedDVIPAs()
	}
	var targets []*dvipa
	for _, address := range addresses {
		d := s.dvipas[address]
		if d == nil || !l.takes(address) {
			continue
		}
		holder := address == l.Local.Addr() && d.assigned(l.Local.Port()) == Unique
		if holder || d.listed != nil && d.listed.candidate {
			targets = append(targets, d)
		}
	}
	return targets
}

// block128 counts anew which sockets take part, after the owner's list came. before holds the
// services that this very owner was told of already.
func (s *Stack) block128(d *dvipa, before map[uint16]int) {
	l := d.listed
	s.count(d)
	routes := d.routes()
	if len(l.services) > 0 || len(routes) > 0 {
		s.pass("fig11/128-yes->130", "fig11/130->131")
	} else {
		s.pass("fig11/128-no->131")
	}
	s.block130Unique(d, routes)
	for _, port := range slices.Sorted(maps.Keys(before)) {
		if l.services[port] == 0 {
			s.block130(d, port, false)
		}
	}
	for _, port := range slices.Sorted(maps.Keys(l.services)) {
		s.block130(d, port, true)
	}
}

// count lets every listener that reaches the DVIPA pass Figure 5 anew: which sockets take part in
// distribution, and which unique ports have a listener.
func (s *Stack) count(d *dvipa) {
	if d.listed != nil {
		d.listed.services = make(map[uint16]int)
	}
	for _, l := range s.listeners.reaching(d.address) {
		switch number := l.Local.Port(); s.figure5(d, l, &s.trace) {
		case announced:
			d.listed.services[number]++
		case unique:
			p := d.ports[number]
			p.routed, p.withheld, p.listened = true, false, true
		}
	}
}

// recount tells the owner what has changed because ports are held that listeners had before:
// what is a unique port now first, so that at no time nobody has it.
func (s *Stack) recount(d *dvipa) {
	var before map[uint16]int
	if d.listed != nil {
		before = d.listed.services
	}
	known := d.routes()
	s.count(d)
	for _, number := range d.routes() {
		if _, told := slices.BinarySearch(known, number); !told {
			s.announceUnique(d, number, true)
		}
	}
	for _, number := range slices.Sorted(maps.Keys(before)) {
		if d.listed.services[number] == 0 {
			s.announce(d, number, false)
		}
	}
	if d.listed == nil {
		return
	}
	for _, number := range slices.Sorted(maps.Keys(d.listed.services)) {
		if before[number] == 0 {
			s.announce(d, number, true)
		}
	}
}

// block130Unique tells the routing stack of unique ports; who is no candidate does it too (I16).
func (s *Stack) block130Unique(d *dvipa, ports []uint16) {
	for _, number := range ports {
		s.announceUnique(d, number, true)
	}
}

// announce is block 130 after block 128 ran by itself. With no routing stack alive there is
// nobody to tell; the next one's list asks again.
func (s *Stack) announce(d *dvipa, port uint16, listening bool) {
	if _, lives := s.owner(d); lives {
		s.pass("fig11/128-yes->130")
		s.block130(d, port, listening)
	}
}

// block130 tells the routing stack that listening on a port of the DVIPA began or ended.
func (s *Stack) block130(d *dvipa, port uint16, listening bool) {
	s.tell(d.listed.owner.XCF, contract.SRVSTAT{
		Service:   netip.AddrPortFrom(d.address, port),
		XCF:       s.self.XCF,
		Listening: listening,
		Epoch:     d.listed.entry.Epoch,
	})
}

// unmapped takes a socket address as the family that its packets have.
func unmapped(a netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(a.Addr().Unmap().WithZone(""), a.Port())
}
