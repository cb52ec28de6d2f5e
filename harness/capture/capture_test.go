package capture

import (
	"context"
	"errors"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/plexlab-dev/plexlab/harness/segment"
	"github.com/plexlab-dev/plexlab/harness/segment/vethtest"
)

func TestMain(m *testing.M) { vethtest.Main(m) }

var (
	client  = netip.MustParseAddrPort("198.18.0.1:1024")
	service = netip.MustParseAddrPort("198.18.0.2:80")
)

// within is the maximum that any wait of these tests takes.
func within(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// wire is a veth pair with a capture on both ends and a port that sends from the near one.
type wire struct {
	*Capture
	near, far *vethtest.End
	port      *segment.Port
	path      string
}

func newWire(t *testing.T) *wire {
	t.Helper()
	w := &wire{path: filepath.Join(t.TempDir(), "wire.pcapng")}
	w.near, w.far = vethtest.New(t)
	var err error
	if w.port, err = segment.NewPort(w.near.PacketSocket()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.port.Close() })
	w.Capture, err = Start(w.path,
		Source{Name: "near", Socket: w.near.PacketSocket()},
		Source{Name: "far", Socket: w.far.PacketSocket()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Stop() })
	return w
}

// send sends a SYN from client with that sequence number, which nobody answers.
func (w *wire) send(t *testing.T, seq uint32) {
	t.Helper()
	s := segment.NewSYN(client, service)
	s.Seq = seq
	w.sendSegment(t, s)
}

func (w *wire) sendSegment(t *testing.T, s segment.Segment) {
	t.Helper()
	packet, err := s.Packet()
	if err != nil {
		t.Fatal(err)
	}
	frame, err := segment.Frame(w.port.MAC(), w.far.MAC, packet)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.port.Send(frame); err != nil {
		t.Fatal(err)
	}
}

func seq(n uint32) Match {
	return Where("TCP with that sequence number", func(d segment.Decoded) bool {
		return d.Kind == segment.TCP && d.Segment.Seq == n
	})
}

func TestAPacketIsSeenWhereItIsSentAndWhereItIsReceived(t *testing.T) {
	w := newWire(t)
	before := time.Now()
	w.send(t, 7)
	syn := segment.Connect(client, service)
	for _, view := range []View{w.On("near").Sent(), w.On("far").Received(), w.On("near"), w.All()} {
		p, err := view.Await(within(t), syn)
		if err != nil {
			t.Fatal(err)
		}
		if p.Decode().Segment.Seq != 7 || p.Length != len(p.Data) || p.Time.Before(before) || time.Since(p.Time) > time.Minute {
			t.Errorf("on %s: %+v", view, p)
		}
	}
	if err := w.Stop(); err != nil {
		t.Fatal(err)
	}
	for _, view := range []View{w.On("near").Received(), w.On("far").Sent()} {
		if err := view.None(syn); err != nil {
			t.Errorf("on %s: %v", view, err)
		}
	}
	if got := w.All().Matching(syn); len(got) != 2 || got[0].Interface != "near" || got[1].Interface != "far" {
		t.Errorf("in order of time: near, far; got %v", got)
	}
}

func TestMarksDivideARecord(t *testing.T) {
	w := newWire(t)
	w.send(t, 1)
	far := w.On("far")
	if _, err := far.Await(within(t), seq(1)); err != nil {
		t.Fatal(err)
	}
	later, late := far.After(w.Mark()), far.After(Mark{at: time.Now()})
	w.send(t, 2)
	p, err := later.Await(within(t), segment.Pattern{})
	if err != nil || p.Decode().Segment.Seq != 2 {
		t.Errorf("want the second segment, got %v, %v", p, err)
	}
	if n := len(late.Matching(segment.Pattern{})); n != 1 {
		t.Errorf("the first segment passed before: want 1 segment, got %d", n)
	}
	if n := len(far.Matching(segment.Pattern{})); n != 2 {
		t.Errorf("want 2 segments in all, got %d", n)
	}
}

func TestWhatIsNotSeenIsExplained(t *testing.T) {
	w := newWire(t)
	w.send(t, 1)
	if _, err := w.On("far").Await(within(t), seq(1)); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	_, err := w.On("far").Received().Await(ctx, segment.Pattern{Src: service, Has: segment.RST})
	var missing *NotSeenError
	if !errors.As(err, &missing) || !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("want a NotSeenError at the deadline, got %v", err)
	}
	for _, part := range []string{
		"far, received", "198.18.0.2:80 > any with RST", "far in  198.18.0.1:1024 > 198.18.0.2:80 SYN seq 1",
	} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("want %q in:\n%v", part, err)
		}
	}
	w.Stop()
	if _, err := w.All().Await(within(t), seq(9)); !errors.Is(err, ErrStopped) {
		t.Errorf("want ErrStopped, got %v", err)
	}
}

func TestAnAbsenceIsProvedByAMarker(t *testing.T) {
	w := newWire(t)
	w.send(t, 1)
	w.send(t, 2) // the marker
	w.send(t, 3)
	far := w.On("far").Received()
	if err := far.NoneBefore(within(t), seq(3), seq(2)); err != nil {
		t.Errorf("3 comes after the marker: %v", err)
	}
	err := far.NoneBefore(within(t), seq(1), seq(2))
	var unexpected *UnexpectedError
	if !errors.As(err, &unexpected) || unexpected.Packet.Decode().Segment.Seq != 1 || !strings.Contains(err.Error(), "SYN seq 1") {
		t.Errorf("1 comes before the marker: got %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := far.NoneBefore(ctx, seq(9), seq(4)); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a marker that never comes: got %v", err)
	}
	defer func() {
		if recover() == nil {
			t.Error("a marker among several interfaces: want a panic")
		}
	}()
	w.All().NoneBefore(within(t), seq(1), seq(2))
}

func TestAnInterfaceThatIsNotRecordedIsAMistake(t *testing.T) {
	w := newWire(t)
	defer func() {
		if recover() == nil {
			t.Error("want a panic")
		}
	}()
	w.On("nowhere")
}
