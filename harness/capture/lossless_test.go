package capture

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/plexlab-dev/plexlab/harness/segment"
	"github.com/plexlab-dev/plexlab/harness/segment/vethtest"
)

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
	for sent := 0; sent < 2*ringSize && time.Since(begin) < 6*ringSize/blockSize*retire; sent += len(big.Payload) {
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

// What is kept of a frame is its beginning: as much as is asked for, or as fits into a block.
func TestBeginningsOfFrames(t *testing.T) {
	for name, test := range map[string]struct {
		source Source
		keeps  func(kept int) bool
	}{
		"headers": {Source{Snap: 128}, func(kept int) bool { return kept == 128 }},
		"a block": {Source{Block: 4 << 10}, func(kept int) bool { return kept > 3900 && kept < 4<<10 }},
	} {
		t.Run(name, func(t *testing.T) {
			near, far := vethtest.New(t)
			for _, end := range []*vethtest.End{near, far} {
				end.Do(func() error {
					link, err := netlink.LinkByName(vethtest.Interface)
					if err != nil {
						return err
					}
					return netlink.LinkSetMTU(link, 9000)
				})
			}
			port, err := segment.NewPort(near.PacketSocket())
			if err != nil {
				t.Fatal(err)
			}
			defer port.Close()
			test.source.Name, test.source.Socket = "far", far.PacketSocket()
			c, err := Start("", test.source)
			if err != nil {
				t.Fatal(err)
			}
			w := &wire{Capture: c, near: near, far: far, port: port}
			w.sendSegment(t, segment.NewData(client, service, 5, 6, make([]byte, 8000)))
			w.send(t, 7)
			p, err := c.All().Await(within(t), seq(5))
			if err != nil || !test.keeps(len(p.Data)) || p.Length != 14+20+20+8000 || p.Decode().Segment.Dst != service {
				t.Errorf("%d of %d bytes, %v", len(p.Data), p.Length, err)
			}
			if _, err := c.All().Await(within(t), seq(7)); err != nil {
				t.Error(err)
			}
			if err := c.Stop(); err != nil {
				t.Error(err)
			}
		})
	}
}

// A socket that is open long before the capture begins has nothing to hold what passes meanwhile.
func TestWhatPassesBeforeTheStartIsNoLoss(t *testing.T) {
	w := &wire{}
	w.near, w.far = vethtest.New(t)
	var err error
	if w.port, err = segment.NewPort(w.near.PacketSocket()); err != nil {
		t.Fatal(err)
	}
	defer w.port.Close()
	early := w.far.PacketSocket()
	for n := range uint32(5000) {
		w.send(t, n)
	}
	if w.Capture, err = Start("", Source{Name: "far", Socket: early}); err != nil {
		t.Fatal(err)
	}
	w.send(t, 9999)
	if _, err := w.On("far").Await(within(t), seq(9999)); err != nil {
		t.Error(err)
	}
	if err := w.Stop(); err != nil {
		t.Errorf("a capture that lost nothing: %v", err)
	}
}
