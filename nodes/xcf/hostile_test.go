package xcf

import (
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/plexlab-dev/plexlab/nodes/contract"
)

// One stack that knows two partners: the fake one at the lowest address, which dials, and a
// real one that must not suffer from what the fake one does.
type hostile struct {
	*fake
	stack, witness *stack
	stop           func() // the fake one's HELLOs
}

func newHostile(t *testing.T) *hostile { return newPatientHostile(t, testDead) }

// newPatientHostile has a stack that bears silence for as long as dead.
func newPatientHostile(t *testing.T, dead time.Duration) *hostile {
	s := newSegment(t, ipv4, 3)
	c := s.config(1)
	c.Dead = dead
	h := &hostile{fake: newFake(t, s, 0), stack: join(t, c), witness: join(t, s.config(2))}
	h.stop = h.speak()
	h.stack.awaitEvent(t, Joined{Member: h.witness.self()})
	h.witness.awaitEvent(t, Joined{Member: h.stack.self()})
	return h
}

// unharmed checks that stack and witness are members of one another without an interruption.
func (h *hostile) unharmed(t *testing.T) {
	t.Helper()
	must(t, h.witness.Send(h.stack.self().XCF, contract.NEWCONNAck{Acknowledge: 1}))
	h.stack.awaitEvent(t, Received{From: h.witness.self(), Message: contract.NEWCONNAck{Acknowledge: 1}})
	for _, e := range h.stack.told() {
		if lost, ok := e.(Lost); ok && lost.Member == h.witness.self() {
			t.Errorf("the witness was lost: %v", lost.Reason)
		}
	}
}

func (h *hostile) self() contract.Member { return h.config.Self }

func TestDatagramsThatAreIgnored(t *testing.T) {
	t.Parallel()
	h := newHostile(t)
	h.stop()

	seal := func(key contract.Key, change func(*contract.Hello)) []byte {
		hello := contract.Hello{Plex: "PLEX1", Stack: "MVS1", XCF: h.self().XCF, Incarnation: 100, TCPPort: 1, Sequence: 1}
		change(&hello)
		datagram, err := contract.SealHello(key, hello)
		must(t, err)
		return datagram
	}
	same := func(*contract.Hello) {}
	for _, test := range []struct {
		datagram []byte
		log      string
	}{
		{nil, "HELLO: shorter than its MAC"},
		{make([]byte, 1400), "HELLO of 513 bytes, at most 512: oversized"},
		{seal(contract.Key{9}, same), "HELLO: MAC does not match"},
		{contract.SealHelloPayload(testKey, []byte{0xff}), "HELLO: not a protobuf message"},
		{contract.SealHelloPayload(testKey, nil), "HELLO: plex: 0 characters, want 1 to 32"},
		{seal(testKey, same), "MVS1: repeated: sequence 1 after "},
		{seal(testKey, func(hello *contract.Hello) { hello.Incarnation = 99 }), "MVS1: incarnation 99 is older than 100"},
		{seal(testKey, func(hello *contract.Hello) { hello.Plex = "PLEX2" }), "MVS1: it is of plex PLEX2"},
		{seal(testKey, func(hello *contract.Hello) { hello.XCF = h.witness.self().XCF }), "it names the XCF address 10.1.0.3, which is not its source"},
		{seal(testKey, func(hello *contract.Hello) { hello.Stack, hello.Incarnation = "MVS3", 1000 }), "MVS3: its XCF address belongs to MVS1, incarnation 100, which is alive"},
	} {
		h.hello(nil) // the fake one stays alive
		for range 3 {
			h.datagram(test.datagram)
		}
		h.stack.awaitLog(t, test.log)
	}
	h.unharmed(t)
	for _, line := range []string{"oversized", "shorter than its MAC", "not a protobuf", "repeated:"} {
		if n := h.stack.log.count(line); n != 1 {
			t.Errorf("%d lines with %q, want 1:\n%s", n, line, h.stack.log)
		}
	}
}

func TestFramesThatEndAConnection(t *testing.T) {
	t.Parallel()
	for name, frame := range map[string]func(*contract.Sealer) []byte{
		"repeated":  func(s *contract.Sealer) []byte { s.Sequence--; f, _ := s.Append(nil, nil); return f },
		"wrong key": func(s *contract.Sealer) []byte { s.Key[0]++; f, _ := s.Append(nil, nil); return f },
		"oversized": func(*contract.Sealer) []byte { return binary.BigEndian.AppendUint32(nil, contract.MaxFrame+1) },
		"too short": func(*contract.Sealer) []byte { return make([]byte, 4) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHostile(t)
			session, conn := h.connect(h.stack)
			h.stack.awaitEvent(t, Joined{Member: h.self()})
			must(t, session.Send(contract.EndOfList{}))
			h.stack.awaitEvent(t, Received{From: h.self(), Message: contract.EndOfList{}})
			sealer := session.Sealer()
			_, err := conn.Write(frame(&sealer))
			must(t, err)
			h.stack.awaitEvent(t, Lost{Member: h.self(), Reason: Violation})
			h.stack.awaitLog(t, "connection ended")
			if !isReset(conn) {
				t.Error("the connection was closed in order, as if the stack had ended; want a reset")
			}
			h.unharmed(t)
			if _, _, err := h.try(h.stack); err == nil {
				t.Error("a new connection was taken at once")
			}
			h.stack.awaitLog(t, "its last connection was given up a short time ago")
			eventually(t, "a new connection is taken", func() bool {
				_, _, err := h.try(h.stack)
				return err == nil
			}, h.stack.log)
		})
	}
}

func TestMessagesThatAreIgnored(t *testing.T) {
	t.Parallel()
	h := newHostile(t)
	session, _ := h.connect(h.stack)
	for _, payload := range [][]byte{{0xff}, {}, {0xff}} {
		must(t, session.SendPayload(payload))
	}
	must(t, session.Send(contract.Unknown{Field: 99}))
	h.stack.awaitEvent(t, Received{From: h.self(), Message: contract.Unknown{Field: 99}})
	for _, line := range []string{"MVS1: envelope: not a protobuf message", "MVS1: envelope: sender: 0 characters"} {
		if n := h.stack.log.count(line); n != 1 {
			t.Errorf("%d lines with %q, want 1:\n%s", n, line, h.stack.log)
		}
	}
	h.unharmed(t)
}

func TestConnectionsThatAreRefused(t *testing.T) {
	t.Parallel()
	h := newHostile(t)
	refused := func(key contract.Key, local contract.Identity, log string) {
		t.Helper()
		conn := h.dial(h.stack)
		if _, err := (contract.Handshake{Key: key, Local: local}).Do(conn); err == nil {
			t.Errorf("a connection was taken that wants %q", log)
		}
		h.stack.awaitLog(t, log)
	}
	other := h.identity()
	other.XCF = h.witness.self().XCF
	refused(testKey, other, "MVS1 names the XCF address 10.1.0.3, which is not its source")
	other = h.identity()
	other.Plex = "PLEX2"
	refused(testKey, other, "greeting: of plex PLEX2, want PLEX1")
	refused(contract.Key{9}, h.identity(), "greeting: MAC does not match")
	other = h.identity()
	other.Incarnation--
	refused(testKey, other, "incarnation 99 is older than 100")
	other = h.identity()
	other.Stack = "MVS9"
	refused(testKey, other, "it calls itself MVS9, its HELLOs MVS1")
	h.unharmed(t)
}

func TestTheHigherAddressMustNotDial(t *testing.T) {
	t.Parallel()
	s := newSegment(t, ipv4, 2)
	one, high := join(t, s.config(0)), newFake(t, s, 1)
	conn := high.dial(one)
	if _, err := (contract.Handshake{Key: testKey, Local: high.identity()}).Do(conn); err == nil {
		t.Error("the connection was taken")
	}
	one.awaitLog(t, "MVS2 has the higher XCF address and must wait for our connection")
}

func TestAPartnerIsAdmittedOnceItIsHeard(t *testing.T) {
	t.Parallel()
	s := newSegment(t, ipv4, 2)
	low, one := newFake(t, s, 0), join(t, s.config(1))
	admitted := make(chan error, 1)
	conn := low.dial(one)
	go func() {
		_, err := contract.Handshake{Key: testKey, Local: low.identity()}.Do(conn)
		admitted <- err
	}()
	eventually(t, "the connection waits", func() bool {
		one.halfOpen.mu.Lock()
		defer one.halfOpen.mu.Unlock()
		return one.halfOpen.total == 1
	}, one.log)
	if n := len(one.Members()); n != 0 {
		t.Fatalf("%d members before the first HELLO", n)
	}
	low.hello(nil)
	must(t, <-admitted)
	one.awaitEvent(t, Joined{Member: low.config.Self})
}

func TestHalfOpenConnectionsAreBounded(t *testing.T) {
	t.Parallel()
	h := newHostile(t)
	var waiting []net.Conn
	for range halfOpenPerSource {
		waiting = append(waiting, h.dial(h.stack))
	}
	start := time.Now()
	more, err := dial(t.Context(), &h.config, netip.AddrPortFrom(h.stack.self().XCF, h.stack.sockets.port()))
	if err == nil && !isReset(more) {
		t.Error("one more connection was closed in order, want a reset")
	}
	if took := time.Since(start); took >= testDead {
		t.Errorf("one more connection was refused after %v, want at once", took)
	}
	h.stack.awaitLog(t, "too many that did not introduce themselves")
	for _, conn := range waiting {
		isReset(conn) // returns: each ends by itself
	}
	if took := time.Since(start); took > testDead+5*time.Second {
		t.Errorf("the last half-open connection ended after %v, want about %v", took, testDead)
	}
	h.connect(h.stack)
	h.stack.awaitEvent(t, Joined{Member: h.self()})
	h.unharmed(t)
}

func TestAPartnerThatDoesNotReadHoldsUpNobody(t *testing.T) {
	t.Parallel()
	h := newPatientHostile(t, limit) // so that the queue is full before the connection times out
	h.connect(h.stack)
	h.stack.awaitEvent(t, Joined{Member: h.self()})
	dvipa := netip.MustParseAddr("44.0.0.10")
	m := contract.TERMCONN{DVIPA: dvipa, XCF: h.stack.self().XCF, Epoch: 1}
	for i := range contract.MaxConnections {
		m.Connections = append(m.Connections, contract.Connection{
			Remote: netip.AddrPortFrom(netip.MustParseAddr("9.9.9.9"), uint16(i+1)), Local: netip.AddrPortFrom(dvipa, 60),
		})
	}
	var err error
	sent := uint64(0)
	for ; err == nil; sent++ {
		err = h.stack.Send(h.self().XCF, m)
		// The witness gets its messages all the while.
		must(t, h.stack.Send(h.witness.self().XCF, contract.NEWCONNAck{Acknowledge: sent + 1}))
		h.witness.awaitEvent(t, Received{From: h.stack.self(), Message: contract.NEWCONNAck{Acknowledge: sent + 1}})
	}
	if !errors.Is(err, ErrOverflow) {
		t.Errorf("got error %v, want %v", err, ErrOverflow)
	}
	h.stack.awaitEvent(t, Lost{Member: h.self(), Reason: Overflow})
	h.unharmed(t)
	t.Logf("overflow after %d messages", sent)
}

func TestAPartnerThatFallsSilentIsLost(t *testing.T) {
	t.Parallel()
	h := newHostile(t)
	_, conn := h.connect(h.stack)
	h.stack.awaitEvent(t, Joined{Member: h.self()})
	h.stop()
	h.stack.awaitEvent(t, Lost{Member: h.self(), Reason: Silent})
	if !isReset(conn) {
		t.Error("the connection was closed in order, want a reset")
	}
	h.unharmed(t)
}

// Of a host that failed and is up again, the old connection does not say that it is over.
func TestALaterIncarnationTakesThePlaceOfASilentOne(t *testing.T) {
	t.Parallel()
	h := newHostile(t)
	h.connect(h.stack)
	h.stack.awaitEvent(t, Joined{Member: h.self()})
	h.stop()
	before := h.self()
	start := time.Now()
	h.config.Self.Incarnation++
	h.speak()
	h.stack.awaitEvent(t, Lost{Member: before, Reason: Restarted})
	if took := time.Since(start); took >= testDead {
		t.Errorf("replaced after %v, want sooner than silence is seen", took)
	}
	h.connect(h.stack)
	h.stack.awaitEvent(t, Joined{Member: h.self()})
	h.unharmed(t)
}

// An attempt to connect to an incarnation that is over does not hold up the next one.
func TestALaterIncarnationIsDialledAtOnce(t *testing.T) {
	t.Parallel()
	s := newSegment(t, ipv4, 2)
	c := s.config(0)
	c.Dead = limit // as long as an attempt may take
	one, high := join(t, c), newFake(t, s, 1)
	high.hello(nil)
	first, err := high.sockets.listener.AcceptTCP() // and never answered
	must(t, err)
	defer first.Close()
	high.config.Self.Incarnation++
	high.speak()
	second, err := high.sockets.listener.AcceptTCP()
	must(t, err)
	defer second.Close()
	_, err = contract.Handshake{Key: testKey, Local: high.identity()}.Do(second)
	must(t, err)
	one.awaitEvent(t, Joined{Member: high.config.Self})
	if !isReset(first) {
		t.Error("the first attempt was closed in order, want a reset")
	}
}

func TestASecondConnectionReplacesTheFirst(t *testing.T) {
	t.Parallel()
	h := newHostile(t)
	_, first := h.connect(h.stack)
	h.stack.awaitEvent(t, Joined{Member: h.self()})
	second, _ := h.connect(h.stack)
	h.stack.awaitEvent(t, Lost{Member: h.self(), Reason: Reconnected})
	if !isReset(first) {
		t.Error("the first connection was closed in order, want a reset")
	}
	must(t, second.Send(contract.EndOfList{}))
	h.stack.awaitEvent(t, Received{From: h.self(), Message: contract.EndOfList{}})
	h.unharmed(t)
}

// A consumer that takes nothing loses nothing, and the group goes on.
func TestAConsumerThatWaits(t *testing.T) {
	t.Parallel()
	s := newSegment(t, ipv4, 3)
	idle, sender, other := begin(t, s.config(0)), join(t, s.config(1)), join(t, s.config(2))
	sender.awaitMembers(t, 2)
	const n = 4 * inboxLimit
	for i := range n {
		must(t, sender.Send(idle.self().XCF, contract.NEWCONNAck{Acknowledge: uint64(i + 1)}))
	}
	must(t, other.Leave(t.Context()))
	eventually(t, "the group sees who leaves", func() bool { return len(idle.Members()) == 1 }, idle.log)
	go idle.record()
	idle.await(t, "every message", func(events []Event) bool {
		next := uint64(1)
		for _, e := range events {
			if r, ok := e.(Received); ok {
				if r.Message != (contract.NEWCONNAck{Acknowledge: next}) {
					t.Fatalf("got %+v, want message %d", r.Message, next)
				}
				next++
			}
		}
		return next == n+1
	})
	sender.await(t, "the end of the other", func(events []Event) bool { return len(events) >= 3 })
	if told := sender.told(); len(told) != 3 { // two joined, one left
		t.Errorf("the sender was told %v", told)
	}
}
