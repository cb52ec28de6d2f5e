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
	// soon is the time between two looks at the others while it is open what became of one: until
	// openFor after somebody was lost, or joined. Later a beat will do.
	soon    = 4 * time.Millisecond
	openFor = 500 * time.Millisecond
	// sightSettles is how long two sides of a cut may differ in when they notice it: what others say they
	// see is believed when they have said so for that long.
	sightSettles = 3 * portfile.BeatInterval
)

// surroundings are what a stack knows of the others beyond their HELLOs: whose process lives, who is frozen,
// who sees whom. With the port file each of them tells so there.
type surroundings struct {
	// peers are the other stacks as the port file shows them; nil where there is none.
	peers func() ([]cf.Peer, error)
	sight func() int // how many partners are heard
	post  func(vipa.Event)
	began time.Time // to gather
	// stirred, of capacity 1, says that there is something to find out.
	stirred chan struct{}

	// order is held while something is found out and told, so that the core hears of it in order. It is
	// locked before mu, and never by what the core waits for.
	order sync.Mutex

	mu sync.Mutex
	// members are those of the group, and whether their list was heard.
	members map[netip.Addr]*memberHeard
	// lost are stacks of which it is of interest what became of them: they were lost without the end
	// of their process, or left in order, or took a DVIPA from this one unseen.
	lost     map[netip.Addr]*lostStack
	gathered bool
	alone    sighting // while no partner is heard
	isolated bool
	seen     bool // of isolated: others see one another
	departed bool // from the group, by command
	agreement
}

type memberHeard struct {
	list  bool
	since time.Time
}

// A lostStack is what is known of it, and what the core was told.
type lostStack struct {
	contract.Member
	told  vipa.Cause
	sight sighting
	// had are the DVIPAs that it owned, where the agreement asks for them.
	had []netip.Addr
}

// A sighting is since when it has been so that somebody sees others; zero: it is not so.
type sighting time.Time

// settled takes in whether it is so now, and says whether it has been for sightSettles.
func (s *sighting) settled(so bool, now time.Time) bool {
	switch {
	case !so:
		*s = sighting{}
	case time.Time(*s).IsZero():
		*s = sighting(now)
	}
	return so && now.Sub(time.Time(*s)) >= sightSettles
}

func newSurroundings(self netip.Addr, peers func() ([]cf.Peer, error), sight func() int, post func(vipa.Event)) *surroundings {
	return &surroundings{
		peers: peers, sight: sight, post: post, began: time.Now(), stirred: make(chan struct{}, 1), agreement: agreement{self: self},
		members: make(map[netip.Addr]*memberHeard), lost: make(map[netip.Addr]*lostStack),
	}
}

// joined takes in a member and tells of it.
func (s *surroundings) joined(m contract.Member) {
	s.order.Lock()
	defer s.order.Unlock()
	if s.takeIn(m) {
		s.post(vipa.Gathering{})
	}
	s.post(vipa.MemberJoined{Member: m})
}

// takeIn is the part of joined that is not told. Where it is the first member again, who is cut off has to be
// told anew, and those who live have to be heard anew before anything is taken.
func (s *surroundings) takeIn(m contract.Member) (gathers bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.change = time.Now()
	if len(s.members) == 0 {
		if gathers = s.gathered; gathers {
			s.gathered, s.began = false, s.change
			s.stir()
		}
		for _, lost := range s.lost {
			if lost.told == vipa.CutOff || lost.told == vipa.Parted {
				lost.told, lost.sight = vipa.Silent, sighting{}
			}
		}
	}
	s.members[m.XCF] = &memberHeard{since: s.change}
	delete(s.lost, m.XCF)
	s.isolated, s.alone, s.asking = false, sighting{}, false
	return gathers
}

// listHeard takes in that the list of a member came.
func (s *surroundings) listHeard(m contract.Member) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if heard := s.members[m.XCF]; heard != nil {
		heard.list = true
	}
}

// left takes out a member and tells why it was lost, as far as that is known.
func (s *surroundings) left(m contract.Member, reason xcf.Reason) {
	s.order.Lock()
	defer s.order.Unlock()
	s.post(vipa.MemberLost{Member: m, Cause: s.takeOut(m, reason)})
}

// takeOut is the part of left that is not told.
func (s *surroundings) takeOut(m contract.Member, reason xcf.Reason) vipa.Cause {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.stir()
	delete(s.members, m.XCF)
	s.change = time.Now()
	switch reason {
	case xcf.Ended, xcf.Restarted:
		return vipa.Ended
	case xcf.Left:
		s.lost[m.XCF] = &lostStack{Member: m, told: vipa.Left}
		return vipa.Left
	}
	lost := &lostStack{Member: m, told: vipa.Silent, had: s.ownedBy(m.XCF)}
	if sky, ok := s.survey(); ok {
		lost.told = sky.causeOf(lost, time.Now())
	}
	if lost.told != vipa.Ended {
		s.lost[m.XCF] = lost
	}
	return lost.told
}

// owns says whether a stack, which took a DVIPA without a word, may be waited for: its process
// lives, as far as that can be told, and is neither frozen nor cut off. The core is told when that ends.
func (s *surroundings) owns(m contract.Member) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.stir()
	if s.members[m.XCF] != nil {
		return true
	}
	sky, ok := s.survey()
	if !ok {
		return true
	}
	lost := s.lost[m.XCF]
	if lost == nil || lost.Incarnation != m.Incarnation {
		lost = &lostStack{Member: m, told: vipa.Silent}
	}
	if lost.told == vipa.Left {
		return false
	}
	lost.told = sky.causeOf(lost, time.Now())
	if lost.told == vipa.Ended {
		delete(s.lost, m.XCF)
		return false
	}
	s.lost[m.XCF] = lost
	return lost.told == vipa.Silent || lost.told == vipa.Parted
}

// depart and comeBack take in that an operator takes this stack out of its group, and brings it
// back: whom it does not see meanwhile says nothing.
func (s *surroundings) depart() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.departed = true
}

func (s *surroundings) comeBack() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.departed, s.alone = false, sighting{}
	s.stir()
}

// stir has the others looked at.
func (s *surroundings) stir() {
	select {
	case s.stirred <- struct{}{}:
	default:
	}
}

// look tells the core what has become of the others since the last time, and returns the time until it is to be
// called again.
func (s *surroundings) look() time.Duration {
	s.order.Lock()
	defer s.order.Unlock()
	now := time.Now()
	for _, event := range s.news(now) {
		s.post(event)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.settled():
		return time.Hour
	case s.gathered && now.Sub(s.change) < openFor:
		return soon
	}
	return portfile.BeatInterval
}

// settled: there is nothing to find out. A survey asks for a lock a stack.
func (s *surroundings) settled() bool {
	return s.gathered && len(s.lost) == 0 && !s.isAlone() && !s.stopped
}

// isAlone: no partner is heard, and not by an operator's command.
func (s *surroundings) isAlone() bool { return len(s.members) == 0 && !s.departed }

// news is what to tell.
func (s *surroundings) news(now time.Time) (news []vipa.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.settled() {
		return nil
	}
	sky, ok := s.survey()
	if !s.gathered && s.allHeard(sky, ok, now) {
		s.gathered = true
		s.doubt = s.doubt && s.asking // those who live know of who took what
		news = append(news, vipa.Gathered{})
	}
	if s.peers == nil {
		news = append(news, s.agree(now)...)
	}
	if !ok {
		return news
	}
	for xcf, lost := range s.lost {
		cause := sky.causeOf(lost, now)
		if cause == lost.told || lost.told == vipa.Left && cause != vipa.Ended {
			continue
		}
		lost.told = cause
		if cause == vipa.Ended {
			delete(s.lost, xcf)
		}
		news = append(news, vipa.MemberLost{Member: lost.Member, Cause: cause})
	}
	if s.isAlone() && s.gathered {
		news = append(news, s.lookAlone(sky, now)...)
	}
	return news
}

// allHeard: the time to hear the others is over, or there is nobody left to hear.
func (s *surroundings) allHeard(sky sky, ok bool, now time.Time) bool {
	since := now.Sub(s.began)
	if since < gatherAtLeast || since >= gatherAtMost || !ok {
		return since >= gatherAtMost
	}
	for xcf, p := range sky.peers {
		if heard := s.members[xcf]; p.Alive && (heard == nil || !heard.list) {
			return false
		}
	}
	return true
}

// lookAlone finds out whether this stack is cut off from others that live.
func (s *surroundings) lookAlone(sky sky, now time.Time) []vipa.Event {
	others, seen := false, false
	for _, p := range sky.peers {
		if runs(p) {
			others = true
			seen = seen || p.Sees > 0
		}
	}
	seen = s.alone.settled(seen, now)
	if !others || s.isolated && s.seen == seen {
		return nil
	}
	s.isolated, s.seen = true, seen
	return []vipa.Event{vipa.Isolated{OthersSee: seen}}
}

// A sky is the port file at one moment.
type sky struct {
	peers map[netip.Addr]cf.Peer
	// sees: this stack sees partners.
	sees bool
}

// survey reads the port file; not ok: there is none, or it cannot be read.
func (s *surroundings) survey() (sky, bool) {
	if s.peers == nil {
		return sky{}, false
	}
	peers, err := s.peers()
	if err != nil {
		return sky{}, false
	}
	all := sky{peers: make(map[netip.Addr]cf.Peer, len(peers)), sees: s.sight() > 0}
	for _, p := range peers {
		all.peers[p.XCF] = p
	}
	return all, true
}

// runs: the process of the stack lives and is not frozen.
func runs(p cf.Peer) bool { return p.Alive && p.Beats && p.Age <= stillAfter }

// causeOf is why a stack is not heard.
func (s sky) causeOf(lost *lostStack, now time.Time) vipa.Cause {
	peer, there := s.peers[lost.XCF]
	switch {
	case !there, !peer.Alive, peer.Incarnation != lost.Incarnation:
		return vipa.Ended
	case !peer.Beats:
		return vipa.Silent
	case !runs(peer) && peer.Age <= starvedFor && starved(peer.PID):
		return vipa.Silent // it wants to run
	case !runs(peer):
		return vipa.Frozen
	case lost.sight.settled(peer.Sees > 0, now):
		return vipa.Parted
	case peer.Sees == 0 && s.sees:
		// Of two that both see nobody neither takes from the other, whatever the rest sees.
		return vipa.CutOff
	}
	return vipa.Silent
}
