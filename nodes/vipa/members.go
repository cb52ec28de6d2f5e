package vipa

import (
	"net/netip"

	"github.com/plexlab-dev/plexlab/nodes/contract"
)

// member is a living partner.
type member struct {
	contract.Member
	// outside: its list says that a link of it to the outside is up. Before the list comes it is not known: two whose
	// links are down would send to one another.
	outside bool
	// told counts the VIPALists sent to it, and ended those that it has ended with EndOfList; it
	// answers in the order that they were sent.
	told, ended uint64
	// since is the number of the first list that it was told.
	since uint64
	// disclaimed are the epochs that it was told the end of, joining after they were over.
	disclaimed map[netip.Addr]uint64
	// heard: it has told a list.
	heard bool
	// mute: it has let a settling expire, as a stack without the function does, and is not waited for
	// again until it ends a list.
	mute bool
	// entries are those of its latest list: what it owns, or would.
	entries map[netip.Addr]contract.DVIPA
	// sources are the SOURCEIPA rules of its list.
	sources []contract.SourceIPA
}

// loss is how a stack stopped being a member.
type loss struct {
	incarnation uint64
	cause       Cause
	// sources are the SOURCEIPA rules of its last list.
	sources []contract.SourceIPA
}

// same: two mentions of one incarnation of a stack.
func same(a, b contract.Member) bool { return a.XCF == b.XCF && a.Incarnation == b.Incarnation }

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
		s.lose(old.Member, Ended)
	}
	s.drained(m.XCF)
	delete(s.lost, m.XCF)
	s.cutOff = false
	if len(s.members) == 0 {
		for xcf, was := range s.lost {
			if was.cause == CutOff || was.cause == Parted {
				was.cause = Silent
				s.lost[xcf] = was
			}
		}
	}
	s.over(func(holder contract.Member) bool {
		return holder.XCF == m.XCF && holder.Incarnation != m.Incarnation
	})
	partner := &member{Member: m, told: 1, since: s.lists}
	s.members[m.XCF] = partner
	s.addresses, s.due = nil, true
	s.tell(m.XCF, s.list)
	s.awaitAlso(partner)
	s.chooseWayOut()
}

// memberLost ignores the loss of an incarnation that is over already. Of one that is no member it
// is news that it ended.
func (s *Stack) memberLost(m contract.Member, cause Cause) {
	if m.XCF == s.self.XCF {
		return
	}
	member := s.living(m)
	if was, known := s.lost[m.XCF]; !member && known && was.incarnation == m.Incarnation {
		s.drained(m.XCF)
		was.cause = cause
		s.lost[m.XCF] = was
	}
	if member || cause != Silent && cause != Parted {
		s.over(func(holder contract.Member) bool { return same(holder, m) })
		s.due = true
	}
	if member {
		s.lose(m, cause)
		s.chooseWayOut()
	}
}

// lose takes a stack that is gone out of the tables: its DPT entries and unique ports, then
// the CRT entries, so that its clients get RST. One that left in order lives on, and the connections that it
// holds drain: of those it tells nothing more, so that they stay in the CRT until it is back or has ended. What it
// told as an owner stays, for connections and for takeover, but nobody is told anything until an owner's list comes
// again. Its ports in the coupling facility become available again (T32).
func (s *Stack) lose(m contract.Member, cause Cause) {
	s.lost[m.XCF] = loss{m.Incarnation, cause, s.members[m.XCF].sources}
	delete(s.members, m.XCF)
	s.addresses, s.due = nil, true
	s.answersNoMore(m, cause)
	for _, address := range s.sortedDVIPAs() {
		if d := s.dvipas[address]; d.routing != nil {
			s.do(d.routing.lose(address, m.XCF)...)
		}
	}
	if cause != Left {
		s.dropTarget(m.XCF)
	}
	if s.clusterWide() {
		s.do(ReclaimPorts{Member: m})
	}
	s.askAgain()
}

// drained ends what is left in the CRT of a stack that had left in order.
func (s *Stack) drained(xcf netip.Addr) {
	if was, known := s.lost[xcf]; known && was.cause == Left {
		s.dropTarget(xcf)
	}
}

// dropTarget takes a stack out of the CRT, where there is one.
func (s *Stack) dropTarget(xcf netip.Addr) {
	for _, d := range s.dvipas {
		if d.routing != nil {
			s.do(DropTarget{Target: xcf})
			return
		}
	}
}

// broadcast tells every partner a list, as a rule the complete one.
func (s *Stack) broadcast(list contract.VIPAList) {
	for _, m := range s.members {
		m.told++
	}
	s.lists++
	s.do(Send{Message: list})
}

// chooseWayOut: the replies of a stack without a link to the outside, or with none that is up, leave through a living
// stack that has one, the one with the lowest XCF address (T9). A stack that has left its group hears of nobody, and what its
// connections say while they drain goes on by the way out that it had.
func (s *Stack) chooseWayOut() {
	if s.left && !s.outside {
		return
	}
	var via netip.Addr
	for xcf, m := range s.members {
		if !s.outside && m.outside && (!via.IsValid() || xcf.Less(via)) {
			via = xcf
		}
	}
	if via != s.wayOut {
		s.wayOut = via
		s.do(SetWayOut{Via: via})
	}
}
