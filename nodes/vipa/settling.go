package vipa

import (
	"net/netip"

	"github.com/plexlab-dev/plexlab/nodes/contract"
)

// Between becoming the owner and having heard of every living stack's connections, what matches
// nothing is dropped silently (I20). A living owner before has given the DVIPA up when it ends the
// list; only then is it advertised here, so that at no time two answer for it.

// advertise is block 104 for a DVIPA that was acquired and told of.
func (s *Stack) advertise(d *dvipa) {
	r := d.routing
	if r.awaited != nil {
		for _, m := range s.members {
			if !m.mute {
				r.awaited[m.XCF] = m.told
			}
		}
		if r.before != nil {
			r.awaited[r.before.XCF] = s.members[r.before.XCF].told
		}
	}
	if len(r.awaited) > 0 {
		s.do(Settle{DVIPA: d.address, On: true})
	}
	if r.before == nil {
		s.do(Advertise{Prefix: r.prefix, Epoch: r.epoch})
	}
}

// awaitAlso: a stack that joins meanwhile may hold connections too.
func (s *Stack) awaitAlso(m *member) {
	for _, d := range s.dvipas {
		if d.routing != nil && len(d.routing.awaited) > 0 {
			d.routing.awaited[m.XCF] = m.told
		}
	}
}

// answered: a partner has ended the next of the lists that it was told.
func (s *Stack) answered(m *member) {
	m.mute = false
	m.ended = min(m.ended+1, m.told)
	var yielded []*dvipa
	for _, address := range s.sortedDVIPAs() {
		d := s.dvipas[address]
		if d.routing == nil {
			continue
		}
		if list, ok := d.routing.awaited[m.XCF]; ok && list <= m.ended && s.heardOut(d, m.Member) {
			yielded = append(yielded, d)
		}
	}
	s.askAnew(yielded, m.Member)
}

// heardOut: a stack has told all that it holds for the DVIPA, or never will. It returns whether that stack was
// the owner before, which has yielded now.
func (s *Stack) heardOut(d *dvipa, m contract.Member) (yielded bool) {
	r := d.routing
	if yielded = r.before != nil && same(*r.before, m); yielded {
		r.before = nil
		s.do(Advertise{Prefix: r.prefix, Epoch: r.epoch})
	}
	if _, ok := r.awaited[m.XCF]; ok {
		delete(r.awaited, m.XCF)
		if !yielded {
			s.settled(d)
		}
	}
	return yielded
}

// askAnew asks the other stacks again what they hold: until it yielded, the owner before went on to distribute, also to
// those that had told by then.
func (s *Stack) askAnew(yielded []*dvipa, before contract.Member) {
	if len(yielded) == 0 {
		return
	}
	var others []*member
	for _, m := range s.members {
		if !m.mute && m.XCF != before.XCF {
			others = append(others, m)
		}
	}
	if len(others) > 0 {
		s.broadcast(s.list)
	}
	for _, d := range yielded {
		for _, m := range others {
			d.routing.awaited[m.XCF] = m.told
		}
		s.settled(d)
	}
}

// settled ends the silence if nobody is awaited any more.
func (s *Stack) settled(d *dvipa) {
	if len(d.routing.awaited) == 0 {
		s.do(Settle{DVIPA: d.address})
	}
}

// answersNoMore: a stack is gone. If it was the owner before and may not know that it is no more, the
// DVIPA is taken anew, by which its lease runs out.
func (s *Stack) answersNoMore(m contract.Member, cause Cause) {
	var yielded []*dvipa
	for _, address := range s.sortedDVIPAs() {
		d := s.dvipas[address]
		r := d.routing
		switch {
		case r == nil:
		case r.before != nil && same(*r.before, m) && cause.mayAnswer():
			s.relinquish(d)
			d.leased = true
		case s.heardOut(d, m):
			yielded = append(yielded, d)
		}
	}
	s.askAnew(yielded, m)
}

// settleExpired: those that have not told all that they hold are not waited for any more.
func (s *Stack) settleExpired(dvipa netip.Addr) {
	d := s.dvipas[dvipa]
	if d == nil || d.routing == nil {
		return
	}
	for _, xcf := range sortedAddresses(d.routing.awaited) {
		m := s.members[xcf]
		m.mute = true
		if s.heardOut(d, m.Member) {
			s.settled(d)
		}
	}
}
