package vipa

import (
	"cmp"
	"net/netip"
	"slices"

	"github.com/plexlab-dev/plexlab/nodes/contract"
)

// Who owns a DVIPA.
//
// An owner keeps it until it must give it up, a primary takes it back, or a bind moves it. When
// there is none, the first of those that contend takes it: a stack with a link to the outside before
// one without, a primary before a backup, a higher rank before a lower one, the lower XCF address
// of equals (I10). The others stand by, for the case that it does not.
//
// Who has a DVIPA that is created twice is a table of its own, conformance/requirements/twice.yaml, which the tests
// read.

// standing is what decides between those that contend for a DVIPA.
type standing struct {
	outside, primary bool
	rank             uint8
	xcf              netip.Addr
}

// compare is negative if a comes first.
func (a standing) compare(b standing) int {
	return cmp.Or(
		compareBool(b.outside, a.outside),
		compareBool(b.primary, a.primary),
		cmp.Compare(b.rank, a.rank),
		a.xcf.Compare(b.xcf),
	)
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}

// standing is that of this stack.
func (s *Stack) standing(d *dvipa) standing {
	return standing{s.reached(), d.define != nil, d.rank, s.self.XCF}
}

// rivals are the living partners that own the DVIPA or would.
func (s *Stack) rivals(d *dvipa) []standing {
	var all []standing
	for _, m := range s.members {
		if e, ok := m.entries[d.address]; ok {
			all = append(all, standing{m.outside, e.Role == contract.RolePrimary, e.Rank, m.XCF})
		}
	}
	return all
}

// contended says whether any living stack, this one included, could take the DVIPA over, or has.
func (s *Stack) contended(d *dvipa) bool {
	return s.mayOwn(d) || s.taken(d) || len(s.rivals(d)) > 0
}

// taken: another stack has taken the DVIPA, and its list has to come.
func (s *Stack) taken(d *dvipa) bool {
	k := s.epochs[d.address]
	return k.unheard && k.holder.XCF != s.self.XCF && (s.living(k.holder) || k.lives)
}

// mayOwn says whether this stack can be the owner at all.
func (s *Stack) mayOwn(d *dvipa) bool {
	return !s.left && !s.cutOff && !d.deactivated && (d.binding != nil || d.ownedAs().Prefix.IsValid())
}

// offers says whether this stack tells others that it would own the DVIPA. One whose links to the
// outside are all down, or that no router hears, stands back.
func (s *Stack) offers(d *dvipa) bool {
	return !d.deactivated && (s.reached() || !s.self.Outside)
}

// reached: what comes from the outside for a DVIPA of this stack finds it.
func (s *Stack) reached() bool { return s.outside && s.adjacent }

// keeps says whether this stack is fit to be the owner, and to go on as it. Without a link to the outside, or a router that
// hears it there, it hands over to one that has one.
func (s *Stack) keeps(d *dvipa) bool { return s.mayOwn(d) && !s.insideOnly(d) }

// insideOnly: nothing from the outside finds this stack, and one that could own the DVIPA is found. Where the router
// has just been lost, the others may be about to say that they have lost it too.
func (s *Stack) insideOnly(d *dvipa) bool {
	if s.reached() || s.outside && !s.handOver && d.routing != nil {
		return false
	}
	return slices.ContainsFunc(s.rivals(d), func(rival standing) bool { return rival.outside })
}

// bids says what to do about a DVIPA that this stack does not own.
func (s *Stack) bids(d *dvipa) bid {
	if !s.gathered || !s.keeps(d) || s.taken(d) {
		return leaveIt
	}
	owner, lives := s.owner(d)
	switch moves := lives && owner != s.self; {
	case moves && !s.movesHere(d), !moves && d.binding == nil && s.unseen(d):
		return leaveIt
	case s.unheard(d), !moves && d.binding == nil && !s.first(d):
		return standBy
	}
	return takeIt
}

// first says whether nobody comes before this stack.
func (s *Stack) first(d *dvipa) bool {
	own := s.standing(d)
	return !slices.ContainsFunc(s.rivals(d), func(rival standing) bool { return rival.compare(own) < 0 })
}

// unheard: who had the DVIPA last has joined and not told its list yet. Of a stack that is not known
// to have had it a refusal tells.
func (s *Stack) unheard(d *dvipa) bool {
	holder := s.epochs[d.address].holder
	m := s.members[holder.XCF]
	return m != nil && same(m.Member, holder) && !m.heard
}

// movesHere: the DVIPA has a living owner elsewhere. A primary takes it at once (MOVEable IMMEDIATE)
// from a backup or a bind, and from another primary once; a bind takes it from another one
// (MOVEable NONDISRUPTIVE).
func (s *Stack) movesHere(d *dvipa) bool {
	role := d.listed.entry.Role
	return d.define != nil && (role != contract.RolePrimary || d.fresh) || d.binding != nil && role == contract.RoleRange
}

// unseen: who had the DVIPA last lives behind a cut and keeps it, unless it finds that it is the one
// that is cut off. Where both sides see partners, the one that does not have it takes it.
func (s *Stack) unseen(d *dvipa) bool {
	holder := s.epochs[d.address].holder
	was, member := s.lost[holder.XCF]
	if !member || was.incarnation != holder.Incarnation {
		return false
	}
	return was.cause == Silent || was.cause == Parted && len(s.members) == 0
}

// outsideChanged: this stack stands back, or contends again.
func (s *Stack) outsideChanged(up bool) {
	if up == s.outside {
		return
	}
	s.outside = up
	s.due = true
	s.chooseWayOut()
	s.initialize(nil, nil)
}

// adjacencyChanged is the same for routers. The way out stays: what goes there needs no route back that this stack tells of.
func (s *Stack) adjacencyChanged(now AdjacencyChanged) {
	s.adjacent, s.handOver = now.Up, now.HandOver
	s.due = true
	s.initialize(nil, nil)
}
