package cf

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/plexlab-dev/plexlab/nodes/contract"
)

// Another stack becomes the owner while a claim is under way, and the owner before it is gone or not.
func TestOwnerChangesDuringAClaim(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name  string
		moves func(w *wire)
	}{
		{"the owner is gone", func(w *wire) { w.end(1) }},
		{"the owner gives it up", func(w *wire) { w.announce(1, contract.VIPAList{}) }},
	} {
		for _, port := range []uint16{0, 5000} {
			t.Run(fmt.Sprintf("%s/port %d", test.name, port), func(t *testing.T) {
				t.Parallel()
				w, stacks := plexOf(t, 3, DistributorConfig{})
				mustBind(t, stacks[3].d, dvipa4, 60, Shared)
				w.hold(1, 3, true) // the answer does not arrive
				result := claimLater(stacks[3].d, Request{DVIPA: dvipa4, Port: port, Use: Unique})
				eventually(t, "the claim is answered", func() bool { return slices.Contains(w.queued(1, 3), "PORT_ANSWER") })
				test.moves(w)
				w.hold(1, 3, false)
				w.announce(2, owner(dvipa4, 1))
				claim := mustClaim(t, result)
				if err := claim.Commit(); err != nil {
					t.Fatal(err)
				}
				stacks[2].expect(t, w, "60 shared MVS3", fmt.Sprintf("%d unique MVS3", claim.Port()))
			})
		}
	}
}

// A new owner is told of ports that are granted and not bound yet, of those that rest, and answers nothing before
// everybody has told.
func TestNewOwner(t *testing.T) {
	t.Parallel()
	w, stacks := plexOf(t, 4, DistributorConfig{Pool: contract.PortRange{First: 2000, Last: 2003}, Rest: DefaultRest})
	granted := mustClaim(t, claimLater(stacks[3].d, Request{DVIPA: dvipa4, Port: 2000, Use: Unique}))
	mustBind(t, stacks[3].d, dvipa4, 2001, Unique)
	mustBind(t, stacks[4].d, dvipa4, 60, Shared)
	mustBind(t, stacks[2].d, dvipa4, 60, Shared)
	mustBind(t, stacks[2].d, dvipa4, 2002, Unique)
	release(t, stacks[3].d, dvipa4, Release{Port: 2001, Rest: true})
	release(t, stacks[2].d, dvipa4, Release{Port: 2002, Rest: true})
	w.settle()
	w.end(1)
	if _, err := stacks[3].d.Claim(short(t), Request{DVIPA: dvipa4, Use: Unique}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("nobody owns it: %v", err)
	}
	w.hold(4, 2, true)
	w.announce(2, owner(dvipa4, 2))
	result := claimLater(stacks[3].d, Request{DVIPA: dvipa4, Use: Unique})
	own := claimLater(stacks[2].d, Request{DVIPA: dvipa4, Port: 2000, Use: Unique})
	eventually(t, "what is held is told", func() bool {
		return slices.Equal(w.queued(4, 2), []string{"PORTS_HELD", "PORT_RELEASE", "END_OF_LIST"})
	})
	// What MVS3 told may still be on its way.
	eventually(t, "MVS4 alone is waited for", func() bool {
		v := view(t, stacks[2].d)
		return v.State == Filling && slices.Equal(v.Waiting, []string{"MVS4"}) && strings.Contains(v.Problem, "MVS4")
	})
	select {
	case <-result:
		t.Error("answered before MVS4 has told")
	case <-own:
		t.Error("answered itself before MVS4 has told")
	default:
	}
	w.hold(4, 2, false)
	if port := mustClaim(t, result).Port(); port != 2003 {
		t.Errorf("port %d, want 2003: it alone is free and does not rest", port)
	}
	if got := <-own; !errors.Is(got.err, unix.EADDRINUSE) {
		t.Errorf("port 2000 is granted to MVS3: %v", got.err)
	}
	granted.Abort()
	stacks[2].expect(t, w, "60 shared MVS2 MVS4", "2001 rests", "2002 rests", "2003 unique MVS3")
	if v := view(t, stacks[2].d); v.State != OK {
		t.Errorf("state %v, want ok: %s", v.State, v.Problem)
	}
	if v := view(t, stacks[4].d); len(v.DVIPAs) != 1 || v.DVIPAs[0].Owner != "MVS2" {
		t.Errorf("view of another: %+v, want MVS2 as owner", v.DVIPAs)
	}
}

// An owner from which another stack takes the DVIPA keeps no table any more, and tells the new one what it holds, and
// what rests in its table: that was started again, and nobody else may know.
func TestOwnerTakenOver(t *testing.T) {
	t.Parallel()
	c := DistributorConfig{Pool: contract.PortRange{First: 2000, Last: 2003}, Rest: DefaultRest}
	w, stacks := plexOf(t, 2, c)
	mustBind(t, stacks[1].d, dvipa4, 2000, Unique)
	mustBind(t, stacks[1].d, dvipa4, 60, Shared)
	mustBind(t, stacks[2].d, dvipa4, 2001, Unique)
	w.end(2)
	again := w.start(2, c)
	w.announce(2, owner(dvipa4, 2))
	again.expect(t, w, "60 shared MVS1", "2000 unique MVS1", "2001 rests")
	if v := view(t, stacks[1].d); len(v.DVIPAs) != 1 || v.DVIPAs[0].Owner != "MVS2" {
		t.Errorf("view of the owner before: %+v, want MVS2 as owner", v.DVIPAs)
	}
	mustBind(t, again.d, dvipa4, 2002, Unique)
	if _, err := stacks[1].d.Claim(t.Context(), Request{DVIPA: dvipa4, Port: 2002, Use: Unique}); !errors.Is(err, unix.EADDRINUSE) {
		t.Errorf("MVS1 claims what MVS2 holds: %v", err)
	}
}

// What the owner had itself as unique rests when it is gone, whoever is left: what it had before it was the owner, and what it came
// to have since. Shared ports do not.
func TestPortsOfALostOwnerRest(t *testing.T) {
	t.Parallel()
	for _, next := range []int{3, 4} {
		t.Run(fmt.Sprintf("MVS%d is the next", next), func(t *testing.T) {
			t.Parallel()
			c := DistributorConfig{Rest: DefaultRest}
			w, stacks := plexOf(t, 3, c)
			mustBind(t, stacks[2].d, dvipa4, 2000, Unique)
			w.end(1)
			w.announce(2, owner(dvipa4, 2))
			w.settle()
			mustBind(t, stacks[2].d, dvipa4, 2001, Unique)
			mustBind(t, stacks[2].d, dvipa4, 60, Shared)
			if _, err := stacks[2].d.Mark(t.Context(), dvipa4, stacks[2].member.XCF, []Held{{2002, Unique}, {2003, Shared}}); err != nil {
				t.Fatal(err)
			}
			if next == 4 { // it joins late, and MVS3, which was there, is gone too
				stacks = append(stacks, w.start(4, c))
				w.settle()
				w.end(3)
			}
			w.settle()
			w.end(2)
			w.announce(next, owner(dvipa4, 3))
			stacks[next].expect(t, w, "2000 rests", "2001 rests", "2002 rests")
		})
	}
}

// A new owner does not let rest what the one before it has still, nor does the next one what that gave back.
func TestPortsOfALivingOwnerDoNotRest(t *testing.T) {
	t.Parallel()
	w, stacks := plexOf(t, 3, DistributorConfig{Rest: DefaultRest})
	mustBind(t, stacks[1].d, dvipa4, 2000, Unique)
	w.settle()
	w.announce(2, owner(dvipa4, 2))
	stacks[2].expect(t, w, "2000 unique MVS1")
	release(t, stacks[1].d, dvipa4, Release{Port: 2000})
	stacks[2].expect(t, w)
	w.end(2)
	w.announce(3, owner(dvipa4, 3))
	stacks[3].expect(t, w)
}

// A table is kept from the list on that says who owns the DVIPA, until one says that nobody does.
func TestKept(t *testing.T) {
	t.Parallel()
	w, stacks := plexOf(t, 2, DistributorConfig{})
	expect := func(dvipa netip.Addr, want bool) {
		t.Helper()
		w.settle()
		for _, s := range stacks[1:] {
			if got := s.d.Kept(dvipa); got != want {
				t.Errorf("at MVS%d a table of %s is kept: %t, want %t", s.n, dvipa, got, want)
			}
		}
	}
	expect(dvipa4, true)
	expect(dvipa6, false)
	w.announce(1, contract.VIPAList{})
	expect(dvipa4, false)
}

// An owner that is started again has forgotten what rested in its table, its own ports and those of a stack that is
// gone among them; the others tell it, also one that joined later.
func TestOwnerStartedAgain(t *testing.T) {
	t.Parallel()
	c := DistributorConfig{Pool: contract.PortRange{First: 2000, Last: 2003}, Rest: DefaultRest}
	w, stacks := plexOf(t, 3, c)
	mustBind(t, stacks[1].d, dvipa4, 2000, Unique)
	mustBind(t, stacks[2].d, dvipa4, 2001, Unique)
	mustBind(t, stacks[3].d, dvipa4, 2002, Unique)
	release(t, stacks[1].d, dvipa4, Release{Port: 2000, Rest: true})
	release(t, stacks[2].d, dvipa4, Release{Port: 2001, Rest: true})
	w.settle()
	w.end(3)
	w.settle()
	late := w.start(4, c)
	w.settle()
	w.end(2)
	w.settle()
	w.end(1)
	again := w.start(1, c)
	w.announce(1, owner(dvipa4, 2))
	again.expect(t, w, "2000 rests", "2001 rests", "2002 rests")
	if port := mustBind(t, late.d, dvipa4, 0, Unique); port != 2003 {
		t.Errorf("port %d, want 2003: it alone does not rest", port)
	}
}

// A list of an owner that was lost since is taken in too late.
func TestFollowALostOwner(t *testing.T) {
	t.Parallel()
	s := newScripted(t)
	s.d.Lost(other)
	s.d.Follow(dvipa6, other, 1)
	_, err := s.d.Claim(short(t), Request{DVIPA: dvipa6, Use: Unique})
	if !errors.Is(err, context.DeadlineExceeded) || len(s.sent) > 0 {
		t.Errorf("error %v, sent %v", err, s.sent)
	}
	v, err := s.d.View(t.Context())
	if err != nil || slices.ContainsFunc(v.DVIPAs, func(d DVIPAView) bool { return d.Owner != "" }) {
		t.Errorf("view %+v, error %v, want no owner", v.DVIPAs, err)
	}
}

// Stacks bind and close while the ownership moves between two of them and messages of different senders
// overtake one another: no unique port has two holders, and the owner knows what each holds.
func TestOwnershipMoves(t *testing.T) {
	t.Parallel()
	const stacks, binds, moves = 4, 150, 12
	w, all := plexOf(t, stacks, DistributorConfig{Pool: contract.PortRange{First: 2000, Last: 2099}})
	var mu sync.Mutex
	owners := make(map[uint16]int)
	var wait sync.WaitGroup
	var done atomic.Int64
	for n := 1; n <= stacks; n++ {
		wait.Go(func() {
			random := rand.New(rand.NewPCG(uint64(n), 0))
			var mine []uint16
			for range binds {
				done.Add(1)
				if len(mine) > 10 {
					last := len(mine) - 1
					mu.Lock()
					delete(owners, mine[last])
					mu.Unlock()
					release(t, all[n].d, dvipa4, Release{Port: mine[last]})
					mine = mine[:last]
				}
				claim, err := all[n].d.Claim(t.Context(), Request{DVIPA: dvipa4, Use: Unique})
				if err != nil {
					t.Errorf("MVS%d: %v", n, err)
					return
				}
				if random.IntN(4) == 0 {
					claim.Abort()
					continue
				}
				mu.Lock()
				if holder := owners[claim.Port()]; holder != 0 {
					t.Errorf("port %d of MVS%d given to MVS%d", claim.Port(), holder, n)
				}
				owners[claim.Port()] = n
				mu.Unlock()
				mine = append(mine, claim.Port())
				if err := claim.Commit(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for move := range uint64(moves) {
		w.announce(int(1+move%2), contract.VIPAList{})
		w.announce(int(2-move%2), owner(dvipa4, 2+move))
		eventually(t, "binds go on", func() bool { return done.Load() > int64(move+1)*stacks*binds/(moves+1) || t.Failed() })
	}
	wait.Wait()
	var want []string
	for port := uint16(2000); port < 2100; port++ {
		if n := owners[port]; n != 0 {
			want = append(want, fmt.Sprintf("%d unique MVS%d", port, n))
		}
	}
	all[2-(moves-1)%2].expect(t, w, want...)
}
