package main

import (
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/plexlab-dev/plexlab/nodes/cf"
	"github.com/plexlab-dev/plexlab/nodes/contract"
	"github.com/plexlab-dev/plexlab/nodes/contract/portfile"
	"github.com/plexlab-dev/plexlab/nodes/vipa"
	"github.com/plexlab-dev/plexlab/nodes/xcf"
)

// scene is a stack, 10.1.0.1, with its surroundings: partners 10.1.0.2 and on.
type scene struct {
	t *testing.T
	*surroundings
	sky     []cf.Peer // what the port file shows
	inSight int
	told    []vipa.Event
}

func partner(n int) contract.Member {
	return contract.Member{XCF: netip.AddrFrom4([4]byte{10, 1, 0, byte(n)}), Incarnation: uint64(n)}
}

// newScene begins with all partners in the group, and the stack gathered. Without file there is no port file.
func newScene(t *testing.T, file bool, partners ...int) *scene {
	s := &scene{t: t, inSight: len(partners)}
	var peers func() ([]cf.Peer, error)
	if file {
		peers = func() ([]cf.Peer, error) { return s.sky, nil }
	}
	s.surroundings = newSurroundings(partner(1).XCF, peers, func() int { return s.inSight }, func(e vipa.Event) { s.told = append(s.told, e) })
	for _, n := range partners {
		s.sky = append(s.sky, cf.Peer{Member: partner(n), Alive: true, Beats: true, Sees: len(partners)})
		s.joined(partner(n))
		s.listHeard(partner(n))
	}
	s.passes(gatherAtMost)
	s.told = nil
	return s
}

// passes lets time pass, in beats.
func (s *scene) passes(d time.Duration) {
	for ; d > 0; d -= portfile.BeatInterval {
		<-time.After(portfile.BeatInterval)
		s.runs()
		s.look()
	}
}

// peer is what the port file shows of a partner.
func (s *scene) peer(n int) *cf.Peer {
	for i := range s.sky {
		if s.sky[i].XCF == partner(n).XCF {
			return &s.sky[i]
		}
	}
	s.t.Fatalf("no partner %d", n)
	return nil
}

// hears checks what the core was told since the last time.
func (s *scene) hears(want ...vipa.Event) {
	s.t.Helper()
	if diff := cmp.Diff(want, s.told, cmpopts.EquateEmpty(), cmpopts.EquateComparable(netip.Addr{})); diff != "" {
		s.t.Errorf("told (-want +got):\n%s", diff)
	}
	s.told = nil
}

func lost(n int, cause vipa.Cause) vipa.Event {
	return vipa.MemberLost{Member: partner(n), Cause: cause}
}

// TestGathersAnewAfterItWasAlone: a stack that sees somebody again takes nothing until all who live are heard.
func TestGathersAnewAfterItWasAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t, true, 2, 3)
		s.left(partner(2), xcf.Silent)
		s.left(partner(3), xcf.Silent)
		s.told = nil
		s.joined(partner(2))
		s.listHeard(partner(2))
		s.hears(vipa.Gathering{}, vipa.MemberJoined{Member: partner(2)})
		s.passes(2 * gatherAtLeast)
		s.told = nil // what became of the other one
		s.joined(partner(3))
		s.hears(vipa.MemberJoined{Member: partner(3)})
		s.passes(portfile.BeatInterval)
		s.hears()
		s.listHeard(partner(3))
		s.passes(portfile.BeatInterval)
		s.hears(vipa.Gathered{})
	})
}

func TestWhyAStackIsSilent(t *testing.T) {
	for name, c := range map[string]struct {
		see   func(*cf.Peer)
		first vipa.Cause
		then  []vipa.Event // within the time that sight takes to settle
	}{
		"its process has ended":     {func(p *cf.Peer) { p.Alive = false }, vipa.Ended, nil},
		"it was started again":      {func(p *cf.Peer) { p.Incarnation++ }, vipa.Ended, nil},
		"its beat stands":           {func(p *cf.Peer) { p.Age = time.Second }, vipa.Frozen, nil},
		"it sees nobody":            {func(p *cf.Peer) { p.Sees = 0 }, vipa.CutOff, nil},
		"it sees others":            {func(*cf.Peer) {}, vipa.Silent, []vipa.Event{lost(2, vipa.Parted)}},
		"it says nothing of itself": {func(p *cf.Peer) { p.Beats = false }, vipa.Silent, nil},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newScene(t, true, 2, 3)
				c.see(s.peer(2))
				s.left(partner(2), xcf.Silent)
				s.hears(lost(2, c.first))
				s.passes(sightSettles - portfile.BeatInterval)
				s.hears()
				s.passes(2 * portfile.BeatInterval)
				s.hears(c.then...)
				s.peer(2).Alive = false
				s.passes(portfile.BeatInterval)
				if c.first == vipa.Ended {
					s.hears()
				} else {
					s.hears(lost(2, vipa.Ended))
				}
			})
		})
	}
}

// Who loses its last partner is cut off if others see one another for longer than two sides of a cut can differ.
func TestWhoIsCutOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t, true, 2, 3)
		s.left(partner(2), xcf.Silent)
		s.left(partner(3), xcf.Silent)
		s.hears(lost(2, vipa.Silent), lost(3, vipa.Silent))
		s.passes(portfile.BeatInterval)
		s.hears(vipa.Isolated{})
		s.passes(sightSettles)
		if len(s.told) == 0 || s.told[len(s.told)-1] != (vipa.Isolated{OthersSee: true}) {
			t.Errorf("told %v, want that others see one another", s.told)
		}
		s.told = nil

		// Nobody sees anybody: owners keep what they have.
		s.peer(2).Sees, s.peer(3).Sees = 0, 0
		s.passes(portfile.BeatInterval)
		if len(s.told) == 0 || s.told[len(s.told)-1] != (vipa.Isolated{}) {
			t.Errorf("told %v, want that nobody sees another", s.told)
		}
	})
}

// The network of XCF fails as a whole. Of those that see nobody any more none is cut off from others, whoever is lost
// first.
func TestNobodyIsCutOffWhereNoneSeesAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t, true, 2, 3)
		s.peer(2).Sees, s.peer(3).Sees, s.inSight = 0, 0, 0
		s.left(partner(2), xcf.Silent)
		s.passes(2 * portfile.BeatInterval)
		s.left(partner(3), xcf.Silent)
		s.passes(portfile.BeatInterval)
		s.hears(lost(2, vipa.Silent), lost(3, vipa.Silent), vipa.Isolated{})
	})
}

// A stack that an operator took out of its group is not cut off.
func TestADepartedStackIsNotCutOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t, true, 2, 3)
		s.depart()
		s.left(partner(2), xcf.Left)
		s.left(partner(3), xcf.Left)
		s.passes(2 * sightSettles)
		s.hears(lost(2, vipa.Left), lost(3, vipa.Left))
	})
}

// With a port file a stack that was stopped has the epochs beside it, and goes on to look at the others only when
// something happens.
func TestAStackThatWasStoppedComesToRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t, true, 2, 3)
		<-time.After(2 * stoppedAfter)
		s.passes(2 * openFor)
		if next := s.look(); next < time.Minute {
			t.Errorf("looks again after %v, though nothing happens", next)
		}
	})
}

// Once somebody is heard again, what was known of others behind the cut does not hold.
func TestSightIsToldAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t, true, 2, 3)
		s.peer(2).Sees, s.peer(3).Sees = 0, 0
		s.left(partner(2), xcf.Silent)
		s.inSight = 0
		s.left(partner(3), xcf.Silent)
		s.passes(portfile.BeatInterval)
		s.hears(lost(2, vipa.CutOff), lost(3, vipa.Silent), lost(2, vipa.Silent), vipa.Isolated{})
		s.inSight = 1
		s.joined(partner(3))
		s.passes(portfile.BeatInterval)
		s.hears(vipa.Gathering{}, vipa.MemberJoined{Member: partner(3)}, lost(2, vipa.CutOff))
	})
}

func TestAgreement(t *testing.T) {
	for name, c := range map[string]struct {
		partners, lost []int
		others         bool // the others go on
	}{
		"one of five":              {[]int{2, 3, 4, 5}, []int{3}, false},
		"two of five":              {[]int{2, 3, 4, 5}, []int{3, 4}, false},
		"three of five":            {[]int{2, 3, 4, 5}, []int{2, 3, 4}, true},
		"all":                      {[]int{2, 3, 4, 5}, []int{2, 3, 4, 5}, true},
		"one of two":               {[]int{2}, []int{2}, false},
		"half, with the lowest":    {[]int{0, 2, 3}, []int{0, 2}, true},
		"half, without the lowest": {[]int{0, 2, 3}, []int{2, 3}, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newScene(t, false, c.partners...)
				var want []vipa.Event
				for _, n := range c.lost {
					s.left(partner(n), xcf.Silent)
					want = append(want, lost(n, vipa.Silent))
				}
				s.passes(sightSettles - portfile.BeatInterval)
				s.hears(want...)
				if s.informed() {
					t.Error("an epoch may be taken before it is decided who goes on")
				}
				s.passes(2 * portfile.BeatInterval)
				if c.others {
					s.hears(vipa.Isolated{OthersSee: true})
				} else if len(s.told) != len(c.lost) || s.told[0].(vipa.MemberLost).Cause != vipa.CutOff {
					t.Errorf("told %v, want that %v are cut off", s.told, c.lost)
				}
				if s.informed() == c.others {
					t.Errorf("an epoch may be taken: %v", s.informed())
				}
			})
		})
	}
}

// A stack that was stopped answers for nothing until it would have noticed that it was given up.
func TestAStackThatWasStoppedIsUnsure(t *testing.T) {
	for name, given := range map[string]bool{"given up": true, "not missed": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newScene(t, false, 2, 3)
				if s.unsure() {
					t.Error("unsure from the start")
				}
				<-time.After(stoppedAfter + time.Millisecond)
				if !s.unsure() {
					t.Error("sure at once after the stop")
				}
				s.passes(portfile.BeatInterval)
				if given {
					s.left(partner(2), xcf.Reset)
					s.left(partner(3), xcf.Reset)
				}
				s.passes(sightSettles - portfile.BeatInterval)
				if !s.unsure() {
					t.Error("sure before the others' word can have come")
				}
				s.passes(2 * portfile.BeatInterval)
				if s.unsure() {
					t.Error("unsure for good")
				}
				if given && s.told[len(s.told)-1] != (vipa.Isolated{OthersSee: true}) {
					t.Errorf("told %v, want that this stack gives up", s.told)
				}
			})
		})
	}
}
