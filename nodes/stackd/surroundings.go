package main

import (
	"net/netip"
	"sync"
	"time"

	"github.com/plexlab-dev/plexlab/nodes/cf"
	"github.com/plexlab-dev/plexlab/nodes/contract"
	"github.com/plexlab-dev/plexlab/nodes/contract/portfile"
	"github.com/plexlab-dev/plexlab/nodes/vipa"
	"github.com/plexlab-dev/plexlab/nodes/xcf"
)

const (
	// stillAfter is how old the last beat of a stack is that does not run.
	stillAfter = 3 * portfile.BeatInterval
	// gatherAtLeast and gatherAtMost bound the time from the start until DVIPAs are taken: those who live
	// have to be heard first.
	gatherAtLeast = 60 * time.Millisecond
	gatherAtMost  = 500 * time.Millisecond
)

// surroundings are what a stack knows of the others beyond their HELLOs: whose process lives, who is frozen,
// who sees whom. With the port file each of them tells so there.
type surroundings struct {
	// peers are the other stacks as the port file shows them; nil where there is none.
	peers func() ([]cf.Peer, error)
	post  func(vipa.Event)
	began time.Time

	mu sync.Mutex
	// members are those of the group, and whether their list was heard.
	members map[netip.Addr]*memberHeard
	// lost are members that were lost without the end of their process.
	lost     map[netip.Addr]contract.Member
	gathered bool
	isolated bool
	seen     bool // of isolated: others see one another
}

type memberHeard struct{ list bool }

func newSurroundings(peers func() ([]cf.Peer, error), post func(vipa.Event)) *surroundings {
	return &surroundings{
		peers: peers, post: post, began: time.Now(),
		members: make(map[netip.Addr]*memberHeard), lost: make(map[netip.Addr]contract.Member),
	}
}

// joined takes in a member.
func (s *surroundings) joined(m contract.Member) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.members[m.XCF] = &memberHeard{}
	delete(s.lost, m.XCF)
	s.isolated = false
}

// listHeard takes in that the list of a member came.
func (s *surroundings) listHeard(m contract.Member) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if heard := s.members[m.XCF]; heard != nil {
		heard.list = true
	}
}

// left takes out a member and says why it was lost, as far as that can be told.
func (s *surroundings) left(m contract.Member, reason xcf.Reason) vipa.Cause {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.members, m.XCF)
	switch reason {
	case xcf.Ended, xcf.Restarted:
		return vipa.Ended
	case xcf.Left:
		return vipa.Left
	}
	cause := s.causeOf(m)
	if cause != vipa.Ended {
		s.lost[m.XCF] = m
	}
	return cause
}

// causeOf is why a stack that is not heard is silent.
func (s *surroundings) causeOf(m contract.Member) vipa.Cause {
	peer, there, known := s.peer(m.XCF)
	switch {
	case !known:
		return vipa.Silent
	case !there, !peer.Alive, peer.Incarnation != m.Incarnation:
		return vipa.Ended
	case peer.Beats && peer.Age > stillAfter:
		return vipa.Frozen
	}
	return vipa.Silent
}

// lives says whether the process of a stack lives; one of which nothing is known does.
func (s *surroundings) lives(m contract.Member) bool {
	peer, there, known := s.peer(m.XCF)
	return !known || there && peer.Alive && peer.Incarnation == m.Incarnation
}

// peer finds a stack in the port file; known is false where that cannot be asked.
func (s *surroundings) peer(at netip.Addr) (peer cf.Peer, there, known bool) {
	if s.peers == nil {
		return cf.Peer{}, false, false
	}
	peers, err := s.peers()
	if err != nil {
		return cf.Peer{}, false, false
	}
	for _, p := range peers {
		if p.XCF == at {
			return p, true, true
		}
	}
	return cf.Peer{}, false, true
}

// look tells the core what has become of the others since the last time; it is called with each beat.
func (s *surroundings) look() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.gathered && s.allHeard() {
		s.gathered = true
		s.post(vipa.Gathered{})
	}
	for xcf, m := range s.lost {
		if cause := s.causeOf(m); cause == vipa.Ended {
			delete(s.lost, xcf)
			s.post(vipa.MemberLost{Member: m, Cause: cause})
		}
	}
	if len(s.members) == 0 && s.gathered {
		s.lookAlone()
	}
}

// allHeard: the time to hear the others is over, or there is nobody left to hear.
func (s *surroundings) allHeard() bool {
	since := time.Since(s.began)
	if since < gatherAtLeast || since >= gatherAtMost || s.peers == nil {
		return since >= gatherAtMost
	}
	peers, err := s.peers()
	if err != nil {
		return false
	}
	for _, p := range peers {
		if heard := s.members[p.XCF]; p.Alive && (heard == nil || !heard.list) {
			return false
		}
	}
	return true
}

// lookAlone finds out whether this stack is cut off from others that live.
func (s *surroundings) lookAlone() {
	if s.peers == nil {
		return
	}
	peers, err := s.peers()
	if err != nil {
		return
	}
	others, seen := false, false
	for _, p := range peers {
		if p.Alive && p.Beats && p.Age <= stillAfter {
			others = true
			seen = seen || p.Sees > 0
		}
	}
	if others && (!s.isolated || s.seen != seen) {
		s.isolated, s.seen = true, seen
		s.post(vipa.Isolated{OthersSee: seen})
	}
}
