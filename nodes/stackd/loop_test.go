package main

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/plexlab-dev/plexlab/nodes/contract"
	"github.com/plexlab-dev/plexlab/nodes/vipa"
)

var (
	self   = contract.Member{Stack: "MVS1", XCF: netip.MustParseAddr("10.1.0.1"), Incarnation: 1, Outside: true}
	target = contract.Member{Stack: "MVS2", XCF: netip.MustParseAddr("10.1.0.2"), Incarnation: 1}
	dvipa  = netip.MustParsePrefix("192.168.44.10/24")
)

// recorder is what the loop's edges were asked to do, in order.
type recorder struct {
	done        []string
	connections []contract.Connection
	fail        error
}

func (r *recorder) send(_ netip.Addr, m contract.Message) { r.done = append(r.done, "send "+m.Kind()) }

func (r *recorder) held(map[netip.Addr]bool) []contract.Connection { return r.connections }

func (r *recorder) apply(actions []vipa.Action) error {
	for _, a := range actions {
		switch a.(type) {
		case vipa.Activate:
			r.done = append(r.done, "activate")
		case vipa.Advertise:
			r.done = append(r.done, "advertise")
		case vipa.AddConnections:
			r.done = append(r.done, "add connections")
		case vipa.Withdraw:
			r.done = append(r.done, "withdraw")
		}
	}
	r.done = append(r.done, "commit")
	return r.fail
}

func (r *recorder) account(vipa.Action) { r.done = append(r.done, "account") }

func (r *recorder) follow(vipa.FollowOwner) { r.done = append(r.done, "follow") }
func (r *recorder) take(vipa.TakeOwnership) { r.done = append(r.done, "take") }

func (r *recorder) leave(netip.Addr) {}

func (r *recorder) answer(uint64, string) { r.done = append(r.done, "answer") }

func (r *recorder) varied(vipa.Varied)           { r.done = append(r.done, "varied") }
func (r *recorder) activated(netip.Addr, string) { r.done = append(r.done, "activated") }

func (r *recorder) published(*vipa.Addresses) {}

// taken makes the stack that defines the DVIPA its owner.
var taken = vipa.OwnershipTaken{Taken: []vipa.Ownership{{DVIPA: dvipa.Addr(), Epoch: 1}}}

// gathered is a stack that has asked for the DVIPA.
func gathered() *vipa.Stack {
	core := vipa.New(vipa.Config{Self: self})
	core.Step(vipa.ProfileChanged{Definition: vipa.Definition{
		Defines:     []vipa.Define{{Prefix: dvipa}},
		Distributes: []vipa.Distribute{{DVIPA: dvipa.Addr(), Distribution: contract.Distribution{All: true}}},
	}})
	core.Step(vipa.Gathered{})
	return core
}

func routingStack() *vipa.Stack {
	core := gathered()
	core.Step(taken)
	core.Step(vipa.MemberJoined{Member: target})
	return core
}

// start runs a loop until the test ends.
func start(t *testing.T, core *vipa.Stack, r edges) *loop {
	t.Helper()
	return startLogging(t, core, r, slog.DiscardHandler)
}

func startLogging(t *testing.T, core *vipa.Stack, r edges, log slog.Handler) *loop {
	t.Helper()
	l := newLoop(core, r, newTrace(), slog.New(log))
	ctx, cancel := context.WithCancel(t.Context())
	go l.run(ctx)
	t.Cleanup(func() {
		cancel()
		<-l.stop
	})
	return l
}

func TestTheListGoesOutBeforeTheDVIPAIsAdvertised(t *testing.T) {
	r := &recorder{}
	l := start(t, gathered(), r)
	if err := l.do(taken, time.Second); err != nil {
		t.Fatal(err)
	}
	want := []string{"activate", "commit", "send VIPA_LIST", "advertise", "commit"}
	got := slices.DeleteFunc(r.done, func(s string) bool { return !slices.Contains(want, s) })
	if sent, told := slices.Index(got, "send VIPA_LIST"), slices.Index(got, "advertise"); sent < 0 || told < sent {
		t.Errorf("order of edges: got %v, want the list (102) before the advertising (104)", got)
	}
}

// What is withdrawn is of the epoch before, not of the one that is taken next.
func TestADVIPAIsWithdrawnBeforeItIsTakenAnew(t *testing.T) {
	r := &recorder{}
	newLoop(gathered(), r, newTrace(), slog.New(slog.DiscardHandler)).perform([]vipa.Action{
		vipa.Withdraw{DVIPA: dvipa.Addr()}, vipa.TakeOwnership{DVIPA: dvipa.Addr(), After: 1, Wait: true},
	})
	if want := []string{"withdraw", "commit", "take"}; !slices.Equal(r.done, want) {
		t.Errorf("edges: got %v, want %v", r.done, want)
	}
}

func TestAcknowledgementFollowsTheCommit(t *testing.T) {
	r := &recorder{}
	l := start(t, routingStack(), r)
	service := netip.AddrPortFrom(dvipa.Addr(), 80)
	err := l.do(vipa.MessageReceived{From: target, Message: contract.NEWCONN{
		DVIPA: dvipa.Addr(), XCF: target.XCF, Epoch: 1, Acknowledge: 7,
		Connections: []contract.Connection{{Remote: netip.MustParseAddrPort("192.0.2.1:1024"), Local: service}},
	}}, time.Second)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"add connections", "commit", "send NEWCONN_ACK"}
	if diff := cmp.Diff(want, r.done); diff != "" {
		t.Errorf("edges (-want +got):\n%s", diff)
	}
}

func TestATableThatCannotBeChangedAcknowledgesNothing(t *testing.T) {
	r := &recorder{fail: errors.New("no memory")}
	l := start(t, routingStack(), r)
	service := netip.AddrPortFrom(dvipa.Addr(), 80)
	if err := l.do(vipa.MessageReceived{From: target, Message: contract.NEWCONN{
		DVIPA: dvipa.Addr(), XCF: target.XCF, Epoch: 1, Acknowledge: 7,
		Connections: []contract.Connection{{Remote: netip.MustParseAddrPort("192.0.2.1:1024"), Local: service}},
	}}, time.Second); err != nil {
		t.Fatal(err)
	}
	if slices.Contains(r.done, "send NEWCONN_ACK") {
		t.Errorf("acknowledged what was not committed: %v", r.done)
	}
}

// A view that waits in the same batch as an event sees what the event led to as done.
func TestAViewSeesWhatIsDone(t *testing.T) {
	r := &recorder{}
	l := newLoop(gathered(), r, newTrace(), slog.New(slog.DiscardHandler))
	l.tasks <- task{event: taken}
	seen := make(chan []string, 1)
	l.tasks <- task{view: func() { seen <- slices.Clone(r.done) }}
	l.batch(<-l.tasks)
	if done := <-seen; !slices.Contains(done, "advertise") {
		t.Errorf("when the view was taken: done %v, want advertise among it", done)
	}
}

func TestAStoppedLoopSaysSo(t *testing.T) {
	l := newLoop(vipa.New(vipa.Config{Self: self}), &recorder{}, newTrace(), slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	l.run(ctx)
	l.post(vipa.ListenEnded{ID: 1}) // does not block
	if err := l.look(time.Minute, func() {}); !errors.Is(err, errStopped) {
		t.Errorf("a view of a stopped loop: got %v, want %v", err, errStopped)
	}
}

// The connections that go with a list are looked up when the list is stepped.
func TestAListIsSteppedWithTheConnectionsHeld(t *testing.T) {
	service := netip.AddrPortFrom(dvipa.Addr(), 80)
	r := &recorder{connections: []contract.Connection{{Remote: netip.MustParseAddrPort("192.0.2.1:1024"), Local: service}}}
	core := vipa.New(vipa.Config{Self: target})
	core.Step(vipa.MemberJoined{Member: self})
	l := start(t, core, r)
	list := contract.VIPAList{DVIPAs: []contract.DVIPA{{
		Prefix: dvipa, Role: contract.RolePrimary, Owner: true, Epoch: 1, Distribution: &contract.Distribution{All: true},
	}}}
	if err := l.do(vipa.MessageReceived{From: self, Message: list}, time.Second); err != nil {
		t.Fatal(err)
	}
	if want := []string{"activate", "commit", "send NEWCONN", "send END_OF_LIST"}; !cmp.Equal(want, r.done) {
		t.Errorf("edges (-want +got):\n%s", cmp.Diff(want, r.done))
	}
}

// Where owners keep the tables of ports, what is held is told before the list is answered.
func TestAnOwnerIsToldOfPortsBeforeTheEndOfItsList(t *testing.T) {
	r := &recorder{}
	core := vipa.New(vipa.Config{Self: target, OwnersKeepPorts: true})
	core.Step(vipa.MemberJoined{Member: self})
	l := start(t, core, r)
	list := contract.VIPAList{DVIPAs: []contract.DVIPA{{
		Prefix: dvipa, Role: contract.RolePrimary, Owner: true, Epoch: 1, ClusterPorts: true,
	}}}
	if err := l.do(vipa.MessageReceived{From: self, Message: list}, time.Second); err != nil {
		t.Fatal(err)
	}
	// What is committed is the way out, which the list tells of.
	if want := []string{"follow", "commit", "send END_OF_LIST"}; !cmp.Equal(want, r.done) {
		t.Errorf("edges (-want +got):\n%s", cmp.Diff(want, r.done))
	}
}

func TestAnEventForLaterIsSteppedBeforeTheNextTask(t *testing.T) {
	core := vipa.New(vipa.Config{Self: self})
	l := start(t, core, &recorder{})
	l.postLater(vipa.ProfileChanged{Definition: vipa.Definition{Defines: []vipa.Define{{Prefix: dvipa}}}})
	known := 0
	if err := l.look(time.Second, func() { known = len(core.DVIPAs()) }); err != nil {
		t.Fatal(err)
	}
	if known == 0 {
		t.Error("a view that was asked for afterwards does not show what the event changed")
	}
}

// announcer is a recorder that tells when the actions of a batch are done, and of how many in all.
type announcer struct {
	recorder
	batches chan int
}

func (a *announcer) published(*vipa.Addresses) { a.batches <- len(a.done) }

func TestAnEventForLaterIsSteppedThoughNothingFollows(t *testing.T) {
	a := &announcer{batches: make(chan int, 8)}
	l := newLoop(vipa.New(vipa.Config{Self: self}), a, newTrace(), slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithCancel(t.Context())
	go l.run(ctx)
	t.Cleanup(func() {
		cancel()
		<-l.stop
	})
	l.postLater(vipa.ProfileChanged{Definition: vipa.Definition{Defines: []vipa.Define{{Prefix: dvipa}}}})
	limit := time.After(10 * time.Second)
	for done := 0; done == 0; {
		select {
		case done = <-a.batches:
		case <-limit:
			t.Fatal("not stepped within 10 s")
		}
	}
}

// informed is a recorder that notes what was published when a message went out.
type informed struct {
	recorder
	known  *vipa.Addresses
	active []bool // with each message, whether the DVIPA was known to be active
}

func (i *informed) published(a *vipa.Addresses) { i.known = a }

func (i *informed) send(to netip.Addr, m contract.Message) {
	i.active = append(i.active, i.known != nil && i.known.Active(dvipa.Addr()))
	i.recorder.send(to, m)
}

// Whoever binds because of a message finds what the message tells of.
func TestWhatIsKnownOfAddressesIsPublishedBeforeItIsTold(t *testing.T) {
	told := &informed{}
	l := start(t, gathered(), told)
	if err := l.do(taken, time.Second); err != nil {
		t.Fatal(err)
	}
	if len(told.active) == 0 || slices.Contains(told.active, false) {
		t.Errorf("that %s is active was known with messages %v: %v, want all", dvipa.Addr(), told.done, told.active)
	}
}

// Whoever reads the log of a stack sees what it owned, and until when.
func TestTheLogTellsOfOwnership(t *testing.T) {
	var log strings.Builder
	l := startLogging(t, gathered(), &recorder{}, slog.NewTextHandler(&log, nil))
	lost := vipa.MessageReceived{From: target, Message: contract.VIPAList{DVIPAs: []contract.DVIPA{
		{Prefix: dvipa, Role: contract.RolePrimary, Owner: true, Epoch: 2},
	}}}
	for _, event := range []vipa.Event{taken, vipa.MemberJoined{Member: target}, lost} {
		if err := l.do(event, time.Second); err != nil {
			t.Fatal(err)
		}
	}
	got := log.String()
	owned := strings.Index(got, `"DVIPA owned here" dvipa=192.168.44.10/24 epoch=1`)
	if over := strings.Index(got, `"DVIPA owned here no more" dvipa=192.168.44.10`); owned < 0 || over < owned {
		t.Errorf("log: got %s, want the beginning and the end of an ownership", got)
	}
}
