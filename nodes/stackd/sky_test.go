package main

import (
	"net/netip"
	"testing"
	"time"

	"github.com/plexlab-dev/plexlab/nodes/cf"
	"github.com/plexlab-dev/plexlab/nodes/contract"
	"github.com/plexlab-dev/plexlab/nodes/vipa"
)

// Why a stack is not heard, by what it and this one see. It is the lost one that is said to be cut off only by a stack
// that sees somebody itself: two that see nobody would take from one another without end.
func TestCauseOf(t *testing.T) {
	lost := contract.Member{Stack: "MVS1", XCF: netip.MustParseAddr("10.1.0.1"), Incarnation: 7}
	at := time.Unix(1000, 0)
	runs := cf.Peer{Member: lost, Alive: true, Beats: true}
	but := func(change func(*cf.Peer)) cf.Peer {
		p := runs
		change(&p)
		return p
	}
	busy := startShell(t, "while :; do :; done").Process.Pid
	becomesStarved(t, "busy", busy, true)
	for _, c := range []struct {
		what  string
		peer  cf.Peer
		sees  bool          // this stack
		since time.Duration // that it is so that the lost one sees others
		want  vipa.Cause
	}{
		{"its process ended", but(func(p *cf.Peer) { p.Alive = false }), true, 0, vipa.Ended},
		{"another incarnation runs", but(func(p *cf.Peer) { p.Incarnation++ }), true, 0, vipa.Ended},
		{"it tells nothing", but(func(p *cf.Peer) { p.Beats = false }), true, 0, vipa.Silent},
		{"its beat stands", but(func(p *cf.Peer) { p.Age = stillAfter + 1 }), true, 0, vipa.Frozen},
		{"it waits for a processor", but(func(p *cf.Peer) { p.Age, p.PID = stillAfter+1, busy }), true, 0, vipa.Silent},
		{"it does nothing else", but(func(p *cf.Peer) { p.Age, p.PID = starvedFor+1, busy }), true, 0, vipa.Frozen},
		{"it sees nobody", runs, true, 0, vipa.CutOff},
		{"nor does this one", runs, false, 0, vipa.Silent},
		{"it has begun to see others", but(func(p *cf.Peer) { p.Sees = 2 }), true, 0, vipa.Silent},
		{"it sees others", but(func(p *cf.Peer) { p.Sees = 2 }), true, sightSettles, vipa.Parted},
		{"it sees others, this one nobody", but(func(p *cf.Peer) { p.Sees = 2 }), false, sightSettles, vipa.Parted},
	} {
		third := cf.Peer{Alive: true, Beats: true, Sees: 1}
		sky := sky{peers: map[netip.Addr]cf.Peer{lost.XCF: c.peer, netip.MustParseAddr("10.1.0.3"): third}, sees: c.sees}
		l := &lostStack{Member: lost}
		sky.causeOf(l, at)
		if got := sky.causeOf(l, at.Add(c.since)); got != c.want {
			t.Errorf("%s: cause %v, want %v", c.what, got, c.want)
		}
	}
}
