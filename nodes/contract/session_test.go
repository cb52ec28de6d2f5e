package contract

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/protowire"
)

var (
	testKey = Key{1, 2, 3}
	mvs1    = Identity{Plex: "PLEX1", Member: Member{Stack: "MVS1", XCF: netip.MustParseAddr("10.1.0.1"), Incarnation: 11, Outside: true}}
	mvs2    = Identity{Plex: "PLEX1", Member: Member{Stack: "MVS2", XCF: netip.MustParseAddr("10.1.0.2"), Incarnation: 22}}
)

// pipe is a TCP connection over loopback that fails its test rather than hang.
func pipe(t *testing.T) (a, b net.Conn) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	a, err = net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	b, err = listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []net.Conn{a, b} {
		if err := c.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
	}
	return a, b
}

type outcome struct {
	session *Session
	err     error
}

// begin runs a handshake beside the test. The connection is closed after an error, as its
// owner would do.
func begin(h Handshake, conn net.Conn) <-chan outcome {
	done := make(chan outcome, 1)
	go func() {
		s, err := h.Do(conn)
		if err != nil {
			conn.Close()
		}
		done <- outcome{s, err}
	}()
	return done
}

func connected(t *testing.T) (one, two *Session, raw net.Conn) {
	t.Helper()
	a, b := pipe(t)
	first, second := begin(Handshake{Key: testKey, Local: mvs1}, a), begin(Handshake{Key: testKey, Local: mvs2}, b)
	o, w := <-first, <-second
	if o.err != nil || w.err != nil {
		t.Fatal(o.err, w.err)
	}
	return o.session, w.session, a
}

func TestSessionCarriesMessagesBothWays(t *testing.T) {
	t.Parallel()
	one, two, raw := connected(t)
	if diff := cmp.Diff(mvs2, one.Partner(), compare); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(mvs1, two.Partner(), compare); diff != "" {
		t.Error(diff)
	}
	for _, m := range messages() {
		if m == (Confirm{}) {
			continue
		}
		for _, way := range [][2]*Session{{one, two}, {two, one}} {
			if err := way[0].Send(m); err != nil {
				t.Fatal(err)
			}
			got, err := way[1].Receive()
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(m, got, compare); diff != "" {
				t.Error(diff)
			}
		}
	}
	raw.Close()
	if _, err := two.Receive(); !errors.Is(err, io.EOF) {
		t.Errorf("after the partner closed: %v, want %v", err, io.EOF)
	}
}

func TestHandshakeRefuses(t *testing.T) {
	t.Parallel()
	otherPlex, twin := mvs2, mvs1
	otherPlex.Plex = "PLEX2"
	unnamed := mvs2
	unnamed.Stack = ""
	for _, test := range []struct {
		name    string
		partner Handshake
		want    string
	}{
		{"another key", Handshake{Key: Key{9}, Local: mvs2}, ErrMAC.Error()},
		{"another plex", Handshake{Key: testKey, Local: otherPlex}, "greeting: of plex PLEX2, want PLEX1"},
		{"ourselves", Handshake{Key: testKey, Local: twin}, "greeting: our own, sent back"},
		{"no name", Handshake{Key: testKey, Local: unnamed}, "the partner ended the connection"},
		{"a partner that does not admit us", Handshake{Key: testKey, Local: mvs2, Admit: func(Identity) error { return errors.New("no") }}, "confirm: the partner ended the connection"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			a, b := pipe(t)
			begin(test.partner, b)
			got := <-begin(Handshake{Key: testKey, Local: mvs1}, a)
			if got.err == nil || !strings.Contains(got.err.Error(), test.want) {
				// A reset in place of an end of stream depends on what was unread.
				if !strings.Contains(test.want, "ended") || got.err == nil || !strings.Contains(got.err.Error(), "reset") {
					t.Errorf("got error %v, want %q", got.err, test.want)
				}
			}
		})
	}
}

// greetingOf does the first half of a handshake by hand.
func greetingOf(t *testing.T, conn net.Conn, own []byte) Greeting {
	t.Helper()
	if _, err := conn.Write(own); err != nil {
		t.Fatal(err)
	}
	sealed, err := ReadFrame(conn, MaxGreeting)
	if err != nil {
		t.Fatal(err)
	}
	g, err := OpenGreeting(testKey, sealed)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// Whoever recorded a whole connection can repeat its greeting, but not its Confirm.
func TestReplayedHandshakeProvesNothing(t *testing.T) {
	t.Parallel()
	recorded := Greeting{Identity: mvs2, Nonce: Nonce{7}}
	frame, err := SealGreeting(testKey, recorded)
	if err != nil {
		t.Fatal(err)
	}
	confirm, err := Marshal(Envelope{Sender: mvs2.Stack, Incarnation: mvs2.Incarnation, Message: Confirm{}})
	if err != nil {
		t.Fatal(err)
	}

	a, b := pipe(t)
	first := begin(Handshake{Key: testKey, Local: mvs1}, a)
	sealer := Sealer{Key: testKey, Sender: recorded.Nonce, Receiver: greetingOf(t, b, frame).Nonce}
	recordedConfirm, err := sealer.Append(nil, confirm)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Write(recordedConfirm); err != nil {
		t.Fatal(err)
	}
	if got := <-first; got.err != nil {
		t.Fatalf("the recorded handshake itself: %v", got.err)
	}

	a, b = pipe(t)
	again := begin(Handshake{Key: testKey, Local: mvs1}, a)
	greetingOf(t, b, frame)
	if _, err := b.Write(recordedConfirm); err != nil {
		t.Fatal(err)
	}
	if got := <-again; !errors.Is(got.err, ErrMAC) {
		t.Errorf("got error %v, want %v", got.err, ErrMAC)
	}
}

// A mirror sends back whatever it gets.
func TestReflectedHandshakeIsRefused(t *testing.T) {
	t.Parallel()
	a, b := pipe(t)
	go func() { _, _ = io.Copy(b, b) }()
	got := <-begin(Handshake{Key: testKey, Local: mvs1}, a)
	if want := "our own, sent back"; got.err == nil || !strings.Contains(got.err.Error(), want) {
		t.Errorf("got error %v, want %q", got.err, want)
	}
}

func TestAdmitSeesThePartnerBeforeConfirm(t *testing.T) {
	t.Parallel()
	a, b := pipe(t)
	asked := make(chan Identity, 1)
	first := begin(Handshake{Key: testKey, Local: mvs1, Admit: func(partner Identity) error {
		asked <- partner
		return errors.New("not in this group")
	}}, a)
	frame, err := SealGreeting(testKey, Greeting{Identity: mvs2, Nonce: Nonce{7}})
	if err != nil {
		t.Fatal(err)
	}
	greetingOf(t, b, frame)
	if got := <-first; got.err == nil || !strings.Contains(got.err.Error(), "not in this group") {
		t.Errorf("got error %v, want that of Admit", got.err)
	}
	if diff := cmp.Diff(mvs2, <-asked, compare); diff != "" {
		t.Error(diff)
	}
	if n, err := b.Read(make([]byte, 1)); n != 0 || err == nil {
		t.Errorf("read %d bytes, error %v after a refusal; want an end without Confirm", n, err)
	}
}

func TestReceiveEndsOnAFrameOutOfItsPlace(t *testing.T) {
	t.Parallel()
	payload, err := Marshal(Envelope{Sender: mvs1.Stack, Incarnation: mvs1.Incarnation, Message: EndOfList{}})
	if err != nil {
		t.Fatal(err)
	}
	next := func(t *testing.T, s Sealer) []byte {
		frame, err := s.Append(nil, payload)
		if err != nil {
			t.Fatal(err)
		}
		return frame
	}
	for _, test := range []struct {
		name  string
		frame func(t *testing.T, s Sealer) []byte
		want  error
	}{
		{"repeated", func(t *testing.T, s Sealer) []byte { s.Sequence--; return next(t, s) }, ErrMAC},
		{"one left out", func(t *testing.T, s Sealer) []byte { s.Sequence++; return next(t, s) }, ErrMAC},
		{"another key", func(t *testing.T, s Sealer) []byte { s.Key[0]++; return next(t, s) }, ErrMAC},
		{"of another connection", func(t *testing.T, s Sealer) []byte { s.Receiver[0]++; return next(t, s) }, ErrMAC},
		{"of the other direction", func(t *testing.T, s Sealer) []byte { s.Sender, s.Receiver = s.Receiver, s.Sender; return next(t, s) }, ErrMAC},
		{"a bit changed", func(t *testing.T, s Sealer) []byte { f := next(t, s); f[5] ^= 1; return f }, ErrMAC},
		{"oversized", func(*testing.T, Sealer) []byte { return binary.BigEndian.AppendUint32(nil, MaxFrame+1) }, ErrOversized},
		{"shorter than a MAC", func(*testing.T, Sealer) []byte { return binary.BigEndian.AppendUint32(nil, MACSize-1) }, ErrTruncated},
		{"cut off", func(t *testing.T, s Sealer) []byte { return next(t, s)[:20] }, io.ErrUnexpectedEOF},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			one, two, raw := connected(t)
			if _, err := raw.Write(test.frame(t, one.Sealer())); err != nil {
				t.Fatal(err)
			}
			raw.Close()
			if _, err := two.Receive(); !errors.Is(err, test.want) {
				t.Errorf("got error %v, want %v", err, test.want)
			}
		})
	}
}

func TestReceiveGoesOnAfterAMalformedMessage(t *testing.T) {
	t.Parallel()
	one, two, _ := connected(t)
	envelope := func(sender string, incarnation uint64, m Message) []byte {
		payload, err := Marshal(Envelope{Sender: sender, Incarnation: incarnation, Message: m})
		if err != nil {
			t.Fatal(err)
		}
		return payload
	}
	for want, payload := range map[string][]byte{
		"not a protobuf message":                                    {0xff},
		"envelope: sender: 0 characters, want 1 to 32":              {},
		"envelope: sender: MVS9, want MVS1 as in the greeting":      envelope("MVS9", mvs1.Incarnation, EndOfList{}),
		"envelope: incarnation: 12, want 11 as in the greeting":     envelope("MVS1", 12, EndOfList{}),
		"CONFIRM after the handshake":                               envelope("MVS1", mvs1.Incarnation, Confirm{}),
		"envelope: body: none":                                      protowire.AppendFixed64(protowire.AppendTag([]byte("\x0a\x04MVS1"), 2, protowire.Fixed64Type), mvs1.Incarnation),
		"envelope: sender: \"MVS\\n1\" has a character that is not": []byte("\x0a\x05MVS\n1"),
	} {
		if err := one.SendPayload(payload, envelope("MVS1", mvs1.Incarnation, EndOfList{})); err != nil {
			t.Fatal(err)
		}
		_, err := two.Receive()
		var content *MessageError
		if !errors.As(err, &content) || !strings.Contains(err.Error(), want) {
			t.Errorf("got error %v, want %q", err, want)
		}
		if m, err := two.Receive(); err != nil || m != (EndOfList{}) {
			t.Fatalf("the message after it: %v, error %v", m, err)
		}
	}
}

func TestOversizedMessageIsNotSent(t *testing.T) {
	t.Parallel()
	one, two, _ := connected(t)
	if err := one.SendPayload(make([]byte, MaxFrame-MACSize+1)); !errors.Is(err, ErrOversized) {
		t.Errorf("got error %v, want %v", err, ErrOversized)
	}
	if err := one.Send(EndOfList{}); err != nil {
		t.Fatal(err)
	}
	if m, err := two.Receive(); err != nil || m != (EndOfList{}) {
		t.Errorf("the message after it: %v, error %v", m, err)
	}
}
