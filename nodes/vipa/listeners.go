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
	byAddress map[netip.Addr]map[uint64]Listener
}

func newListeners() listeners {
	return listeners{
		byID:      make(map[uint64]Listener),
		byAddress: make(map[netip.Addr]map[uint64]Listener),
	}
}

func (ls listeners) add(l Listener) {
	ls.byID[l.ID] = l
	address := l.Local.Addr()
	if ls.byAddress[address] == nil {
		ls.byAddress[address] = make(map[uint64]Listener)
	}
	ls.byAddress[address][l.ID] = l
}

func (ls listeners) remove(l Listener) {
	delete(ls.byID, l.ID)
	address := l.Local.Addr()
	delete(ls.byAddress[address], l.ID)
	if len(ls.byAddress[address]) == 0 {
		delete(ls.byAddress, address)
	}
}

// reaching returns the sockets that connections to the DVIPA can reach, in order of ID.
func (ls listeners) reaching(dvipa netip.Addr) []Listener {
	var found []Listener
	for _, local := range []netip.Addr{dvipa, netip.IPv4Unspecified(), netip.IPv6Unspecified()} {
		for _, l := range ls.byAddress[local] {
			if l.takes(dvipa) {
				found = append(found, l)
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

	targets := s.targetsOf(l)
	if len(targets) == 0 {
		conventional5(&s.trace)
	}
	for _, d := range targets {
		if !figure5(l, d.listed.entry.Distribution, s.variant, &s.trace) {
			continue
		}
		port := l.Local.Port()
		d.listed.services[port]++
		if d.listed.services[port] == 1 {
			s.announce(d, port, true)
		}
	}
}

// listenEnded: the last socket of a service tells that listening ended (I9). Block 130 sends
// that message too.
func (s *Stack) listenEnded(id uint64) {
	l, ok := s.listeners.byID[id]
	if !ok {
		return
	}
	s.listeners.remove(l)
	for _, d := range s.targetsOf(l) {
		if !figure5(l, d.listed.entry.Distribution, s.variant, nil) {
			continue
		}
		port := l.Local.Port()
		d.listed.services[port]--
		if d.listed.services[port] == 0 {
			delete(d.listed.services, port)
			s.announce(d, port, false)
		}
	}
}

// targetsOf returns the DVIPAs that this stack is a candidate target for and that the socket
// takes connections of, in order of address.
func (s *Stack) targetsOf(l Listener) []*dvipa {
	addresses := []netip.Addr{l.Local.Addr()}
	if l.Local.Addr().IsUnspecified() {
		addresses = s.sortedDVIPAs()
	}
	var targets []*dvipa
	for _, address := range addresses {
		d := s.dvipas[address]
		if d != nil && d.listed != nil && d.listed.candidate && l.takes(address) {
			targets = append(targets, d)
		}
	}
	return targets
}

// block128 counts anew which sockets take part, after the owner's list came. before holds the
// services that this very owner was told of already.
func (s *Stack) block128(d *dvipa, before map[uint16]int) {
	l := d.listed
	l.services = make(map[uint16]int)
	for _, listener := range s.listeners.reaching(d.address) {
		if figure5(listener, l.entry.Distribution, s.variant, &s.trace) {
			l.services[listener.Local.Port()]++
		}
	}
	listening := len(l.services) > 0
	if listening {
		s.pass("fig11/128-yes->130", "fig11/130->131")
	} else {
		s.pass("fig11/128-no->131")
	}
	for _, port := range slices.Sorted(maps.Keys(before)) {
		if l.services[port] == 0 {
			s.block130(d, port, false)
		}
	}
	for _, port := range slices.Sorted(maps.Keys(l.services)) {
		s.block130(d, port, true)
	}
}

// announce is block 130 after block 128 ran by itself. With no routing stack alive there is
// nobody to tell; the next one's list asks again.
func (s *Stack) announce(d *dvipa, port uint16, listening bool) {
	if s.living(d.listed.owner) {
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
