package routing

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// die ends the daemon as the end of a machine does: nobody is told.
func (d *Daemon) die(t *testing.T) {
	d.close.Do(func() {
		close(d.closing)
		<-d.told
		d.signal(unix.SIGKILL)
		<-d.ended
		check(t, d.end())
	})
}

// toldWithin bounds the time until a router that has a way to a stack follows what that advertises: BIRD's OSPF acts once a second
// at each end, its RIP by updates each Config.Hello.
const toldWithin = 3 * time.Second

// A stack that fails and comes back before its neighbours have noticed: what it advertises once Open has returned is followed
// at once, and stays.
func TestWhatIsAdvertisedAfterARestartStays(t *testing.T) {
	for _, p := range []Protocol{OSPF, RIP} {
		t.Run(string(p), func(t *testing.T) {
			t.Parallel()
			lan := newLAN(t, 2)
			stack, router := lan[0], lan[1]
			router.route(p)
			before := stack.open(p)
			before.Advertise(dva4, 1)
			router.awaitWays(&stack, adjacent, host4)
			eventually(t, adjacent, "sessions", func() error {
				if sessions, err := before.states("show bfd sessions"); err != nil || len(sessions) != 2 || sessions[0] != "Up" || sessions[1] != "Up" {
					return fmt.Errorf("got %q (%v), want one up for each family", sessions, err)
				}
				return nil
			})

			before.die(t)
			after := stack.open(p)
			other := netip.MustParsePrefix("198.51.100.11/32")
			after.Advertise(other, 2)
			t.Logf("after the restart: %v", router.awaitWays(&stack, toldWithin, other))
			// The session of the router with the daemon before has run out by then, and a further update was due.
			throughout(t, 5*after.config.BFD+after.config.Dead, "the route", func() error {
				_, err := router.way(other)
				return err
			})
		})
	}
}

// Where nobody is, nobody is waited for.
func TestOpenWithoutNeighbours(t *testing.T) {
	t.Parallel()
	stack := newLAN(t, 1)[0]
	begin := time.Now()
	d := stack.open(OSPF)
	if took, limit := time.Since(begin), adjacentWithin*d.config.Dead; took > limit {
		t.Errorf("Open returned after %v, want less than %v", took, limit)
	}
}

// throughout asks again and again, and fails at the first error.
func throughout(t *testing.T, period time.Duration, what string, ask func() error) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for begin := time.Now(); time.Since(begin) < period; <-tick.C {
		if err := ask(); err != nil {
			t.Fatalf("%s, %v later: %v", what, time.Since(begin).Round(time.Millisecond), err)
		}
	}
}
