package sockets

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func numbered(i int) Connection {
	return Connection{
		Local:  serverAt,
		Remote: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), 4000),
	}
}

func TestRemnantsComeInTheirOrder(t *testing.T) {
	t.Parallel()
	r, start := newRemnants(), time.Now()
	if _, some := r.next(); some {
		t.Error("an empty set has a next one")
	}
	for _, i := range []int{3, 1, 2} {
		r.add(closed{probe{connection: numbered(i)}, uint64(i)}, start.Add(time.Duration(i)*time.Second), false)
	}
	r.add(closed{probe{connection: numbered(2)}, 20}, start, false) // destroyed again, so due again
	if next, _ := r.next(); !next.Equal(start) {
		t.Errorf("next at %v, want %v", next, start)
	}
	var got []uint64
	for _, x := range r.takeDue(start.Add(time.Second), 10) {
		got = append(got, x.cookie)
	}
	if diff := cmp.Diff([]uint64{20, 1}, got); diff != "" {
		t.Errorf("due (-want +got):\n%s", diff)
	}
	if !r.has(numbered(1)) || r.len() != 3 {
		t.Error("one that is looked up is not forgotten yet")
	}
}

// A connection that is destroyed again while it waits, or while it is looked up, is looked up
// once.
func TestTakeOfRemnants(t *testing.T) {
	t.Parallel()
	r, now := newRemnants(), time.Now()
	r.add(closed{probe{connection: numbered(1)}, 10}, now.Add(time.Hour), true)
	waiting := r.take(closed{probe{connection: numbered(1)}, 11})
	if waiting == nil || waiting.cookie != 11 || waiting.suspected {
		t.Errorf("one that waited: got %+v", waiting)
	}
	if again := r.take(closed{probe{connection: numbered(1)}, 12}); again != nil || waiting.cookie != 12 {
		t.Errorf("one that is looked up: got %+v, known %+v", again, waiting)
	}
	if next, some := r.next(); some {
		t.Errorf("one that is looked up is due at %v", next)
	}
	r.keep(waiting, now, diagSocket{})
	if due := r.takeDue(now.Add(firstBackoff), 2); len(due) != 1 || due[0] != waiting {
		t.Errorf("due after a look-up: %v", due)
	}
	fresh := r.take(closed{probe{connection: numbered(2)}, 20})
	if r.forget(fresh); r.len() != 1 || r.has(numbered(2)) {
		t.Errorf("%d known after one was forgotten, want 1", r.len())
	}
}

func TestRemnantIsAskedAboutLessAndLess(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		others int
		left   diagSocket
		want   []time.Duration
	}{
		{"alone", 0, diagSocket{}, []time.Duration{20, 40, 80, 160, 320, 640, 1000, 1000}},
		{"timer of the kernel", 0, diagSocket{state: tcpTimeWait, remnant: true, expires: 50 * time.Millisecond}, []time.Duration{20, 40, 55, 55}},
		{"half-open request", 0, diagSocket{state: tcpSynRecv, expires: 50 * time.Millisecond}, []time.Duration{20, 40, 55, 55}},
		{"later use", 0, diagSocket{state: tcpEstablished, expires: 50 * time.Millisecond}, []time.Duration{20, 40, 80, 160}},
		{"among 50,000", 50_000, diagSocket{}, []time.Duration{20, 40, 80, 160, 320, 640, 1280, 2560, 5000, 5000}},
		{"among 200,000", 200_000, diagSocket{}, []time.Duration{20, 40, 80, 160, 320, 640, 1280, 2560, 5120, 10000, 10000}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			r, now := newRemnants(), time.Now()
			later := now.Add(time.Hour)
			for i := range max(test.others-1, 0) {
				r.add(closed{probe{connection: numbered(i + 1)}, uint64(i)}, later, false)
			}
			r.add(closed{probe{connection: numbered(0)}, 0}, now, false)
			var got []time.Duration
			for range test.want {
				due := r.takeDue(now, 1)
				if len(due) != 1 {
					t.Fatalf("%d due, want 1", len(due))
				}
				r.keep(due[0], now, test.left)
				next, _ := r.next()
				got = append(got, next.Sub(now)/time.Millisecond)
				now = next
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("milliseconds from one look-up to the next (-want +got):\n%s", diff)
			}
		})
	}
}

func TestHoldings(t *testing.T) {
	t.Parallel()
	h := newHoldings()
	a, b := numbered(1), numbered(2)
	for i, step := range []struct {
		now     map[Connection]uint64
		forget  []Connection
		held    []Connection
		missing []closed
	}{
		{now: map[Connection]uint64{a: 1}},
		{now: map[Connection]uint64{a: 1, b: 2}, held: []Connection{a}},
		{now: map[Connection]uint64{a: 1, b: 3}}, // b in use again
		{now: map[Connection]uint64{a: 1, b: 3}, held: []Connection{b}},
		{now: map[Connection]uint64{b: 3}, missing: []closed{{probe{connection: a}, 1}}},
		{now: map[Connection]uint64{b: 3}, forget: []Connection{a}},
		{now: map[Connection]uint64{a: 4, b: 3}},
		{now: map[Connection]uint64{b: 3}, forget: []Connection{a}}, // an event told its end
	} {
		for _, c := range step.forget {
			h.forget(c)
		}
		held, missing := h.sweep(step.now)
		if diff := cmp.Diff(step.held, held, compareAddresses); diff != "" {
			t.Errorf("sweep %d: held (-want +got):\n%s", i, diff)
		}
		if diff := cmp.Diff(fmt.Sprint(step.missing), fmt.Sprint(missing)); diff != "" {
			t.Errorf("sweep %d: missing (-want +got):\n%s", i, diff)
		}
	}
	if c, known := h.bySocket(3); !known || c != b {
		t.Errorf("connection of socket 3: got %v, %v, want %v", c, known, b)
	}
	h.forget(b)
	if _, known := h.bySocket(3); known {
		t.Error("socket of a forgotten connection is known")
	}
}

// The stack's own listening socket on XCF takes no connections of a DVIPA: a monitor that
// knows no other has nothing to check often.
func TestListenersToCheck(t *testing.T) {
	t.Parallel()
	dvipa := netip.MustParseAddr("192.168.44.10")
	l := newListeners()
	for cookie, local := range []string{"10.1.0.1:4747", "192.168.44.10:80", "0.0.0.0:80", "[::]:80"} {
		l.start(Socket{Cookie: uint64(cookie) + 1, Local: netip.MustParseAddrPort(local)})
	}
	var checked []uint64
	for _, s := range l.at(func(a netip.Addr) bool { return a == dvipa }) {
		checked = append(checked, s.Cookie)
	}
	slices.Sort(checked)
	if want := []uint64{2, 3, 4}; !slices.Equal(checked, want) {
		t.Errorf("listeners to check: got %v, want %v", checked, want)
	}
}
