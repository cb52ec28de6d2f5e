package main

import (
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/plexlab-dev/plexlab/nodes/contract/portfile"
	"github.com/plexlab-dev/plexlab/nodes/vipa"
	"github.com/plexlab-dev/plexlab/nodes/xcf"
)

// A network is what a stack, 10.1.0.1, that is left alone without a port file hears on its outside link.
type network struct {
	*scene
	up        bool
	elsewhere []netip.Addr // that others answer for
	asked     []netip.Addr // last
}

var (
	ownDVIPA   = netip.MustParseAddr("192.0.2.1")
	theirDVIPA = netip.MustParseAddr("192.0.2.2")
)

const testLapse = 200 * time.Millisecond

// leftAlone is a stack that owns ownDVIPA and has lost all its partners. The first of them owns theirDVIPA.
func leftAlone(t *testing.T, partners ...int) *network {
	n := &network{scene: newScene(t, false, partners...), up: true}
	n.witness = witness{lapse: testLapse, outside: func() bool { return n.up }, owners: func() map[netip.Addr]netip.Addr {
		return map[netip.Addr]netip.Addr{ownDVIPA: partner(1).XCF, theirDVIPA: partner(partners[0]).XCF}
	}}
	var want []vipa.Event
	for _, p := range partners {
		n.left(partner(p), xcf.Silent)
		want = append(want, lost(p, vipa.Silent))
	}
	n.hears(want...)
	n.passes(sightSettles)
	return n
}

// asks lets time pass while the network is asked as often as the stack wants to.
func (n *network) asks(d time.Duration) {
	for ; d > 0; d -= portfile.BeatInterval {
		n.passes(portfile.BeatInterval)
		if n.asked = n.questions(time.Now()); len(n.asked) > 0 {
			n.answered(slices.DeleteFunc(n.asked, func(a netip.Addr) bool { return !slices.Contains(n.elsewhere, a) }), time.Now())
		}
	}
}

func (n *network) expectUnsure(want bool, when string) {
	n.t.Helper()
	if got := n.unsure(); got != want {
		n.t.Errorf("%s: unsure: %v, want %v", when, got, want)
	}
}

// overLimit is when the others would have taken over at the latest, by beats.
const overLimit = testLapse + standby + overWithin + 2*askEvery

// Where nobody answers for what it owns, no stack sees any other, and owners keep theirs.
func TestWhoIsLeftAloneKeepsWhatNobodyTakes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := leftAlone(t, 2, 3)
		n.expectUnsure(true, "at first")
		n.asks(testLapse + standby)
		n.expectUnsure(true, "while others may yet take over")
		n.asks(overWithin + 2*askEvery)
		n.expectUnsure(false, "at last")
		n.hears()
		if n.informed() {
			t.Error("an epoch may be taken, though others may have taken one")
		}
	})
}

// Where somebody does, the others go on as the plex.
func TestWhoIsLeftAloneGivesUpWhatOthersTake(t *testing.T) {
	for name, after := range map[string]time.Duration{"in time": testLapse, "late": 2 * overLimit} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := leftAlone(t, 2, 3)
				n.asks(after)
				n.elsewhere = []netip.Addr{ownDVIPA}
				n.asks(2 * askEvery)
				n.hears(vipa.Isolated{OthersSee: true})
				n.elsewhere = nil
				n.asks(2 * overLimit)
				n.hears()
				if len(n.asked) > 0 {
					t.Errorf("asks for %v still", n.asked)
				}
			})
		})
	}
}

// Two that are parted keep what they have; what the other one had nobody answers for when that one is frozen or
// gone.
func TestOneOfTwo(t *testing.T) {
	for name, answers := range map[string]bool{"parted": true, "the other one frozen": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := leftAlone(t, 2)
				if answers {
					n.elsewhere = []netip.Addr{theirDVIPA}
				}
				n.asks(testLapse)
				n.hears()
				n.asks(2 * overLimit)
				n.expectUnsure(false, "in the end")
				if answers {
					n.hears()
				} else {
					n.hears(lost(2, vipa.CutOff))
				}
			})
		})
	}
}

// Of two the one that was stopped may have been followed.
func TestOneOfTwoThatWasStopped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &network{scene: newScene(t, false, 2), up: true, elsewhere: []netip.Addr{ownDVIPA}}
		n.witness = witness{lapse: testLapse, outside: func() bool { return true }, owners: func() map[netip.Addr]netip.Addr {
			return map[netip.Addr]netip.Addr{ownDVIPA: partner(1).XCF}
		}}
		<-time.After(2 * stoppedAfter)
		n.left(partner(2), xcf.Silent)
		n.told = nil
		n.passes(2 * sightSettles)
		n.expectUnsure(true, "before the network is asked")
		n.asks(2 * askEvery)
		n.hears(vipa.Isolated{OthersSee: true})
	})
}

// A link that is down tells nothing, and what it told before is old when it comes up again.
func TestALinkThatIsDownIsNoWitness(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := leftAlone(t, 2, 3)
		n.asks(overLimit)
		n.up = false
		n.asks(2 * overLimit)
		n.expectUnsure(true, "with the link down")
		n.up = true
		n.asks(testLapse)
		n.expectUnsure(true, "when the link is up again")
		n.asks(overLimit)
		n.expectUnsure(false, "in the end")
		n.hears()
	})
}

// Who hears somebody again answers once all who live were heard: they know who took what.
func TestDoubtEndsWithTheListsOfOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := leftAlone(t, 2, 3)
		n.asks(testLapse)
		n.joined(partner(2))
		n.expectUnsure(true, "before the list")
		n.listHeard(partner(2))
		n.passes(gatherAtMost)
		n.expectUnsure(false, "after the list")
	})
}
