package main

import (
	"net/netip"
	"time"

	"github.com/plexlab-dev/plexlab/nodes/vipa"
)

// Without a port file the members agree by number on who goes on as the plex: of those that saw one another until some
// fell silent the larger part, of two equal ones the part with the lowest XCF address. The smaller part gives up what it
// owns. Who sees nobody any more asks the network to the outside besides, see witness.
//
// A stack that was stopped does not know what the others have agreed on meanwhile: it answers for
// nothing until it has had the time to notice that they gave it up.

const (
	// stoppedAfter is how long a stack goes without a beat before it counts as stopped. Others begin to miss it
	// about then.
	stoppedAfter = 100 * time.Millisecond
	// listWithin is how long the list of a new member is waited for before an epoch is taken.
	listWithin = 500 * time.Millisecond
)

// agreement is what that takes to know. It is part of surroundings, and used where these have no peers.
type agreement struct {
	self   netip.Addr
	change time.Time // when a member was lost, or joined, last
	awake  time.Time // when it was seen last that this stack runs
	// stopped: this stack was stopped, and before fence it cannot know what became of it.
	stopped bool
	fence   time.Time
	witness
}

// agree decides about those that fell silent once all of them are known.
func (s *surroundings) agree(now time.Time) (news []vipa.Event) {
	a := &s.agreement
	if now.Sub(a.change) < sightSettles || now.Before(a.fence) {
		return nil
	}
	switch silent := s.silent(); {
	case len(silent) == 0:
	case s.leftAlone():
		s.begin(len(silent) > 1, a.stopped)
	case s.outnumbers(silent):
		for _, lost := range silent {
			lost.told = vipa.CutOff
			news = append(news, vipa.MemberLost{Member: lost.Member, Cause: vipa.CutOff})
		}
	case !s.isolated:
		s.isolated, s.seen = true, true
		news = append(news, vipa.Isolated{OthersSee: true})
	}
	a.stopped = false
	return news
}

// runs takes in that this stack runs; it is called with each beat.
func (s *surroundings) runs() {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	if s.peers == nil && s.wasStopped(now) {
		s.stopped, s.fence = true, now.Add(sightSettles)
		s.stir()
	}
	s.awake = now
}

func (a *agreement) wasStopped(now time.Time) bool {
	return !a.awake.IsZero() && now.Sub(a.awake) > stoppedAfter
}

// silent are the stacks that fell silent and were not decided about.
func (s *surroundings) silent() map[netip.Addr]*lostStack {
	silent := make(map[netip.Addr]*lostStack)
	for xcf, lost := range s.lost {
		if lost.told == vipa.Silent {
			silent[xcf] = lost
		}
	}
	return silent
}

// outnumbers says whether the part that this stack is in goes on.
func (s *surroundings) outnumbers(silent map[netip.Addr]*lostStack) bool {
	alive := len(s.members) + 1
	if alive != len(silent) {
		return alive > len(silent)
	}
	lowest := s.agreement.self
	for xcf := range s.members {
		if xcf.Less(lowest) {
			lowest = xcf
		}
	}
	for xcf := range silent {
		if xcf.Less(lowest) {
			return false
		}
	}
	return true
}

// unsure: this stack was stopped, or is left alone, and may have been given up.
func (s *surroundings) unsure() bool {
	if s.peers != nil {
		return false // the epochs beside the port file say it
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stopped || s.doubt || s.wasStopped(time.Now())
}

// informed: nobody is in sight who may know of epochs that this stack does not.
func (s *surroundings) informed() bool {
	if s.peers != nil {
		return true // the epochs beside the port file say it
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.isolated || len(s.silent()) > 0 {
		return false
	}
	for _, heard := range s.members {
		if !heard.list && time.Since(heard.since) < listWithin {
			return false
		}
	}
	return true
}
