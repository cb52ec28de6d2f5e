package main

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/plexlab-dev/plexlab/nodes/cf"
	"github.com/plexlab-dev/plexlab/nodes/contract"
	"github.com/plexlab-dev/plexlab/nodes/vipa"
)

// table is a coupling facility of one DVIPA.
type table struct {
	cf.Facility
	mu      sync.Mutex
	held    map[netip.Addr][]cf.Held // by holder
	foreign []cf.Conflict            // what Mark answers
	alive   bool                     // what is to be reclaimed lives still
	asked   int                      // to reclaim
	locked  func()                   // is called when the entry is locked to release
	lost    uint16                   // a port that nobody holds
	broken  error
	busy    int // how many times Release finds the lock taken
}

func (f *table) Mark(_ context.Context, _, holder netip.Addr, ports []cf.Held) ([]cf.Conflict, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.held[holder] = append(f.held[holder], ports...)
	return f.foreign, f.broken
}

func (f *table) Release(_ context.Context, _ netip.Addr, ports []cf.Release, unused func([]uint16) ([]uint16, error)) ([]uint16, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.broken != nil {
		return nil, f.broken
	}
	if f.busy > 0 {
		f.busy--
		return nil, &cf.BusyError{What: "the entry", Holder: "MVS9"}
	}
	var numbers []uint16
	for _, r := range ports {
		if r.Port != f.lost {
			numbers = append(numbers, r.Port)
		}
	}
	if f.locked != nil {
		f.locked()
	}
	return unused(numbers)
}

func (f *table) Reclaim(context.Context, contract.Member) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked++
	if f.alive {
		return cf.ErrAlive
	}
	return nil
}

func (f *table) set(change func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change()
}

// ports is a kernel with sockets at ports of one DVIPA.
type ports struct {
	mu     sync.Mutex
	used   map[uint16]bool
	routes map[netip.Addr][]uint16
}

func (k *ports) portsInUse(netip.Addr) (map[uint16]bool, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	used := map[uint16]bool{}
	for port := range k.used {
		used[port] = true
	}
	return used, nil
}

func (k *ports) routed(netip.Addr) (map[netip.Addr][]uint16, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.routes, nil
}

func (k *ports) close(port uint16) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.used, port)
}

// office is a clerk at work, and the events that it posts.
type office struct {
	*clerk
	facility *table
	kernel   *ports
	replaced chan struct{}
	events   chan vipa.Event
	// inherited are ports of the DVIPA that the coupling facility tells once to be inherited.
	inherited atomic.Pointer[[]uint16]
}

func (o *office) takeInherited() map[netip.Addr][]uint16 {
	if ports := o.inherited.Swap(nil); ports != nil {
		return map[netip.Addr][]uint16{dvipa.Addr(): *ports}
	}
	return nil
}

func newOffice(t *testing.T) *office {
	o := &office{
		facility: &table{held: map[netip.Addr][]cf.Held{}},
		kernel:   &ports{used: map[uint16]bool{}},
		replaced: make(chan struct{}),
		events:   make(chan vipa.Event, 16),
	}
	o.clerk = newClerk(clerkConfig{
		facility: o.facility, replaced: o.replaced, kernel: o.kernel, self: self.XCF, log: slog.New(slog.DiscardHandler),
		post:         func(e vipa.Event) { o.events <- e },
		inherited:    o.takeInherited,
		clusterPorts: func(netip.Addr) bool { return true },
		ranges:       ranges{activated: func() []netip.Addr { return nil }},
	})
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { o.run(ctx) })
	t.Cleanup(func() {
		cancel()
		running.Wait()
	})
	return o
}

// expect waits for the next event.
func (o *office) expect(t *testing.T, want vipa.Event) {
	t.Helper()
	select {
	case got := <-o.events:
		if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
			t.Errorf("event (-want +got):\n%s", diff)
		}
	case <-time.After(10 * time.Second):
		t.Fatalf("no event within 10 s, want %v", want)
	}
}

func TestPortsAreGivenBackOnceNothingUsesThem(t *testing.T) {
	o := newOffice(t)
	o.kernel.used[5001] = true
	o.ask(vipa.ReleasePorts{DVIPA: dvipa.Addr(), Ports: []vipa.Release{{Port: 5000}, {Port: 5001, Rest: true}}})
	o.expect(t, vipa.PortsReleased{DVIPA: dvipa.Addr(), Ports: []uint16{5000}})
	o.kernel.close(5001) // nobody says so: a remnant ends without an event
	o.expect(t, vipa.PortsReleased{DVIPA: dvipa.Addr(), Ports: []uint16{5001}})
}

// What an earlier incarnation of the stack left is given back when nothing uses it any more.
func TestInheritedPortsAreGivenBack(t *testing.T) {
	o := newOffice(t)
	o.kernel.mu.Lock()
	o.kernel.used[5001] = true
	o.kernel.mu.Unlock()
	o.inherited.Store(&[]uint16{5000, 5001})
	o.expect(t, vipa.PortsReleased{DVIPA: dvipa.Addr(), Ports: []uint16{5000}})
	o.kernel.close(5001)
	o.expect(t, vipa.PortsReleased{DVIPA: dvipa.Addr(), Ports: []uint16{5001}})
}

func TestAPortThatIsClaimedWhileTheClerkLooksStays(t *testing.T) {
	o := newOffice(t)
	o.clerk.claims.note(netip.AddrPortFrom(dvipa.Addr(), 5000)) // whose socket the kernel has told of, or has closed
	o.facility.locked = func() { o.clerk.claims.note(netip.AddrPortFrom(dvipa.Addr(), 5001)) }
	o.ask(vipa.ReleasePorts{DVIPA: dvipa.Addr(), Ports: []vipa.Release{{Port: 5000}, {Port: 5001}}})
	o.expect(t, vipa.PortsReleased{DVIPA: dvipa.Addr(), Ports: []uint16{5000}})
	o.facility.set(func() { o.facility.locked = nil })
	o.expect(t, vipa.PortsReleased{DVIPA: dvipa.Addr(), Ports: []uint16{5001}})
}

func TestAPortThatTheCouplingFacilityDoesNotHaveIsLetGo(t *testing.T) {
	o := newOffice(t)
	o.facility.lost = 5000
	o.ask(vipa.ReleasePorts{DVIPA: dvipa.Addr(), Ports: []vipa.Release{{Port: 5000}}})
	o.expect(t, vipa.PortsReleased{DVIPA: dvipa.Addr(), Ports: []uint16{5000}})
}

func TestPortsAreGivenBackOnceTheCouplingFacilityIsThere(t *testing.T) {
	o := newOffice(t)
	o.facility.broken = errors.New("it is lost")
	o.ask(vipa.ReleasePorts{DVIPA: dvipa.Addr(), Ports: []vipa.Release{{Port: 5000}}})
	o.facility.set(func() { o.facility.broken = nil })
	o.expect(t, vipa.PortsReleased{DVIPA: dvipa.Addr(), Ports: []uint16{5000}})
}

// marking60 is that of a DVIPA whose port 60 is distributed.
var marking60 = vipa.MarkPorts{Marking: vipa.Marking{
	DVIPA: dvipa.Addr(), Served: map[uint16][]netip.Addr{},
	Distribution: &contract.Distribution{All: true, Ports: []contract.PortRange{{First: 60, Last: 60}}},
}}

// Where every port is distributed that is bound by number, it matters how a port came to be in use.
func TestChosenPortsAreMarkedAsUnique(t *testing.T) {
	o := newOffice(t)
	o.kernel.used = map[uint16]bool{80: true, 5000: true, 5001: true, 5002: true}
	o.kernel.routes = map[netip.Addr][]uint16{target.XCF: {80, 7000}}
	o.ask(vipa.MarkPorts{Marking: vipa.Marking{
		DVIPA: dvipa.Addr(), Distribution: &contract.Distribution{All: true},
		Chosen: []uint16{5000}, Named: []uint16{5001}, Served: map[uint16][]netip.Addr{80: {target.XCF}},
	}})
	o.expect(t, vipa.PortsMarked{DVIPA: dvipa.Addr(), Ports: []vipa.PortUse{
		{Port: 80, Use: vipa.Shared}, {Port: 5000, Use: vipa.Unique}, {Port: 5001, Use: vipa.Shared}, {Port: 5002, Use: vipa.Unique},
	}})
	want := []cf.Held{{Port: 80, Use: cf.Shared}, {Port: 7000, Use: cf.Unique}}
	if diff := cmp.Diff(want, o.facility.held[target.XCF]); diff != "" {
		t.Errorf("marked on behalf of a target (-want +got):\n%s", diff)
	}
}

func TestWhatIsInUseAlreadyIsMarked(t *testing.T) {
	o := newOffice(t)
	o.kernel.used = map[uint16]bool{60: true, 5000: true, 5001: true}
	o.kernel.routes = map[netip.Addr][]uint16{target.XCF: {60, 60, 7000}, self.XCF: {60}}
	o.facility.foreign = []cf.Conflict{{Port: 5001, Holder: "MVS9"}}
	o.ask(marking60)
	o.expect(t, vipa.PortsMarked{DVIPA: dvipa.Addr(), Ports: []vipa.PortUse{{Port: 60, Use: vipa.Shared}, {Port: 5000, Use: vipa.Unique}}})
	want := map[netip.Addr][]cf.Held{
		self.XCF:   {{Port: 60, Use: cf.Shared}, {Port: 5000, Use: cf.Unique}, {Port: 5001, Use: cf.Unique}},
		target.XCF: {{Port: 60, Use: cf.Shared}, {Port: 7000, Use: cf.Unique}},
	}
	if diff := cmp.Diff(want, o.facility.held, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
		t.Errorf("marked, by holder (-want +got):\n%s", diff)
	}
}

// A lock that was not to be had is tried for again long before what else could not be done.
func TestAfterABusyLockPortsAreGivenBackSoon(t *testing.T) {
	o := newOffice(t)
	o.facility.set(func() { o.facility.busy = 3 })
	began := time.Now()
	o.ask(vipa.ReleasePorts{DVIPA: dvipa.Addr(), Ports: []vipa.Release{{Port: 5000}}})
	o.expect(t, vipa.PortsReleased{DVIPA: dvipa.Addr(), Ports: []uint16{5000}})
	if took := time.Since(began); took >= 3*again {
		t.Errorf("given back after %v, want less than three of the pauses of %v", took, again)
	}
}

func TestThePausesAfterABusyLockGrow(t *testing.T) {
	r := newRetry()
	defer r.timer.Stop()
	var got []time.Duration
	for range 7 {
		r.next(true, true)
		got = append(got, r.pause)
	}
	const ms = time.Millisecond
	if diff := cmp.Diff([]time.Duration{10 * ms, 20 * ms, 40 * ms, 80 * ms, 160 * ms, again, again}, got); diff != "" {
		t.Errorf("pauses (-want +got):\n%s", diff)
	}
	due := r.due
	if r.next(true, false); r.due != due {
		t.Error("another busy lock puts off the retry that is due")
	}
	r.next(false, true)
	if r.next(true, false); r.pause != afterBusy {
		t.Errorf("after a lock that was to be had the first pause is %v, want %v", r.pause, afterBusy)
	}
}

// With a coupling facility that was damaged, what was marked on behalf of others is lost. What the CRT has
// no connections of any more stays so.
func TestWhatWasMarkedForOthersIsMarkedAgain(t *testing.T) {
	o := newOffice(t)
	o.kernel.routes = map[netip.Addr][]uint16{target.XCF: {60, 7000, 7001}}
	o.ask(marking60)
	o.expect(t, vipa.PortsMarked{DVIPA: dvipa.Addr()})
	o.kernel.mu.Lock()
	o.kernel.routes = map[netip.Addr][]uint16{target.XCF: {60, 7001, 7002}}
	o.kernel.mu.Unlock()
	o.facility.set(func() {
		o.facility.held = map[netip.Addr][]cf.Held{}
		o.facility.broken = errors.New("the stack has not come back")
	})
	o.replaced <- struct{}{}
	held := func() (ports []cf.Held) {
		o.facility.set(func() { ports = o.facility.held[target.XCF] })
		return ports
	}
	until(t, "it is tried", func() bool { return held() != nil })
	o.facility.set(func() {
		o.facility.held = map[netip.Addr][]cf.Held{}
		o.facility.broken = nil
	})
	until(t, "it is marked", func() bool { return held() != nil })
	if diff := cmp.Diff([]cf.Held{{Port: 60, Use: cf.Shared}, {Port: 7001, Use: cf.Unique}}, held()); diff != "" {
		t.Errorf("marked again (-want +got):\n%s", diff)
	}
}

func TestAStackThatLivesIsReclaimedWhenItHasEnded(t *testing.T) {
	o := newOffice(t)
	o.facility.alive = true
	o.ask(vipa.ReclaimPorts{Member: target})
	asked := func() (n int) {
		o.facility.set(func() { n = o.facility.asked })
		return n
	}
	until(t, "it was asked twice", func() bool { return asked() >= 2 })
	o.facility.set(func() { o.facility.alive = false })
	before := asked()
	until(t, "it was asked again", func() bool { return asked() > before })
}

func TestAConnectHearsOneAnswer(t *testing.T) {
	var c connects
	first, answered := c.add()
	second, _ := c.add()
	if first == second {
		t.Fatalf("two connects have number %d", first)
	}
	c.answer(first, "")
	c.answer(first, "too late")
	if reason := <-answered; reason != "" {
		t.Errorf("answer %q, want the first", reason)
	}
	c.remove(second)
	c.answer(second, "nobody waits") // does not block
	if len(c.waiting) != 0 {
		t.Errorf("%d connects wait, want none", len(c.waiting))
	}
}

// until waits for a state of something that nobody tells of.
func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	limit := time.After(10 * time.Second)
	for !holds() {
		select {
		case <-tick.C:
		case <-limit:
			t.Fatalf("not within 10 s: %s", what)
		}
	}
}
