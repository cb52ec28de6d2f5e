package vipa

import (
	"net/netip"

	"github.com/plexlab-dev/plexlab/nodes/contract"
)

// member is a living partner.
type member struct {
	contract.Member
	// unanswered counts the VIPALists sent to it that it has not ended with EndOfList.
	unanswered int
	// sources are the SOURCEIPA rules of its list.
	sources []contract.SourceIPA
}

// living says whether this very incarnation is a member; the stack itself always is.
func (s *Stack) living(m contract.Member) bool {
	if m.XCF == s.self.XCF {
		return m.Incarnation == s.self.Incarnation
	}
	partner, ok := s.members[m.XCF]
	return ok && partner.Incarnation == m.Incarnation
}

// memberJoined tells the new partner the complete list (T19); it answers as Figure 11 says. A
// new incarnation replaces the old one, which is lost first.
func (s *Stack) memberJoined(m contract.Member) {
	if m.XCF == s.self.XCF {
		s.refuse(m, "XCF address %s is this stack's own", m.XCF)
		return
	}
	if old, ok := s.members[m.XCF]; ok && old.Incarnation != m.Incarnation {
		if m.Incarnation < old.Incarnation {
			s.refuse(m, "incarnation %d of %s is over: %d lives", m.Incarnation, m.XCF, old.Incarnation)
			return
		}
		s.lose(old.Member)
	}
	s.members[m.XCF] = &member{Member: m, unanswered: 1}
	s.addresses = nil
	s.tell(m.XCF, s.list)
	s.chooseWayOut()
}

// memberLost ignores the loss of an incarnation that is over already.
func (s *Stack) memberLost(m contract.Member) {
	if m.XCF == s.self.XCF || !s.living(m) {
		return
	}
	s.lose(m)
	s.chooseWayOut()
}

// lose takes a stack that is gone out of the tables: its DPT entries and unique ports, then
// the CRT entries, so that its clients get RST. What it told as an owner stays, for connections
// and for takeover, but nobody is told anything until an owner's list comes again. Its ports in
// the coupling facility become available again (T32).
func (s *Stack) lose(m contract.Member) {
	delete(s.members, m.XCF)
	s.addresses = nil
	routing := false
	for _, address := range s.sortedDVIPAs() {
		if d := s.dvipas[address]; d.routing != nil {
			routing = true
			s.do(d.routing.lose(address, m.XCF)...)
		}
	}
	if routing {
		s.do(DropTarget{Target: m.XCF})
	}
	if s.clusterWide() {
		s.do(ReclaimPorts{Member: m})
	}
	s.askAgain()
}

// broadcast tells every partner the complete list.
func (s *Stack) broadcast() {
	for _, m := range s.members {
		m.unanswered++
	}
	s.do(Send{Message: s.list})
}

// chooseWayOut: the replies of an inside stack leave through a living stack with a link to the
// outside, the one with the lowest XCF address (T9).
func (s *Stack) chooseWayOut() {
	if s.self.Outside {
		return
	}
	var via netip.Addr
	for xcf, m := range s.members {
		if m.Outside && (!via.IsValid() || xcf.Less(via)) {
			via = xcf
		}
	}
	if via != s.wayOut {
		s.wayOut = via
		s.do(SetWayOut{Via: via})
	}
}
