package vipa

import (
	"maps"
	"net/netip"
	"slices"

	"github.com/plexlab-dev/plexlab/nodes/contract"
)

// Use is how a port of a DVIPA is assigned (I15).
type Use uint8

const (
	// Local: without CLUSTERPORTS, the kernel of the stack alone decides; the coupling facility
	// knows nothing of the port. The zero value.
	Local Use = iota
	// Shared: a distributed port, which any stack may have.
	Shared
	// Unique: one stack of the plex has it, and its connections bypass distribution.
	Unique
)

// String is the word that messages to people use.
func (u Use) String() string { return [...]string{"local", "shared", "unique"}[u] }

// PortUse is one port of a DVIPA and how it is assigned.
type PortUse struct {
	Port uint16
	Use  Use
}

// Release is one port to be given back.
type Release struct {
	Port uint16
	// Rest: it carried outbound connections, whose peers may still be in TIME_WAIT.
	Rest bool
}

// assignment is I15 for a port of a DVIPA with CLUSTERPORTS: distributed ports are shared, if
// they are enumerated, or if none is and the port was asked for by number; the others are unique.
func assignment(dist *contract.Distribution, port uint16) Use {
	if port != 0 && dist != nil && (len(dist.Ports) == 0 || enumerated(dist, port)) {
		return Shared
	}
	return Unique
}

// port is what the coupling facility notes for this stack of one port of a DVIPA.
type port struct {
	use     Use                 // never Local
	asked   Use                 // by the first bind since it was free; as it is held unless it was given back before that
	sockets map[uint64]struct{} // bound to it, as far as they were told of
	// routed: the owner is to have this stack as the holder of the unique port (I18, I19).
	routed bool
	// withheld: it would be routed if VARY did not hold it back.
	withheld bool
	// outbound: a connect() from it was asked for. rest: such a connection was established, or may have
	// been, as is known once the socket is closed.
	outbound, rest bool
	// listened: a listening socket had it since it was claimed.
	listened bool
}

// socket is a socket bound to a DVIPA, until it is closed.
type socket struct {
	local netip.AddrPort
	// chosen: the port was not asked for by number.
	chosen bool
	// listened: Figure 6 was passed when it ended listening.
	listened bool
}

// hold notes that the coupling facility has a port as this stack's. As it was claimed first it
// stays: a port that the stack holds already is not claimed again (I18).
func (d *dvipa) hold(number uint16, use Use) *port {
	if p := d.ports[number]; p != nil {
		return p
	}
	if d.ports == nil {
		d.ports = make(map[uint16]*port)
	}
	p := &port{use: use, asked: use, sockets: make(map[uint64]struct{})}
	d.ports[number] = p
	if use == Unique {
		d.uniques++
	}
	return p
}

// letGo forgets a port that was given back.
func (d *dvipa) letGo(number uint16) {
	if d.ports[number].use == Unique {
		d.uniques--
	}
	delete(d.ports, number)
}

// portBound is block 228: the owner, which may be this stack, is told of a unique port. One that
// was claimed for an outbound connection is told of by NEWCONN (T38).
func (s *Stack) portBound(ev PortBound) {
	local := unmapped(ev.Local)
	if old := s.sockets[ev.ID]; old != nil && old.local != local {
		s.socketClosed(SocketClosed{ID: ev.ID, Local: old.local, NeverConnected: ev.NeverConnected})
	}
	s.sockets[ev.ID] = &socket{local: local, chosen: ev.Chosen}
	if ev.Use == Local {
		return
	}
	d := s.dvipa(local.Addr())
	held := d.port(local.Port()) != nil
	p := d.hold(local.Port(), ev.Use)
	if len(p.sockets) == 0 {
		p.asked = ev.Use
	}
	p.sockets[ev.ID] = struct{}{}
	s.settle(d)
	switch {
	case p.use != Unique || ev.Outbound || p.routed:
	case s.portHeldBack(d, local.Port()):
		p.withheld = true
	default:
		p.routed = true
		s.announceUnique(d, local.Port(), true)
	}
	if !held && s.listeners.on(local) > 0 {
		s.recount(d)
	}
}

// portsMarked: the coupling facility has noted what was in use (T21, T22). Listeners on ports
// that are unique now leave distribution, and what has ended since then is given back.
func (s *Stack) portsMarked(ev PortsMarked) {
	d := s.dvipa(ev.DVIPA)
	d.marking = false
	found := make(map[uint16]bool)
	for _, held := range ev.Ports {
		if d.port(held.Port) != nil {
			continue
		}
		// Of connections until now nothing is known: what has neither socket nor listener has carried one.
		found[held.Port] = true
		p := d.hold(held.Port, held.Use)
		p.outbound = true
		p.rest = held.Use == Unique && s.listeners.on(netip.AddrPortFrom(d.address, held.Port)) == 0
	}
	for id, bound := range s.sockets {
		if p := d.port(bound.local.Port()); p != nil && bound.local.Addr() == d.address {
			p.sockets[id] = struct{}{}
			p.rest = p.rest && !found[bound.local.Port()]
		}
	}
	var ended []uint16
	for _, held := range ev.Ports {
		if s.unused(d, held.Port) {
			ended = append(ended, held.Port)
		}
	}
	s.recount(d)
	s.settle(d)
	if len(ended) > 0 {
		s.release(d, ended...)
	}
}

// mark asks for what is in use already to be noted.
func (s *Stack) mark(d *dvipa) {
	d.marking = true
	s.do(MarkPorts{Marking: s.marking(d, d.inForce())})
}

// socketClosed is Figure 6 for a socket bound to a DVIPA. I18: with the last socket of a unique
// port that nobody listened on its route ends; the port is given back once nothing uses it.
func (s *Stack) socketClosed(ev SocketClosed) {
	local := unmapped(ev.Local)
	known := s.sockets[ev.ID]
	if known != nil && local.IsValid() && local != known.local {
		return
	}
	if known != nil {
		local = known.local
		delete(s.sockets, ev.ID)
	}
	d := s.dvipas[local.Addr()]
	p := d.port(local.Port())
	if known == nil || !known.listened {
		s.figure6(d, d.assigned(local.Port()), false)
	}
	if p == nil {
		return
	}
	delete(p.sockets, ev.ID)
	p.rest = p.rest || p.outbound && !ev.NeverConnected
	if !s.unused(d, local.Port()) {
		return
	}
	if p.routed {
		p.routed = false
		s.pass("fig06/610->end")
		s.announceUnique(d, local.Port(), false)
	}
	s.release(d, local.Port())
}

// portsReleased: the coupling facility has made ports available (blocks 190, 608). One that was
// bound again since then has been claimed again, as it was asked for then, unless that was without CLUSTERPORTS.
func (s *Stack) portsReleased(ev PortsReleased) {
	d := s.dvipas[ev.DVIPA]
	for _, number := range ev.Ports {
		p := d.port(number)
		if p == nil {
			continue
		}
		if len(p.sockets) > 0 {
			s.reassign(d, number)
			continue
		}
		if p.routed {
			s.announceUnique(d, number, false)
		}
		s.restored(p)
		d.letGo(number)
		if s.listeners.on(netip.AddrPortFrom(d.address, number)) > 0 {
			s.recount(d)
		}
	}
	if d != nil {
		s.settle(d)
	}
}

// reassign takes over that a port is held otherwise than it was.
func (s *Stack) reassign(d *dvipa, number uint16) {
	p := d.ports[number]
	if p.use == p.asked {
		return
	}
	if p.routed {
		s.announceUnique(d, number, false)
	}
	sockets := p.sockets
	d.letGo(number)
	p = d.hold(number, p.asked)
	p.sockets = sockets
	s.recount(d)
	if p.use == Unique && !p.routed {
		p.withheld = true
		s.reroute(d, number)
	}
}

// restored is the rest of Figures 14 and 6, when the coupling facility is really changed (I18).
func (s *Stack) restored(p *port) {
	if p.listened {
		s.pass("fig14/188->190", "fig14/190->192", "fig14/192->194")
	}
	if p.use == Unique {
		s.pass("fig06/608->610")
	}
}

// release asks for ports of a DVIPA to be given back, as far as the kernel has no socket left that
// uses them.
func (s *Stack) release(d *dvipa, ports ...uint16) {
	given := ReleasePorts{DVIPA: d.address}
	for _, number := range ports {
		given.Ports = append(given.Ports, Release{Port: number, Rest: d.ports[number].rest})
	}
	s.do(given)
}

// unused: no socket is known here that is bound to the port or listens on it. What is left of its
// connections only the kernel knows.
func (s *Stack) unused(d *dvipa, number uint16) bool {
	p := d.port(number)
	return len(p.sockets) == 0 && s.listeners.on(netip.AddrPortFrom(d.address, number)) == 0
}

// releaseEnded gives ports back that the last of these connections may have used.
func (s *Stack) releaseEnded(d *dvipa, connections []contract.Connection) {
	ended := make(map[uint16]bool)
	for _, c := range connections {
		number := c.Local.Port()
		if d.port(number) != nil && s.unused(d, number) {
			ended[number] = true
		}
	}
	if len(ended) > 0 {
		s.release(d, slices.Sorted(maps.Keys(ended))...)
	}
}

// announceUnique tells the owner, if one lives, that this stack has a unique port or has it no
// more.
func (s *Stack) announceUnique(d *dvipa, number uint16, listening bool) {
	owner, lives := s.owner(d)
	if !lives {
		return
	}
	s.tell(owner.XCF, contract.SRVSTAT{
		Service: netip.AddrPortFrom(d.address, number), XCF: s.self.XCF, Listening: listening, Unique: true,
		Epoch: d.listed.entry.Epoch,
	})
}

// port returns what is held of a port, nil for nothing; the DVIPA may be nil.
func (d *dvipa) port(number uint16) *port {
	if d == nil {
		return nil
	}
	return d.ports[number]
}

// assigned is how this stack holds a port of the DVIPA, Local if it does not.
func (d *dvipa) assigned(number uint16) Use {
	if p := d.port(number); p != nil {
		return p.use
	}
	return Local
}

// routes are the unique ports that the owner is to know, in order.
func (d *dvipa) routes() []uint16 {
	var all []uint16
	for number, p := range d.ports {
		if p.routed {
			all = append(all, number)
		}
	}
	slices.Sort(all)
	return all
}

// clusterWide: the coupling facility is in use, or may be.
func (s *Stack) clusterWide() bool {
	if slices.ContainsFunc(s.definition.Ranges, func(r Range) bool { return r.ClusterPorts }) {
		return true
	}
	for _, d := range s.dvipas {
		if d.clusterWide || len(d.ports) > 0 {
			return true
		}
	}
	return false
}
