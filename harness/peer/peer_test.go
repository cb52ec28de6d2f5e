package peer_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/plexlab-dev/plexlab/harness/peer"
	"github.com/plexlab-dev/plexlab/nodes/contract"
)

var (
	key     = contract.Key{1, 2, 3}
	compare = cmpopts.EquateComparable(netip.Addr{}, netip.AddrPort{}, netip.Prefix{})
	srvstat = contract.SRVSTAT{
		Service: netip.MustParseAddrPort("44.0.0.10:60"), XCF: netip.MustParseAddr("127.0.0.2"), Listening: true, Epoch: 1,
	}
)

// within is the stated maximum of the waits in these tests.
func within(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// soon is the time in which something is expected not to happen.
func soon(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	t.Cleanup(cancel)
	return ctx
}

// pair is the configuration of two peers that face each other over loopback; the first has
// the lower address and dials.
func pair(t *testing.T) (low, high peer.Config) {
	t.Helper()
	configs := make([]peer.Config, 2)
	for i, address := range []string{"127.0.0.1", "127.0.0.2"} {
		xcf := netip.MustParseAddr(address)
		packets, err := net.ListenPacket("udp4", address+":0")
		if err != nil {
			t.Fatal(err)
		}
		listener, err := net.Listen("tcp4", address+":0")
		if err != nil {
			t.Fatal(err)
		}
		dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: xcf.AsSlice()}}
		configs[i] = peer.Config{
			Identity: contract.Identity{Plex: "PLEX1", Member: contract.Member{Stack: []string{"MVS1", "MVS2"}[i], XCF: xcf, Incarnation: uint64(i + 1)}},
			Key:      key, Packets: packets, Listener: listener, Hello: 5 * time.Millisecond,
			Dial: func(ctx context.Context, to netip.AddrPort) (net.Conn, error) {
				return dialer.DialContext(ctx, "tcp4", to.String())
			},
		}
	}
	for i := range configs {
		other := configs[1-i]
		configs[i].Partner = other.Identity.XCF
		configs[i].HelloTo = other.Packets.LocalAddr().(*net.UDPAddr).AddrPort()
	}
	return configs[0], configs[1]
}

func start(t *testing.T, c peer.Config) *peer.Peer {
	t.Helper()
	p, err := peer.Start(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

// joined are two peers with a connection between them.
func joined(t *testing.T) (low, high *peer.Peer) {
	t.Helper()
	one, two := pair(t)
	low, high = start(t, one), start(t, two)
	for p, want := range map[*peer.Peer]contract.Member{low: two.Identity.Member, high: one.Identity.Member} {
		got, err := p.WaitJoined(within(t))
		must(t, err)
		if diff := cmp.Diff(want, got, compare); diff != "" {
			t.Error(diff)
		}
	}
	return low, high
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestMessagesAreExpectedInTheirOrder(t *testing.T) {
	t.Parallel()
	low, high := joined(t)
	for _, m := range []contract.Message{contract.VIPAList{}, srvstat, contract.EndOfList{}} {
		must(t, high.Send(m))
	}
	got, err := low.Expect(within(t), peer.Of("of 127.0.0.2", func(m contract.SRVSTAT) bool { return m.XCF == srvstat.XCF }))
	must(t, err)
	if diff := cmp.Diff(contract.Message(srvstat), got, compare); diff != "" {
		t.Error(diff)
	}
	_, err = low.Expect(within(t), peer.Is(contract.EndOfList{}))
	must(t, err)
	if _, err := low.Expect(soon(t), peer.Of[contract.VIPAList]("", nil)); err == nil {
		t.Error("a message before the last expected one was found again")
	}
	must(t, low.ExpectNone(soon(t), peer.Is(srvstat)))

	messages := low.Messages()
	if len(messages) != 3 {
		t.Fatalf("%d messages, want 3: %v", len(messages), messages)
	}
	for i, m := range messages {
		if m.At.IsZero() || i > 0 && m.At.Before(messages[i-1].At) {
			t.Errorf("message %d has the time %v", i, m.At)
		}
	}
}

func TestExpectSaysWhatCameInstead(t *testing.T) {
	t.Parallel()
	low, high := joined(t)
	low.Passed()
	must(t, high.Send(contract.EndOfList{}))
	_, err := low.Expect(within(t), peer.Is(contract.EndOfList{}))
	must(t, err)
	must(t, high.Send(srvstat))
	must(t, high.Disconnect())
	_, err = low.WaitEnded(within(t))
	must(t, err)

	_, err = low.Expect(soon(t), peer.Is(contract.NEWCONNAck{Acknowledge: 4}))
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got error %v, want %v", err, context.DeadlineExceeded)
	}
	for _, want := range []string{
		"peer MVS1 expected NEWCONN_ACK {Acknowledge:4} and got instead:\n",
		"ms received on connection 1: SRVSTAT {Service:44.0.0.10:60 XCF:127.0.0.2 Listening:true Unique:false Epoch:1}\n",
		"ms ended on connection 1: the partner closed it in order\n",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not say %q:\n%v", want, err)
		}
	}
	if strings.Contains(err.Error(), "END_OF_LIST") {
		t.Errorf("the error tells of what was expected before:\n%v", err)
	}
}

func TestExpectNoneSaysWhatCame(t *testing.T) {
	t.Parallel()
	low, high := joined(t)
	must(t, high.Send(srvstat))
	err := low.ExpectNone(within(t), peer.Of[contract.SRVSTAT]("at all", nil))
	if want := "peer MVS1 expected no SRVSTAT at all, and got: received on connection 1: SRVSTAT {Service:44.0.0.10:60"; err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("got error %v, want %q", err, want)
	}
	_, err = low.Expect(within(t), peer.Is(srvstat))
	must(t, err)
}

// What a peer does wrong on a connection, as another peer sees it.
func TestMisbehaviour(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		do   func(*peer.Peer) error
		want error
	}{
		"repeated":  {(*peer.Peer).Replay, contract.ErrMAC},
		"wrong key": {func(p *peer.Peer) error { return p.SendWrongKey(srvstat) }, contract.ErrMAC},
		"left out":  {func(p *peer.Peer) error { return p.SendFrame(srvstat, func(s *contract.Sealer) { s.Sequence++ }) }, contract.ErrMAC},
		"oversized": {(*peer.Peer).SendOversized, contract.ErrOversized},
		"too short": {func(p *peer.Peer) error { return p.SendBytes([]byte{0, 0, 0, 1}) }, contract.ErrTruncated},
		"cut off": {func(p *peer.Peer) error {
			return errors.Join(p.SendBytes([]byte{0, 0, 1}), p.Disconnect())
		}, io.ErrUnexpectedEOF},
		"ended": {(*peer.Peer).Disconnect, io.EOF},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			low, high := joined(t)
			must(t, high.Send(contract.EndOfList{}))
			_, err := low.Expect(within(t), peer.Is(contract.EndOfList{}))
			must(t, err)
			must(t, test.do(high))
			cause, err := low.WaitEnded(within(t))
			must(t, err)
			if !errors.Is(cause, test.want) {
				t.Errorf("the connection ended by %v, want %v", cause, test.want)
			}
			if n := len(low.Messages()); n != 1 {
				t.Errorf("%d messages, want 1: %v", n, low.Messages())
			}
		})
	}
}

func TestResetIsNotAnOrderlyEnd(t *testing.T) {
	t.Parallel()
	low, high := joined(t)
	must(t, high.Reset())
	cause, err := low.WaitEnded(within(t))
	must(t, err)
	if cause == nil || errors.Is(cause, io.EOF) {
		t.Errorf("the connection ended by %v, want a reset", cause)
	}
}

func TestConnectionOutlivesWhatIsMalformedOrUnknown(t *testing.T) {
	t.Parallel()
	low, high := joined(t)
	must(t, high.SendMalformed())
	must(t, high.SendUnknown(99))
	_, err := low.Expect(within(t), peer.Is(contract.Unknown{Field: 99}))
	must(t, err)
	var malformed int
	for _, e := range low.Record() {
		if e.What == peer.Malformed {
			malformed++
		}
	}
	if malformed != 1 {
		t.Errorf("%d malformed frames in the record, want 1: %v", malformed, low.Record())
	}
}

func TestSilence(t *testing.T) {
	t.Parallel()
	low, high := joined(t)
	high.Silence()
	last, err := low.WaitHello(within(t), func(contract.Hello) bool { return true })
	must(t, err)
	later := func(by uint64) func(contract.Hello) bool {
		return func(h contract.Hello) bool { return h.Sequence > last.Sequence+by }
	}
	// One more may have been on its way.
	if h, err := low.WaitHello(soon(t), later(1)); err == nil {
		t.Errorf("heard %+v of a silent peer", h)
	}
	must(t, high.Send(srvstat))
	_, err = low.Expect(within(t), peer.Is(srvstat))
	must(t, err)
	high.Speak()
	_, err = low.WaitHello(within(t), later(2))
	must(t, err)
}

func TestStopReading(t *testing.T) {
	t.Parallel()
	low, high := joined(t)
	low.StopReading()
	must(t, high.Send(contract.EndOfList{})) // may be taken in by a read that had begun
	must(t, high.Send(srvstat))
	must(t, low.ExpectNone(soon(t), peer.Is(srvstat)))
	low.StartReading()
	_, err := low.Expect(within(t), peer.Is(srvstat))
	must(t, err)
}

func TestRestart(t *testing.T) {
	t.Parallel()
	low, high := joined(t)
	must(t, high.Restart(77))
	_, err := low.WaitEnded(within(t))
	must(t, err)
	member, err := low.WaitJoined(within(t))
	must(t, err)
	if member.Incarnation != 77 {
		t.Errorf("joined with incarnation %d, want 77", member.Incarnation)
	}
}

func TestLeaveWaitsForThePartner(t *testing.T) {
	t.Parallel()
	low, high := joined(t)
	left := make(chan error, 1)
	ctx := within(t)
	go func() { left <- high.Leave(ctx) }()
	_, err := low.WaitHello(within(t), func(h contract.Hello) bool { return h.Leaving })
	must(t, err)
	select {
	case err := <-left:
		t.Fatalf("left before the partner closed its end: %v", err)
	default:
	}
	must(t, low.Disconnect())
	must(t, <-left)
}

func TestHelloWithChosenFields(t *testing.T) {
	t.Parallel()
	low, high := joined(t)
	must(t, high.SendHello(func(h *contract.Hello) { h.Plex, h.Sequence = "PLEX9", 1<<40 }))
	h, err := low.WaitHello(within(t), func(h contract.Hello) bool { return h.Sequence == 1<<40 })
	must(t, err)
	if h.Plex != "PLEX9" {
		t.Errorf("heard plex %s, want PLEX9", h.Plex)
	}
}

func TestManual(t *testing.T) {
	t.Parallel()
	one, two := pair(t)
	two.Manual = true
	low, high := start(t, one), start(t, two)
	conn, err := high.AcceptRaw(within(t))
	must(t, err)
	defer conn.Close()
	sealed, err := contract.ReadFrame(conn, contract.MaxGreeting)
	must(t, err)
	greeting, err := contract.OpenGreeting(key, sealed)
	must(t, err)
	if diff := cmp.Diff(one.Identity, greeting.Identity, compare); diff != "" {
		t.Error(diff)
	}
	_, err = conn.Write(contract.SealGreetingPayload(contract.Key{9}, []byte("x")))
	must(t, err)
	cause, err := low.WaitRefused(within(t))
	must(t, err)
	if !errors.Is(cause, contract.ErrMAC) {
		t.Errorf("refused by %v, want %v", cause, contract.ErrMAC)
	}

	raw, err := high.DialRaw(within(t))
	must(t, err)
	raw.Close()
}

func TestStartRefuses(t *testing.T) {
	t.Parallel()
	low, high := pair(t)
	defer low.Packets.Close()
	defer low.Listener.Close()
	defer high.Packets.Close()
	defer high.Listener.Close()
	noPartner, noName := low, high
	noPartner.Partner = netip.Addr{}
	noName.Identity.Stack = ""
	for want, c := range map[string]peer.Config{
		"start scripted peer: Packets, Listener and Dial are needed":            {Partner: low.Partner},
		"start scripted peer: no partner named":                                 noPartner,
		"start scripted peer : peer : HELLO: stack: 0 characters, want 1 to 32": noName,
	} {
		if _, err := peer.Start(c); err == nil || err.Error() != want {
			t.Errorf("got error %v, want %q", err, want)
		}
	}
}
