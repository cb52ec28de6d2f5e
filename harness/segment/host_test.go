package segment_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/plexlab-dev/plexlab/harness/segment"
	"github.com/plexlab-dev/plexlab/harness/segment/vethtest"
)

func TestMain(m *testing.M) { vethtest.Main(m) }

var (
	scripted = netip.MustParsePrefix("198.18.0.1/24")
	kernel   = netip.MustParsePrefix("198.18.0.2/24")
	service  = netip.AddrPortFrom(kernel.Addr(), 80)
)

// A network is where a scripted host faces a kernel.
type network struct{ scripted, kernel netip.Prefix }

func (n network) service() netip.AddrPort { return netip.AddrPortFrom(n.kernel.Addr(), 80) }

// eachFamily runs a test with IPv4 and with IPv6.
func eachFamily(t *testing.T, fn func(t *testing.T, n network)) {
	t.Run("IPv4", func(t *testing.T) { fn(t, network{scripted, kernel}) })
	t.Run("IPv6", func(t *testing.T) {
		fn(t, network{netip.MustParsePrefix("2001:db8::1/64"), netip.MustParsePrefix("2001:db8::2/64")})
	})
}

// within is the maximum that any wait of these tests takes.
func within(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// pair is a scripted host that faces a kernel.
func pair(t *testing.T) (*segment.Host, *vethtest.End) {
	t.Helper()
	return pairOn(t, network{scripted, kernel})
}

func pairOn(t *testing.T, n network) (*segment.Host, *vethtest.End) {
	t.Helper()
	near, far := vethtest.New(t)
	far.AddAddress(n.kernel)
	port, err := segment.NewPort(near.PacketSocket())
	if err != nil {
		t.Fatal(err)
	}
	if port.MAC().String() != near.MAC.String() {
		t.Errorf("port has %s, its interface %s", port.MAC(), near.MAC)
	}
	host, err := segment.NewHost(port, n.scripted, netip.Addr{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { host.Close() })
	return host, far
}

func TestAScriptedHostConnectsToAKernel(t *testing.T) {
	eachFamily(t, func(t *testing.T, n network) {
		host, far := pairOn(t, n)
		listener := far.Listen(n.service())
		echoed := make(chan error, 1)
		go func() {
			conn, err := listener.Accept()
			if err != nil {
				echoed <- err
				return
			}
			_, err = io.Copy(conn, conn)
			echoed <- errors.Join(err, conn.Close())
		}()

		ctx := within(t)
		conn, err := host.Dial(ctx, 1024, n.service())
		if err != nil {
			t.Fatal(err)
		}
		for _, word := range []string{"one", "two"} {
			if err := conn.Write(ctx, []byte(word)); err != nil {
				t.Fatal(err)
			}
			if got, err := conn.Read(ctx); err != nil || string(got) != word {
				t.Fatalf("want %s, got %q, %v", word, got, err)
			}
		}
		if err := conn.Close(ctx); err != nil {
			t.Fatal(err)
		}
		if err := <-echoed; err != nil {
			t.Error(err)
		}
		if _, err := conn.Read(ctx); err != io.EOF {
			t.Errorf("after the other end's FIN: want io.EOF, got %v", err)
		}
	})
}

func TestARefusedConnection(t *testing.T) {
	host, _ := pair(t)
	_, err := host.Dial(within(t), 1024, service)
	if !errors.Is(err, unix.ECONNREFUSED) {
		t.Errorf("want ECONNREFUSED, got %v", err)
	}
}

func TestResetEndsTheConnectionAtTheKernel(t *testing.T) {
	host, far := pair(t)
	listener := far.Listen(service)
	ended := make(chan error, 1)
	accepted := make(chan struct{})
	go func() {
		conn, err := listener.Accept()
		if err == nil {
			close(accepted)
			_, err = conn.Read(make([]byte, 1))
			conn.Close()
		}
		ended <- err
	}()
	ctx := within(t)
	conn, err := host.Dial(ctx, 1024, service)
	if err != nil {
		t.Fatal(err)
	}
	<-accepted
	if err := conn.Reset(ctx); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; !errors.Is(err, unix.ECONNRESET) {
		t.Errorf("want ECONNRESET at the kernel, got %v", err)
	}
}

func TestWaitingEnds(t *testing.T) {
	host, _ := pair(t)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	nobody := netip.AddrPortFrom(netip.MustParseAddr("198.18.0.77"), 80)
	if _, err := host.Dial(ctx, 1024, nobody); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("an address that nobody has: want the deadline, got %v", err)
	}
	beyond := netip.AddrPortFrom(netip.MustParseAddr("203.0.113.1"), 80)
	if _, err := host.Dial(within(t), 1024, beyond); err == nil {
		t.Error("an address outside without a gateway: want an error")
	}
	host.Close()
	if _, err := host.Receive(within(t), func(segment.Decoded) bool { return true }); !errors.Is(err, os.ErrClosed) {
		t.Errorf("a closed host: want os.ErrClosed, got %v", err)
	}
}

func TestFragmentsAreJoinedByTheKernel(t *testing.T) {
	eachFamily(t, func(t *testing.T, n network) {
		host, far := pairOn(t, n)
		listener := far.Listen(n.service())
		ctx := within(t)
		syn := segment.NewSYN(netip.AddrPortFrom(n.scripted.Addr(), 1024), n.service())
		// IPv6 takes no first fragment without the whole TCP header (RFC 7112), and data is not taken
		// with a SYN.
		syn.Payload = make([]byte, 40)
		const tcpHeader = 24
		whole, err := syn.Packet()
		if err != nil {
			t.Fatal(err)
		}
		parts, err := segment.Fragments(whole, tcpHeader)
		if err != nil || len(parts) != 3 {
			t.Fatalf("%d fragments, %v", len(parts), err)
		}
		for _, part := range parts {
			if err := host.SendPacket(ctx, n.kernel.Addr(), part); err != nil {
				t.Fatal(err)
			}
		}
		answer, err := host.Receive(ctx, segment.Pattern{Src: n.service(), Has: segment.SYN | segment.ACK}.Match)
		if err != nil || answer.Segment.Ack != syn.Seq+1 {
			t.Errorf("want SYN,ACK of %d, got %s, %v", syn.Seq+1, answer, err)
		}
		_ = listener
	})
}

func TestRawPacketsFollowTheRoutesOfTheirNamespace(t *testing.T) {
	host, far := pair(t)
	raw, err := segment.NewRaw(far.RawSocket())
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	stray := segment.NewACK(netip.MustParseAddrPort("203.0.113.5:9"), netip.AddrPortFrom(scripted.Addr(), 7), 1, 2)
	b, err := stray.Packet()
	if err != nil {
		t.Fatal(err)
	}
	if err := raw.Send(b); err != nil {
		t.Fatal(err)
	}
	got, err := host.Receive(within(t), segment.Pattern{Src: stray.Src, Dst: stray.Dst}.Match)
	if err != nil || got.Segment.Seq != stray.Seq {
		t.Errorf("want %s, got %s, %v", stray, got, err)
	}
	for _, bad := range [][]byte{nil, make([]byte, 40)} {
		if err := raw.Send(bad); err == nil {
			t.Errorf("%d bytes: want an error", len(bad))
		}
	}
}

func TestASocketOfAnotherKindIsRefused(t *testing.T) {
	near, _ := vethtest.New(t)
	if _, err := segment.NewPort(near.RawSocket()); err == nil {
		t.Error("a raw IP socket as port: want an error")
	}
	port, err := segment.NewPort(near.PacketSocket())
	if err != nil {
		t.Fatal(err)
	}
	defer port.Close()
	if _, err := segment.NewHost(port, netip.Prefix{}, netip.Addr{}); err == nil {
		t.Error("a host without address: want an error")
	}
}

// facing is a scripted host that faces a port without a kernel's addresses.
func facing(t *testing.T, address netip.Prefix) (*segment.Host, *segment.Port) {
	t.Helper()
	near, far := vethtest.New(t)
	port, err := segment.NewPort(near.PacketSocket())
	if err != nil {
		t.Fatal(err)
	}
	host, err := segment.NewHost(port, address, netip.Addr{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { host.Close() })
	other, err := segment.NewPort(far.PacketSocket())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { other.Close() })
	return host, other
}

func TestAGratuitousAnnouncementMovesANeighbour(t *testing.T) {
	host, other := facing(t, scripted)
	old, moved := net.HardwareAddr{2, 0, 0, 0, 0, 8}, net.HardwareAddr{2, 0, 0, 0, 0, 9}
	say := func(a segment.ARP) {
		t.Helper()
		b, err := a.Frame()
		if err != nil {
			t.Fatal(err)
		}
		if err := other.Send(b); err != nil {
			t.Fatal(err)
		}
	}
	dvipa := netip.MustParseAddr("198.18.0.9")
	say(segment.ARP{SenderMAC: old, SenderIP: dvipa, TargetIP: scripted.Addr()})
	buffer := make([]byte, 2048)
	for reply := (segment.Decoded{}); !reply.ARP.Reply; {
		b, err := other.Receive(buffer)
		if err != nil {
			t.Fatal(err)
		}
		reply = segment.Decode(b)
	}
	if mac, err := host.Resolve(within(t), dvipa); err != nil || mac.String() != old.String() {
		t.Fatalf("before: want %s, got %s, %v", old, mac, err)
	}
	say(segment.ARP{SenderMAC: moved, SenderIP: dvipa, TargetIP: dvipa})
	// A second question shows by its answer that the announcement was read before it.
	say(segment.ARP{SenderMAC: macProbe, SenderIP: probe, TargetIP: scripted.Addr()})
	if _, err := host.Resolve(within(t), probe); err != nil {
		t.Fatal(err)
	}
	if mac, err := host.Resolve(within(t), dvipa); err != nil || mac.String() != moved.String() {
		t.Errorf("after: want %s, got %s, %v", moved, mac, err)
	}
}

var (
	probe    = netip.MustParseAddr("198.18.0.10")
	macProbe = net.HardwareAddr{2, 0, 0, 0, 0, 10}
)

// The override flag alone replaces what is known of a neighbour (RFC 4861, section 7.2.5).
func TestAnAdvertisementMovesANeighbour(t *testing.T) {
	me := netip.MustParsePrefix("2001:db8::1/64")
	host, other := facing(t, me)
	dvipa, everybody := netip.MustParseAddr("2001:db8::9"), netip.MustParseAddr("ff02::1")
	toEverybody := net.HardwareAddr{0x33, 0x33, 0, 0, 0, 1}
	say := func(n segment.NDP, to net.HardwareAddr) {
		t.Helper()
		b, err := n.Frame(n.MAC, to)
		if err != nil {
			t.Fatal(err)
		}
		if err := other.Send(b); err != nil {
			t.Fatal(err)
		}
	}
	old, moved := net.HardwareAddr{2, 0, 0, 0, 0, 8}, net.HardwareAddr{2, 0, 0, 0, 0, 9}
	holder := func() string {
		t.Helper()
		mac, err := host.Resolve(within(t), dvipa)
		if err != nil {
			t.Fatal(err)
		}
		return mac.String()
	}
	say(segment.NDP{Src: dvipa, Target: me.Addr(), MAC: old}, nil)
	if got := holder(); got != old.String() {
		t.Fatalf("who asked: want %s, got %s", old, got)
	}
	for n, override := range []bool{false, true} {
		say(segment.NDP{Advertisement: true, Override: override, Src: dvipa, Dst: everybody, Target: dvipa, MAC: moved}, toEverybody)
		// A question shows by its answer that the advertisement was read before it.
		probe := netip.AddrFrom16([16]byte{0: 0x20, 1: 0x01, 2: 0x0d, 3: 0xb8, 15: byte(20 + n)})
		say(segment.NDP{Src: probe, Target: me.Addr(), MAC: macProbe}, nil)
		if _, err := host.Resolve(within(t), probe); err != nil {
			t.Fatal(err)
		}
		if got, want := holder(), map[bool]net.HardwareAddr{false: old, true: moved}[override]; got != want.String() {
			t.Errorf("told with override %t: want %s, got %s", override, want, got)
		}
	}
}
