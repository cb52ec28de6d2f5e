package vipa

import (
	"maps"
	"slices"

	"github.com/plexlab-dev/plexlab/nodes/contract"
)

// connect is a connect() that waits until its connection is in the CRT of the owner.
type connect struct {
	id         uint64
	connection contract.Connection
	// owner and epoch are those of the ownership that was asked.
	owner contract.Member
	epoch uint64
}

// connectAsked tells the owner of a connection before its first packet, or the answer to that would
// come before the CRT knows (T31).
func (s *Stack) connectAsked(ev ConnectAsked) {
	c := connect{id: ev.ID, connection: asPackets(ev.Connection)}
	d := s.dvipas[c.connection.Local.Addr()]
	if d == nil || !d.active {
		s.do(LetConnect{ID: ev.ID})
		return
	}
	if p := d.port(c.connection.Local.Port()); p != nil {
		p.outbound = true
	}
	if d.lingers() {
		d.held[c.connection] = struct{}{}
	}
	s.ask(d, c)
}

// ask sends NEWCONN to the owner and waits for its acknowledgement; this stack as the owner
// has it in its table at once.
func (s *Stack) ask(d *dvipa, c connect) {
	owner, lives := contract.Member{}, false
	if d != nil {
		owner, lives = s.owner(d)
	}
	switch {
	case !lives && d != nil && s.contended(d):
		// The list of the next owner asks again.
		s.asked++
		c.owner, c.epoch = contract.Member{}, 0
		s.connects[s.asked] = c
		return
	case !lives:
		s.do(RefuseConnect{ID: c.id, Reason: "no stack owns the DVIPA any more, and none takes it over; replies would be lost"})
		return
	}
	c.owner, c.epoch = owner, d.listed.entry.Epoch
	newconn := contract.NEWCONN{
		DVIPA: d.address, XCF: s.self.XCF, Connections: []contract.Connection{c.connection}, Epoch: c.epoch,
	}
	if c.owner == s.self {
		s.figure13(s.self, newconn)
		s.do(LetConnect{ID: c.id})
		return
	}
	s.asked++
	s.connects[s.asked] = c
	newconn.Acknowledge = s.asked
	s.tell(c.owner.XCF, newconn)
}

// askAgain asks the present owners for what others were asked, or the same at another epoch.
func (s *Stack) askAgain() {
	for _, number := range slices.Sorted(maps.Keys(s.connects)) {
		c := s.connects[number]
		d := s.dvipas[c.connection.Local.Addr()]
		if d != nil {
			if owner, lives := s.owner(d); lives && owner == c.owner && d.listed.entry.Epoch == c.epoch {
				continue
			}
		}
		delete(s.connects, number)
		s.ask(d, c)
	}
}

// acknowledged: the owner has the connection in its CRT. A number that nobody waits for is one of
// a connect() that has given up.
func (s *Stack) acknowledged(from contract.Member, number uint64) {
	c, ok := s.connects[number]
	if !ok || c.owner != from {
		return
	}
	delete(s.connects, number)
	s.do(LetConnect{ID: c.id})
}

// giveUp forgets connects whose connection has ended before it began.
func (s *Stack) giveUp(ended []contract.Connection) {
	if len(s.connects) == 0 {
		return
	}
	gone := set(ended)
	maps.DeleteFunc(s.connects, func(_ uint64, c connect) bool {
		_, ok := gone[c.connection]
		return ok
	})
}
