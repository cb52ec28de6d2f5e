package cf

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/plexlab-dev/plexlab/nodes/contract"
)

// claimed is a Claim that was asked for, when it is there.
type claimed struct {
	claim Claim
	err   error
}

func claimLater(d *Distributor, r Request) chan claimed {
	result := make(chan claimed, 1)
	go func() {
		c, err := d.Claim(context.Background(), r)
		result <- claimed{c, err}
	}()
	return result
}

func mustClaim(t *testing.T, result chan claimed) Claim {
	t.Helper()
	got := <-result
	if got.err != nil {
		t.Fatal(got.err)
	}
	return got.claim
}

// held is what the table of a stack says of a DVIPA, such as "60 shared MVS1 MVS2"; without a table, what
// the stack holds itself.
func (s *station) held(t *testing.T, w *wire, dvipa netip.Addr) []string {
	t.Helper()
	w.settle()
	return testPlex{see: func(netip.Addr) View { return view(t, s.d) }}.ports(dvipa)
}

func (s *station) expect(t *testing.T, w *wire, want ...string) {
	t.Helper()
	if got := s.held(t, w, dvipa4); !slices.Equal(got, want) {
		t.Errorf("at MVS%d: %q, want %q", s.n, got, want)
	}
}

// plexOf is a group of stacks of which MVS1 owns dvipa4.
func plexOf(t *testing.T, stacks int, c DistributorConfig) (*wire, []*station) {
	w := newWire(t)
	all := []*station{nil}
	if c.Timeout == 0 {
		c.Timeout = patience
	}
	for n := 1; n <= stacks; n++ {
		all = append(all, w.start(n, c))
	}
	w.announce(1, owner(dvipa4, 1))
	w.settle()
	return w, all
}

// short is a context that ends soon.
func short(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	t.Cleanup(cancel)
	return ctx
}

// The owner does not answer in time: the claim fails by naming it, and what it grants later goes back.
func TestLateAnswer(t *testing.T) {
	t.Parallel()
	w, stacks := plexOf(t, 2, DistributorConfig{Timeout: 20 * time.Millisecond})
	w.hold(1, 2, true)
	for _, port := range []uint16{0, 5000} {
		_, err := stacks[2].d.Claim(t.Context(), Request{DVIPA: dvipa4, Port: port, Use: Unique})
		var silent *OwnerError
		if !errors.As(err, &silent) || silent.Owner != "MVS1" || silent.Waiting != nil || !errors.Is(err, unix.EAGAIN) {
			t.Errorf("no answer: %v", err)
		}
	}
	if held := stacks[1].held(t, w, dvipa4); len(held) != 2 {
		t.Errorf("granted: %q, want two ports", held)
	}
	w.hold(1, 2, false)
	stacks[1].expect(t, w)
	if n := len(stacks[2].d.claims); n > 0 {
		t.Errorf("%d claims are kept in mind", n)
	}
}

// What a claim and its answer are lost with, the connection, makes it be asked anew.
func TestLostMessages(t *testing.T) {
	t.Parallel()
	w, stacks := plexOf(t, 2, DistributorConfig{})
	for _, direction := range []link{{2, 1}, {1, 2}} {
		w.hold(direction.from, direction.to, true)
		result := claimLater(stacks[2].d, Request{DVIPA: dvipa4, Use: Unique})
		eventually(t, "a message is on its way", func() bool { return len(w.queued(direction.from, direction.to)) > 0 })
		w.part(1, 2)
		w.join(1, 2)
		if err := mustClaim(t, result).Commit(); err != nil {
			t.Fatal(err)
		}
	}
	held := stacks[2].held(t, w, dvipa4)
	if len(held) != 2 {
		t.Errorf("held: %q, want two ports", held)
	}
	stacks[1].expect(t, w, held...)
}

// A stack that was cut off tells what it holds when it is back. Meanwhile somebody else may have got one of
// its ports, which the log has.
func TestCutOff(t *testing.T) {
	t.Parallel()
	var log syncBuffer
	w, stacks := plexOf(t, 3, DistributorConfig{Rest: DefaultRest, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	mustBind(t, stacks[2].d, dvipa4, 60, Shared)
	mustBind(t, stacks[2].d, dvipa4, 5000, Unique)
	mustBind(t, stacks[2].d, dvipa4, 5001, Unique)
	mustBind(t, stacks[2].d, dvipa4, 5002, Unique)
	w.part(1, 2)
	stacks[1].expect(t, w, "5000 rests", "5001 rests", "5002 rests")
	release(t, stacks[2].d, dvipa4, Release{Port: 5002})
	w.join(1, 2)
	stacks[1].expect(t, w, "60 shared MVS2", "5000 unique MVS2", "5001 unique MVS2", "5002 rests")
	w.part(1, 2)
	mustBind(t, stacks[3].d, dvipa4, 5000, Unique)
	w.join(1, 2)
	w.settle()
	v, err := stacks[1].d.View(t.Context())
	if err != nil || len(v.DVIPAs[0].Findings) != 1 || !v.DVIPAs[0].Findings[0].Conflict {
		t.Errorf("findings %v, error %v, want a conflict", v.DVIPAs[0].Findings, err)
	}
	if text := log.String(); !strings.Contains(text, "port=5000 stack=MVS2 holder=\"MVS3 (10.1.0.3)\"") {
		t.Errorf("the log does not tell of the conflict:\n%s", text)
	}
	release(t, stacks[3].d, dvipa4, Release{Port: 5000})
	stacks[1].expect(t, w, "60 shared MVS2", "5000 unique MVS2", "5001 unique MVS2", "5002 rests")
}

type syncBuffer struct {
	mu     sync.Mutex
	buffer bytes.Buffer
}

func (b *syncBuffer) Write(text []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.Write(text)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.String()
}

// scripted is an owner whose messages are sent by hand, and what it sends.
type scripted struct {
	d    *Distributor
	sent []contract.Message
}

var other = contract.Member{Stack: "MVS2", XCF: xcf(2), Incarnation: 7}

// newScripted owns dvipa4 at epoch 3, and MVS2 has told that it holds nothing.
func newScripted(t *testing.T) *scripted {
	s := &scripted{}
	var err error
	s.d, err = NewDistributor(DistributorConfig{
		Self: contract.Member{Stack: "MVS1", XCF: xcf(1), Incarnation: 1000}, Rest: DefaultRest,
		Send: func(_ netip.Addr, m contract.Message) { s.sent = append(s.sent, m) },
	})
	if err != nil {
		t.Fatal(err)
	}
	s.d.Joined(other)
	s.announce()
	s.receive(t, contract.EndOfList{})
	return s
}

func (s *scripted) announce() { s.d.Announce(netip.Addr{}, owner(dvipa4, 3)) }

func (s *scripted) receive(t *testing.T, messages ...contract.Message) {
	t.Helper()
	for _, m := range messages {
		_, list := m.(contract.EndOfList)
		if alone := s.d.Receive(other, m); alone == list {
			t.Errorf("%s is for the coupling facility alone: %v", m.Kind(), alone)
		}
	}
}

// ask returns the answer to a claim, nil for none.
func (s *scripted) ask(t *testing.T, c contract.PortClaim) *contract.PortAnswer {
	t.Helper()
	s.sent = nil
	s.receive(t, c)
	switch len(s.sent) {
	case 0:
		return nil
	case 1:
		answer := s.sent[0].(contract.PortAnswer)
		if answer.ID != c.ID {
			t.Errorf("answer to %d, want %d", answer.ID, c.ID)
		}
		return &answer
	}
	t.Fatalf("%d answers: %v", len(s.sent), s.sent)
	return nil
}

func claimOf(id uint64, port uint16) contract.PortClaim {
	return contract.PortClaim{ID: id, DVIPA: dvipa4, XCF: other.XCF, Port: port, Unique: true, Epoch: 3}
}

// The same claim gets the same port, until that is released.
func TestSameClaimAgain(t *testing.T) {
	t.Parallel()
	s := newScripted(t)
	first, again, another := s.ask(t, claimOf(1, 0)), s.ask(t, claimOf(1, 0)), s.ask(t, claimOf(2, 0))
	if first.Outcome != contract.PortGranted || *again != *first || another.Port == first.Port {
		t.Errorf("answers %v, %v again and %v to another", first, again, another)
	}
	s.receive(t, contract.PortRelease{DVIPA: dvipa4, XCF: other.XCF, Ports: []uint16{first.Port}, Epoch: 3})
	if after := s.ask(t, claimOf(1, 0)); after.Port == first.Port || after.Port == another.Port {
		t.Errorf("port %d after its release, want the next one", after.Port)
	}
	if by := s.ask(t, claimOf(1, another.Port)); by.Port != another.Port {
		t.Errorf("claim by number: %v", by)
	}
}

// What is of another epoch or stack than it should be is ignored.
func TestStaleAndForeignMessages(t *testing.T) {
	t.Parallel()
	s := newScripted(t)
	held := s.ask(t, claimOf(1, 5000))
	stale, foreign := claimOf(2, 0), claimOf(3, 0)
	stale.Epoch, foreign.XCF = 2, xcf(3)
	for _, c := range []contract.PortClaim{stale, foreign} {
		if answer := s.ask(t, c); answer != nil {
			t.Errorf("%+v is answered: %+v", c, *answer)
		}
	}
	s.receive(t,
		contract.PortRelease{DVIPA: dvipa4, XCF: other.XCF, Ports: []uint16{held.Port}, Epoch: 2},
		contract.PortsHeld{DVIPA: dvipa4, XCF: other.XCF, Unique: []uint16{5001}, Epoch: 4},
		contract.PortsHeld{DVIPA: dvipa6, XCF: other.XCF, Unique: []uint16{5001}, Epoch: 3},
		contract.PortAnswer{ID: 77, Outcome: contract.PortGranted, Port: 5002})
	stranger := other
	stranger.Incarnation++
	s.d.Receive(stranger, contract.PortsHeld{DVIPA: dvipa4, XCF: other.XCF, Unique: []uint16{5001}, Epoch: 3})
	got := testPlex{see: func(netip.Addr) View { return view(t, s.d) }}.ports(dvipa4)
	if !slices.Equal(got, []string{"5000 unique MVS2"}) {
		t.Errorf("ports %q, want 5000 alone", got)
	}
}

// A port that a stack does not tell of in answer to a list is free, if it was granted before the list.
func TestNotToldAgain(t *testing.T) {
	t.Parallel()
	s := newScripted(t)
	s.ask(t, claimOf(1, 5000))
	s.ask(t, claimOf(2, 5001))
	s.announce()
	if answer := s.ask(t, claimOf(3, 5002)); answer.Outcome != contract.PortGranted {
		t.Errorf("a list that changes nothing: %+v", answer)
	}
	s.announce()
	s.receive(t, contract.PortsHeld{DVIPA: dvipa4, XCF: other.XCF, Unique: []uint16{5000}, Epoch: 3}, contract.EndOfList{})
	ports := func() []string { return testPlex{see: func(netip.Addr) View { return view(t, s.d) }}.ports(dvipa4) }
	if got := ports(); !slices.Equal(got, []string{"5000 unique MVS2", "5001 rests", "5002 unique MVS2"}) {
		t.Errorf("after the first: %q", got)
	}
	s.receive(t, contract.PortsHeld{DVIPA: dvipa4, XCF: other.XCF, Unique: []uint16{5000}, Epoch: 3}, contract.EndOfList{}, contract.EndOfList{})
	if got := ports(); !slices.Equal(got, []string{"5000 unique MVS2", "5001 rests", "5002 rests"}) {
		t.Errorf("after the second: %q", got)
	}
}

// mark has the stack itself hold a unique port.
func (s *scripted) mark(t *testing.T, dvipa netip.Addr, port uint16) {
	t.Helper()
	if _, err := s.d.Mark(t.Context(), dvipa, xcf(1), []Held{{port, Unique}}); err != nil {
		t.Fatal(err)
	}
}

// Of a unique port that two stacks have each is told, and the log says so.
func TestTwoHoldersAreTold(t *testing.T) {
	t.Parallel()
	s := newScripted(t)
	third := contract.Member{Stack: "MVS3", XCF: xcf(3), Incarnation: 9}
	s.d.Joined(third)
	s.d.Receive(third, contract.PortsHeld{DVIPA: dvipa4, XCF: third.XCF, Unique: []uint16{5001, 5000, 5004}, Epoch: 3})
	s.mark(t, dvipa4, 5002)
	to := make(map[netip.Addr][]contract.Message)
	s.d.config.Send = func(xcf netip.Addr, m contract.Message) { to[xcf] = append(to[xcf], m) }
	s.receive(t, contract.PortsHeld{DVIPA: dvipa4, XCF: other.XCF, Unique: []uint16{5001, 5000, 5002, 5003}, Epoch: 3})
	twice := func(holder int, ports ...uint16) contract.Message {
		return contract.PortsHeld{DVIPA: dvipa4, XCF: xcf(holder), Unique: ports, Epoch: 3}
	}
	want := map[netip.Addr][]contract.Message{xcf(2): {twice(1, 5002), twice(3, 5000, 5001)}, xcf(3): {twice(2, 5000, 5001)}}
	if !reflect.DeepEqual(to, want) {
		t.Errorf("told %v, want %v", to, want)
	}
}

// A holder says what its owner tells it, of what it holds.
func TestAHolderIsToldOfAnother(t *testing.T) {
	t.Parallel()
	var log syncBuffer
	s := newScripted(t)
	s.d.config.Logger = slog.New(slog.NewTextHandler(&log, nil))
	s.d.Follow(dvipa6, other, 1)
	s.mark(t, dvipa6, 5000)
	s.d.Joined(contract.Member{Stack: "MVS3", XCF: xcf(3), Incarnation: 9})
	tell := func(holder int) {
		s.d.Receive(other, contract.PortsHeld{DVIPA: dvipa6, XCF: xcf(holder), Unique: []uint16{5000, 5001}, Epoch: 1})
	}
	if tell(1); log.String() != "" {
		t.Errorf("said %q, want nothing: nobody else holds a port", log.String())
	}
	tell(3)
	if said := log.String(); !strings.Contains(said, "port=5000") || !strings.Contains(said, "MVS3") || strings.Contains(said, "5001") {
		t.Errorf("said %q, want that MVS3 holds port 5000 too", said)
	}
}

// Until a stack that joined has told, the owner is busy and names it.
func TestBusyUntilTold(t *testing.T) {
	t.Parallel()
	s := newScripted(t)
	third := contract.Member{Stack: "MVS3", XCF: xcf(3), Incarnation: 9}
	s.d.Joined(third)
	want := contract.PortAnswer{ID: 1, Outcome: contract.PortBusy, Holder: "MVS3"}
	if answer := s.ask(t, claimOf(1, 0)); *answer != want {
		t.Errorf("%+v, want %+v", *answer, want)
	}
	s.d.Lost(third)
	s.d.Joined(third)
	s.d.Announce(third.XCF, owner(dvipa4, 3))
	s.d.Receive(third, contract.EndOfList{})
	s.d.Lost(third)
	s.d.Joined(third)
	if answer := s.ask(t, claimOf(1, 0)); *answer != want {
		t.Errorf("back again: %+v, want %+v", *answer, want)
	}
	s.d.Lost(third)
	if answer := s.ask(t, claimOf(1, 0)); answer.Outcome != contract.PortGranted {
		t.Errorf("after its loss: %+v", *answer)
	}
}

// A port is not given back while a claim for it is under way.
func TestReleaseDuringAClaim(t *testing.T) {
	t.Parallel()
	w, stacks := plexOf(t, 2, DistributorConfig{})
	for _, s := range stacks[1:] {
		mustBind(t, s.d, dvipa4, 60, Shared)
		claim := mustClaim(t, claimLater(s.d, Request{DVIPA: dvipa4, Port: 60, Use: Shared}))
		if freed, err := s.d.Release(t.Context(), dvipa4, []Release{{Port: 60}}, nil); err != nil || len(freed) > 0 {
			t.Errorf("MVS%d: freed %v, error %v, want none: it is being bound again", s.n, freed, err)
		}
		claim.Abort()
	}
	stacks[1].expect(t, w, "60 shared MVS1 MVS2")
}

// Port 0 is not answered with an enumerated port.
func TestEnumeratedPortsAreAvoided(t *testing.T) {
	t.Parallel()
	w, stacks := plexOf(t, 2, DistributorConfig{Pool: contract.PortRange{First: 59, Last: 61}})
	for _, s := range stacks[1:] {
		if port := mustBind(t, s.d, dvipa4, 0, Unique); port == 60 {
			t.Errorf("port 60 given to MVS%d", s.n)
		}
	}
	stacks[1].held(t, w, dvipa4)
	if _, err := bind(stacks[2].d, dvipa4, 0, Unique); !errors.As(err, new(*ExhaustedError)) {
		t.Errorf("port 60 alone is left: %v", err)
	}
}
