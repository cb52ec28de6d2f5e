package capture

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gopacket/gopacket/pcapgo"

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
	later := far.After(w.Mark())
	w.send(t, 2)
	p, err := later.Await(within(t), segment.Pattern{})
	if err != nil || p.Decode().Segment.Seq != 2 {
		t.Errorf("want the second segment, got %v, %v", p, err)
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

func TestStopRecordsWhatArrivedBefore(t *testing.T) {
	w := newWire(t)
	const count = 20000
	for n := range uint32(count) {
		w.send(t, n)
	}
	if err := w.Stop(); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"near", "far"} {
		if n := len(w.On(name).Matching(segment.Pattern{})); n != count {
			t.Errorf("on %s: want %d segments, got %d", name, count, n)
		}
	}
	if err := w.Stop(); err != nil {
		t.Errorf("stopping again: %v", err)
	}
}

func TestWhatIsLostIsReportedAndProvesNothing(t *testing.T) {
	w := newWire(t)
	big := segment.NewData(client, service, 1, 1, make([]byte, 1400))
	// While the record is locked the readers cannot go on, and the rings fill up.
	w.mu.Lock()
	begin := time.Now()
	for sent := 0; sent < 2*blockCount*blockSize && time.Since(begin) < 6*blockCount*retire; sent += len(big.Payload) {
		w.sendSegment(t, big)
	}
	w.mu.Unlock()
	far := w.On("far")
	for seen := false; !seen; {
		w.send(t, 99) // lost as well until the readers have caught up
		ctx, cancel := context.WithTimeout(within(t), 50*time.Millisecond)
		_, err := far.Await(ctx, seq(99))
		seen = err == nil
		cancel()
		if t.Context().Err() != nil {
			t.Fatal(err)
		}
	}
	var loss *LossError
	if err := far.NoneBefore(within(t), seq(5), seq(99)); !errors.As(err, &loss) || loss.Lost["far"] == 0 {
		t.Errorf("want a LossError, got %v", err)
	}
	if err := w.Stop(); !errors.As(err, &loss) || loss.Lost["near"] == 0 || !strings.Contains(err.Error(), "on far") {
		t.Errorf("want a LossError from Stop, got %v", err)
	}
}

func TestBulkOfKernelsIsRecordedWhole(t *testing.T) {
	w := newWire(t)
	w.near.AddAddress(netip.PrefixFrom(client.Addr(), 24))
	w.far.AddAddress(netip.PrefixFrom(service.Addr(), 24))
	listener := w.far.Listen(service)
	const size = 4 << 20
	received := make(chan int64, 1)
	go func() {
		conn, err := listener.Accept()
		if err != nil {
			received <- 0
			return
		}
		n, _ := io.Copy(io.Discard, conn)
		conn.Close()
		received <- n
	}()
	w.near.Do(func() error {
		conn, err := net.Dial("tcp", service.String())
		if err != nil {
			return err
		}
		_, err = conn.Write(make([]byte, size))
		return errors.Join(err, conn.Close())
	})
	if n := <-received; n != size {
		t.Fatalf("received %d bytes", n)
	}
	if err := w.Stop(); err != nil {
		t.Fatal(err)
	}
	var bytes, unsummed, oversized int
	for _, p := range w.On("far").Received().Matching(segment.Pattern{Dst: service}) {
		bytes += len(p.Decode().Segment.Payload)
		if p.Unsummed {
			unsummed++
		}
		if p.Oversized {
			oversized++
		}
		if p.Length != len(p.Data) {
			t.Fatalf("%d of %d bytes of a frame", len(p.Data), p.Length)
		}
	}
	if bytes < size || unsummed == 0 || oversized == 0 {
		t.Errorf("%d bytes, %d packets unsummed, %d oversized", bytes, unsummed, oversized)
	}
}

func TestHeadersAlone(t *testing.T) {
	near, far := vethtest.New(t)
	port, err := segment.NewPort(near.PacketSocket())
	if err != nil {
		t.Fatal(err)
	}
	defer port.Close()
	c, err := Start("", Source{Name: "far", Socket: far.PacketSocket(), Snap: 128})
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{Capture: c, near: near, far: far, port: port}
	w.sendSegment(t, segment.NewData(client, service, 5, 6, make([]byte, 1000)))
	p, err := c.All().Await(within(t), seq(5))
	if err != nil || len(p.Data) != 128 || p.Length != 14+20+20+1000 || p.Decode().Segment.Dst != service {
		t.Errorf("%d of %d bytes, %v", len(p.Data), p.Length, err)
	}
	if err := c.Stop(); err != nil {
		t.Error(err)
	}
}

func TestTheFileHoldsWhatWasRecorded(t *testing.T) {
	w := newWire(t)
	w.send(t, 1)
	if _, err := w.On("far").Await(within(t), seq(1)); err != nil {
		t.Fatal(err)
	}
	if err := w.Stop(); err != nil {
		t.Fatal(err)
	}
	file, err := os.Open(w.path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	reader, err := pcapgo.NewNgReader(file, pcapgo.NgReaderOptions{WantMixedLinkType: true})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]Packet{}
	for _, p := range w.All().Matching(seq(1)) {
		want[p.Interface] = p
	}
	for {
		data, info, options, err := reader.ReadPacketDataWithOptions()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		about, err := reader.Interface(info.InterfaceIndex)
		if err != nil {
			t.Fatal(err)
		}
		p, ok := want[about.Name]
		if !ok || segment.Decode(data).Segment.Seq != 1 {
			continue // noise of the kernel's
		}
		delete(want, about.Name)
		outgoing := options.Flags.Direction == pcapgo.NgEpbFlagDirectionOutbound
		if string(data) != string(p.Data) || !info.Timestamp.Equal(p.Time) || outgoing != p.Outgoing || about.Description != remark {
			t.Errorf("on %s: want %+v, got %+v %+v", about.Name, p, info, options)
		}
	}
	if len(want) > 0 {
		t.Errorf("not in the file: %v", want)
	}
}

func TestStartThatFailsLeavesNothing(t *testing.T) {
	near, far := vethtest.New(t)
	source := func(name string, end *vethtest.End) Source { return Source{Name: name, Socket: end.PacketSocket()} }
	dir := t.TempDir()
	for name, test := range map[string]struct {
		path    string
		sources []Source
		want    string
	}{
		"a name twice": {
			"a.pcapng", []Source{source("x", near), source("x", far), source("y", far)}, "twice",
		},
		"too few bytes":           {"e.pcapng", []Source{{Name: "x", Socket: near.PacketSocket(), Snap: 60}}, "60 bytes"},
		"no packet socket":        {"b.pcapng", []Source{{Name: "x", Socket: near.RawSocket()}, source("y", far)}, "ring"},
		"a directory that is not": {"absent/c.pcapng", []Source{source("x", near)}, "create capture file"},
		"no interfaces":           {"d.pcapng", nil, "no interfaces"},
	} {
		_, err := Start(filepath.Join(dir, test.path), test.sources...)
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: want an error that says %q, got %v", name, test.want, err)
		}
		for _, s := range test.sources {
			if err := s.Socket.Close(); !errors.Is(err, os.ErrClosed) {
				t.Errorf("%s: socket of %s is left open", name, s.Name)
			}
		}
	}
	if left, _ := os.ReadDir(dir); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	other := filepath.Join(dir, "other.pcapng")
	if err := os.WriteFile(other, []byte("evidence"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Start(other, source("x", near)); !errors.Is(err, os.ErrExist) {
		t.Errorf("a file that exists: want os.ErrExist, got %v", err)
	}
	if text, _ := os.ReadFile(other); string(text) != "evidence" {
		t.Errorf("a file that exists was changed to %q", text)
	}
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
