package main

import (
	"net/netip"
	"time"

	"github.com/plexlab-dev/plexlab/nodes/vipa"
)

// Who is left alone, without a port file, cannot tell by XCF whether the others go on without it or nobody sees anybody.
// The network to the outside can: whoever has taken a DVIPA over answers for it there. So a stack that hears nobody any more
// asks there for what it owns. Where more than one has fallen silent, these may go on as the plex, so until they would
// have taken over what it owns this stack answers for nothing; if nobody else does by then, no stack sees any other, and it
// goes on as the owner (I39). Of two stacks neither sees another when they are parted: each goes on with what
// it owns, and takes from the other one what nobody answers for any more.
//
// A stack without a link to the outside has no such witness and goes by number alone.

const (
	// askEvery is the time between two questions, and askFor how long answers to one are waited for.
	askEvery = 100 * time.Millisecond
	askFor   = 20 * time.Millisecond
	// overWithin is how much later than this stack others may notice that they are parted, and how long they may take
	// to say that they have a DVIPA, beside the lease that they wait out and the first of their chain.
	overWithin = 400 * time.Millisecond
)

// witness is what the network to the outside tells. It is part of agreement.
type witness struct {
	// outside says whether a link to it is up; nil: this stack has none.
	outside func() bool
	// owners are the owners of DVIPAs, by XCF address, as the core knows them.
	owners func() map[netip.Addr]netip.Addr
	// lapse is how long an owner that is gone may answer (portfile.Lapse).
	lapse time.Duration

	asking bool
	asked  time.Time // last
	// doubt: others may have what this stack owns, and it answers for nothing.
	doubt bool
	// mine and theirs are since when nobody else said that it has what this stack owns, and what the lost ones
	// owned; zero: it was not asked, or somebody did.
	mine, theirs time.Time
}

// leftAlone: nobody is heard, and the network can be asked.
func (s *surroundings) leftAlone() bool { return len(s.members) == 0 && s.outside != nil }

// ownedBy are the DVIPAs that a stack owns.
func (w *witness) ownedBy(xcf netip.Addr) (dvipas []netip.Addr) {
	if w.outside == nil {
		return nil
	}
	for dvipa, owner := range w.owners() {
		if owner == xcf {
			dvipas = append(dvipas, dvipa)
		}
	}
	return dvipas
}

// begin has the network asked, if it is not yet. In doubt this stack answers for nothing until the network has said enough;
// one that was stopped is in doubt again.
func (w *witness) begin(several, stopped bool) {
	if !w.asking {
		w.asking, w.asked, w.mine, w.theirs = true, time.Time{}, time.Time{}, time.Time{}
		stopped = stopped || several
	}
	if stopped {
		w.doubt, w.mine = true, time.Time{}
	}
}

// questions are the addresses to ask the network for now, if any. A stack whose links are down hears no answer, and is of
// no use as an owner.
func (s *surroundings) questions(now time.Time) (addresses []netip.Addr) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case !s.asking || s.isolated || now.Sub(s.asked) < askEvery:
		return nil
	case !s.outside():
		s.unheard()
		return nil
	}
	s.asked = now
	addresses = s.ownedBy(s.self)
	if silent := s.silent(); len(silent) == 1 {
		for _, lost := range silent {
			addresses = append(addresses, lost.had...)
		}
	}
	return addresses
}

// unheard takes in that the network could not be asked.
func (w *witness) unheard() { w.doubt, w.mine, w.theirs = true, time.Time{}, time.Time{} }

// answered takes in who had the addresses that the network was asked for: those that another station has.
func (s *surroundings) answered(elsewhere []netip.Addr, now time.Time) {
	s.order.Lock()
	defer s.order.Unlock()
	for _, event := range s.verdict(elsewhere, now) {
		s.post(event)
	}
}

// verdict is the part of answered that is not told.
func (s *surroundings) verdict(elsewhere []netip.Addr, now time.Time) (news []vipa.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.asking || s.isolated {
		return nil
	}
	owners, silent := s.owners(), s.silent()
	theirs := false
	for _, dvipa := range elsewhere {
		if owners[dvipa] == s.self {
			s.isolated, s.seen, s.doubt = true, true, false
			return []vipa.Event{vipa.Isolated{OthersSee: true}}
		}
		theirs = true
	}
	s.mine = sinceThen(s.mine, s.asked)
	if now.Sub(s.mine) >= s.lapse+standby+overWithin {
		s.doubt = false
	}
	if s.theirs = sinceThen(s.theirs, s.asked); theirs || len(silent) != 1 {
		s.theirs = time.Time{}
		return nil
	}
	for _, lost := range silent {
		if len(lost.had) > 0 && now.Sub(s.theirs) >= s.lapse {
			lost.told = vipa.CutOff
			news = append(news, vipa.MemberLost{Member: lost.Member, Cause: vipa.CutOff})
		}
	}
	return news
}

// sinceThen begins with a moment what has not begun.
func sinceThen(began, now time.Time) time.Time {
	if began.IsZero() {
		return now
	}
	return began
}

// askNetwork asks the network where that is due.
func (s *stack) askNetwork() {
	addresses := s.around.questions(time.Now())
	if len(addresses) == 0 {
		return
	}
	elsewhere, err := s.home.Elsewhere(addresses, askFor)
	if err != nil {
		s.log.Error("the network does not tell who has what", "error", err)
		s.around.untold()
		return
	}
	s.around.answered(elsewhere, time.Now())
}

// untold is unheard for who does not hold mu.
func (s *surroundings) untold() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unheard()
}
