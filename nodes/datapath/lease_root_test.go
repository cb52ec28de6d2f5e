package datapath

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/mdlayher/packet"
	"golang.org/x/sys/unix"

	"github.com/plexlab-dev/plexlab/nodes/contract"
	"github.com/plexlab-dev/plexlab/nodes/vipa"
)

// every is how often leases are renewed.
const every = 20 * time.Millisecond

// step is that of the kernel's clock (CONFIG_HZ), the longest there is.
const step = 10 * time.Millisecond

func quiet()                 {}
func always(netip.Addr) bool { return true }
func never(netip.Addr) bool  { return false }

// renew renews the leases of a path once, which may take a few attempts on a busy machine.
func renew(t testing.TB, p *Path) {
	t.Helper()
	eventually(t, patience, "the lease is renewed in time", func() bool {
		p.Begin()
		err := p.Renew(quiet, always)
		if err != nil && !errors.As(err, new(*LateError)) {
			t.Fatal(err)
		}
		return err == nil
	})
}

// leased says whether the lease of the DVIPA runs.
func leased(t testing.TB, s *socket, f family, dvipa netip.Addr) bool {
	t.Helper()
	found, err := s.lookup(newTables(f, 1).owned, [][]byte{dvipa.AsSlice()})
	if err != nil {
		t.Fatal(err)
	}
	return found[0] != nil && found[0].expires > 0
}

// lapse waits until a lease has ended, and returns when it was last seen to run.
func lapse(t testing.TB, s *socket, a addresses) time.Time {
	t.Helper()
	var seen time.Time
	eventually(t, patience, "the lease ends", func() bool {
		asked := time.Now()
		if !leased(t, s, a.family, a.dvipa) {
			return true
		}
		seen = asked
		return false
	})
	return seen
}

// own makes the path the owner without a lease that lasts.
func own(t testing.TB, p *Path, a addresses, more ...vipa.Action) {
	t.Helper()
	if err := p.Apply(append(a.own(), more...)); err != nil {
		t.Fatal(err)
	}
	p.Begin()
}

// When nobody renews it any more, the lease ends within its time, and with it all that only the owner does.
func TestLeaseLapses(t *testing.T) {
	eachFamily(t, func(t *testing.T, a addresses) {
		l := newLab(t, a, 1)
		p := l.open(Config{})
		own(t, p, a, l.distribute(80, 2))
		none := []string(nil)
		want(t, "stations that answer before the first renewal", none, l.stations(l.dvipa))

		in := l.injector()
		// A neighbour that goes on sending to it.
		l.client.believe(l.dvipa, l.owner().station())
		for _, source := range []uint16{4000, 4001} { // and once more after it has ended
			routed := count(t, p, "fig12/146->150")
			eventually(t, patience, "the DVIPA is served while its lease runs", func() bool {
				renew(t, p)
				in.send(l.packet(source, 80, syn))
				return count(t, p, "fig12/146->150") > routed
			})
			eventually(t, patience, "the owner answers while the lease runs", func() bool {
				renew(t, p)
				return len(l.stations(l.dvipa)) == 1
			})
			renew(t, p)
			begun := time.Now()
			lasted := lapse(t, p.read, a).Sub(begun)
			t.Logf("lease of %v last seen after %v", DefaultLease, lasted)
			if lasted > DefaultLease+step {
				t.Errorf("the lease lasted %v, want %v", lasted, DefaultLease)
			}

			before, dropped := counters(t, p), count(t, p, pathNotOwner)
			want(t, "stations that answer for the DVIPA", none, l.stations(l.dvipa))
			in.send(l.packet(source, 80, ack))
			in.send(l.packet(source+1, 80, syn))
			eventually(t, patience, "the question and both packets are dropped", func() bool { return count(t, p, pathNotOwner) == dropped+3 })
			want(t, "edges that packets took", before, counters(t, p))
		}
	})
}

// No lease begins before the stack has the address, whenever the turn of a renewal comes.
func TestNoLeaseBeginsByItself(t *testing.T) {
	eachFamily(t, func(t *testing.T, a addresses) {
		l := newLab(t, a, 0)
		p := l.open(Config{})
		if err := p.Apply(a.own()); err != nil {
			t.Fatal(err)
		}
		if err := p.Renew(quiet, always); err != nil {
			t.Fatal(err)
		}
		want(t, "lease before Begin", false, leased(t, p.read, a.family, l.dvipa))
		renew(t, p)
		want(t, "lease after it", true, leased(t, p.read, a.family, l.dvipa))
	})
}

// A stack that finds that it has lost its DVIPA renews nothing, and one that was taken from it is never
// renewed again.
func TestLeaseIsAskedFor(t *testing.T) {
	eachFamily(t, func(t *testing.T, a addresses) {
		l := newLab(t, a, 0)
		p := l.open(Config{})
		own(t, p, a)
		if err := p.Renew(quiet, never); err != nil {
			t.Error(err)
		}
		want(t, "lease without the epoch", false, leased(t, p.read, a.family, l.dvipa))
		renew(t, p)
		apply(t, p, vipa.Withdraw{DVIPA: l.dvipa})
		renew(t, p)
		want(t, "lease after it was withdrawn", false, leased(t, p.read, a.family, l.dvipa))
		apply(t, p, vipa.Withdraw{DVIPA: l.dvipa}) // once more: nothing to end
	})
}

// A process that is held up between asking and renewing does not renew, and where it thinks that it may,
// the kernel does not.
func TestLateRenewal(t *testing.T) {
	eachFamily(t, func(t *testing.T, a addresses) {
		l := newLab(t, a, 0)
		p := l.open(Config{})
		own(t, p, a)
		stop := func(netip.Addr) bool {
			for begun := time.Now(); time.Since(begun) <= fresh; {
				runtime.Gosched()
			}
			return true
		}
		if err := p.Renew(quiet, stop); !errors.As(err, new(*LateError)) {
			t.Errorf("renewal after a pause: %v, want a LateError", err)
		}
		want(t, "lease after a pause", false, leased(t, p.read, a.family, l.dvipa))

		eventually(t, patience, "the window has closed", func() bool {
			late := count(t, p, pathLate)
			if err := p.lease.send(header(l.dvipa)); err != nil {
				t.Fatal(err)
			}
			return count(t, p, pathLate) == late+1
		})
		eventually(t, patience, "what was renewed before that ends", func() bool { return !leased(t, p.read, a.family, l.dvipa) })
		if err := p.lease.send(header(l.dvipa)); err != nil {
			t.Fatal(err)
		}
		want(t, "lease after a late renewal", false, leased(t, p.read, a.family, l.dvipa))
	})
}

// Nobody but the stack renews a lease: not a packet from the outside, nor one that an application sends from
// the DVIPA to itself.
func TestLeaseIsNobodyElses(t *testing.T) {
	eachFamily(t, func(t *testing.T, a addresses) {
		l := newLab(t, a, 0)
		p := l.open(Config{})
		own(t, p, a)
		if err := p.lease.send(wakePacket); err != nil { // were it open, and somebody else quick
			t.Fatal(err)
		}
		l.owner().do(func() error {
			c, err := net.ListenPacket("udp", netip.AddrPortFrom(l.dvipa, 0).String())
			if err != nil {
				return err
			}
			defer c.Close()
			_, err = c.WriteTo([]byte("x"), c.LocalAddr())
			return err
		})
		l.client.believe(l.dvipa, l.owner().station())
		in := l.injector()
		spoofed := a
		spoofed.remote = l.dvipa
		eventually(t, patience, "packets from the outside are dropped", func() bool {
			in.send(spoofed.packet(4000, 80, syn))
			return count(t, p, pathNotOwner) > 0
		})
		want(t, "lease", false, leased(t, p.read, a.family, l.dvipa))
		want(t, "renewals", uint64(0), count(t, p, pathRenewed))
		l.owner().nft("flush", "chain", "netdev", tableName, chainLease)
		if err := p.Renew(quiet, always); err == nil {
			t.Error("a lease was renewed without rules that do it")
		}
	})
}

// Changes of very many elements do not keep leases from being renewed.
func TestLeaseDuringLargeChanges(t *testing.T) {
	t.Parallel()
	l := newLab(t, of4, 1)
	p := l.open(Config{})
	own(t, p, of4)
	connections := make([]contract.Connection, 2*maxElements)
	for i := range connections {
		client := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 9, byte(i >> 8), byte(i)}), 4000)
		connections[i] = contract.Connection{Remote: client, Local: l.service(80)}
	}
	done := make(chan error, 1)
	go func() {
		for range 5 {
			for _, change := range []vipa.Action{
				vipa.AddConnections{Target: l.xcf(2), Connections: connections},
				vipa.EndConnections{Target: l.xcf(2), Connections: connections},
			} {
				if err := p.Apply([]vipa.Action{change}); err != nil {
					done <- err
					return
				}
			}
		}
		done <- nil
	}()
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	var longest, between time.Duration
	late := 0
	renew(t, p)
	last := time.Now()
	for {
		select {
		case err := <-done:
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("renewals took %v at most and were %v apart at most; %d were late", longest, between, late)
			return
		case <-ticker.C:
		}
		between = max(between, time.Since(last))
		there := leased(t, p.read, of4.family, l.dvipa)
		// Where this test itself was held up for as long as a lease, it says nothing.
		if age := time.Since(last); age < DefaultLease-2*step && !there {
			t.Errorf("the lease had ended %v after a renewal", age)
		}
		begun := time.Now()
		switch err := p.Renew(quiet, always); {
		case err == nil:
			last = time.Now()
			longest = max(longest, last.Sub(begun))
		case errors.As(err, new(*LateError)):
			late++
		default:
			t.Fatal(err)
		}
	}
}

// renewingProcess marks the copy of the test binary that owns a DVIPA and renews its lease; its value is a file
// that says it has the epoch.
const renewingProcess = "DATAPATH_TEST_RENEWS"

// renewForever is that process. It tells each renewal.
func renewForever(epoch string) error {
	p, err := Open(Config{Self: of4.xcf(1), XCFInterface: "xcf0", Outside: []string{"ext0"}})
	if err != nil {
		return err
	}
	if err := p.Apply(of4.own()); err != nil {
		return err
	}
	p.Begin()
	for ticker := time.NewTicker(every); ; <-ticker.C {
		err := p.Renew(quiet, func(netip.Addr) bool {
			_, err := os.Stat(epoch)
			return err == nil
		})
		fmt.Println(strconv.Quote(fmt.Sprint(err)))
	}
}

// A frozen process lapses within the time of its lease, and one that goes on after it has lost its epoch never
// answers again.
func TestFrozenProcessLapses(t *testing.T) {
	t.Parallel()
	l := newLab(t, of4, 0)
	epoch := t.TempDir() + "/epoch"
	if err := os.WriteFile(epoch, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	var cmd *exec.Cmd
	var said *bufio.Reader
	var kernel *socket
	l.owner().do(func() (err error) {
		if kernel, err = openSocket(); err != nil {
			return err
		}
		cmd = exec.Command("/proc/self/exe", "-test.run=^$")
		cmd.Env = append(os.Environ(), renewingProcess+"="+epoch)
		cmd.Stderr = os.Stderr
		out, err := cmd.StdoutPipe()
		if err != nil {
			return err
		}
		said = bufio.NewReader(out)
		return cmd.Start()
	})
	defer kernel.Close()
	defer func() { cmd.Process.Kill(); cmd.Wait() }()
	renewal := func() {
		t.Helper()
		for range 10 {
			line, err := said.ReadString('\n')
			if err != nil {
				t.Fatal(err)
			}
			if line == "\"<nil>\"\n" {
				return
			}
		}
		t.Fatal("none of ten renewals was in time")
	}
	holds := func() bool { return leased(t, kernel, of4.family, l.dvipa) }
	for range 3 {
		renewal()
	}
	eventually(t, patience, "the process owns the DVIPA", holds)

	for _, hasEpoch := range []bool{true, false} {
		begun := time.Now()
		if err := cmd.Process.Signal(unix.SIGSTOP); err != nil {
			t.Fatal(err)
		}
		eventually(t, patience, "every thread of it is stopped", func() bool { return stopped(t, cmd.Process.Pid) })
		frozen := time.Now()
		seen := lapse(t, kernel, of4)
		t.Logf("lease last seen %v after the signal, %v after the process stood", seen.Sub(begun), seen.Sub(frozen))
		if seen.Sub(frozen) > DefaultLease+step {
			t.Errorf("the lease lasted longer than %v", DefaultLease)
		}
		want(t, "stations that answer for the DVIPA of a frozen process", []string(nil), l.stations(l.dvipa))
		if !hasEpoch {
			if err := os.Remove(epoch); err != nil {
				t.Fatal(err)
			}
		}
		said.Discard(said.Buffered())
		if err := cmd.Process.Signal(unix.SIGCONT); err != nil {
			t.Fatal(err)
		}
		if hasEpoch {
			eventually(t, patience, "it owns the DVIPA again", holds)
		}
	}
	for range 5 {
		renewal()
		want(t, "lease of a process that lost its epoch", false, holds())
	}
}

// stopped says whether every thread of a process is.
func stopped(t testing.TB, pid int) bool {
	t.Helper()
	stats, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
	if err != nil || len(stats) == 0 {
		t.Fatalf("threads of process %d: %d, %v", pid, len(stats), err)
	}
	for _, stat := range stats {
		text, err := os.ReadFile(stat)
		if errors.Is(err, os.ErrNotExist) {
			continue // it has ended
		}
		if err != nil {
			t.Fatal(err)
		}
		if _, state, _ := strings.Cut(string(text), ") "); state[0] != 'T' {
			return false
		}
	}
	return true
}

// What renewing each 20 ms costs.
func BenchmarkRenew(b *testing.B) {
	for _, n := range []int{1, 4, 32} {
		b.Run(fmt.Sprintf("DVIPAs=%d", n), func(b *testing.B) {
			l := newLab(b, of4, 0)
			p := l.open(Config{})
			for i := range n {
				dvipa := netip.AddrFrom4([4]byte{192, 0, 2, byte(101 + i)})
				own(b, p, of4, vipa.Activate{DVIPA: dvipa}, vipa.Advertise{Prefix: netip.PrefixFrom(dvipa, 24)})
			}
			ticker := time.NewTicker(every)
			defer ticker.Stop()
			before, begun := processorTime(b), time.Now()
			for b.Loop() {
				<-ticker.C
				if err := p.Renew(quiet, always); err != nil && !errors.As(err, new(*LateError)) {
					b.Fatal(err)
				}
			}
			spent := processorTime(b) - before
			b.ReportMetric(100*spent.Seconds()/time.Since(begun).Seconds(), "%core")
			b.ReportMetric(float64(spent.Microseconds())/float64(b.N), "cpu-us/renewal")
		})
	}
}

// Who has no lease tells nobody that it has the DVIPA, whatever its process still sends: one that was frozen before an
// announcement sends it when it thaws.
func TestWithoutLeaseNobodyIsTold(t *testing.T) {
	eachFamily(t, func(t *testing.T, a addresses) {
		l := newLab(t, a, 0)
		p := l.open(Config{})
		own(t, p, a)
		var conn *packet.Conn
		var link *net.Interface
		l.owner().do(func() (err error) {
			if link, err = net.InterfaceByName("ext0"); err == nil {
				conn, err = packet.Listen(link, packet.Raw, 0, nil)
			}
			return err
		})
		defer conn.Close()
		tell := func(address netip.Addr) error {
			frame := told(link.HardwareAddr, address)
			_, err := conn.WriteTo(frame, &packet.Addr{HardwareAddr: frame[:6]})
			return err
		}

		eventually(t, patience, "the DVIPA is told while its lease runs", func() bool {
			renew(t, p)
			return tell(l.dvipa) == nil
		})
		lapse(t, p.read, a)
		dropped := count(t, p, pathNotOwner)
		if err := tell(l.dvipa); !errors.Is(err, unix.ENOBUFS) {
			t.Errorf("telling that the DVIPA is here without a lease: %v, want %v", err, unix.ENOBUFS)
		}
		want(t, "announcements that were dropped", dropped+1, count(t, p, pathNotOwner))
		if err := tell(l.outside(1)); err != nil {
			t.Errorf("telling of an address that is no DVIPA: %v", err)
		}
	})
}

// told is a frame that says that a station has an address: an ARP reply, or a neighbour advertisement.
func told(station net.HardwareAddr, address netip.Addr) []byte {
	if address.Is4() {
		b := append([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, station...)
		b = append(b, 8, 6, 0, 1, 8, 0, 6, 4, 0, 2)
		b = append(append(b, station...), address.AsSlice()...)
		return append(append(b, station...), address.AsSlice()...)
	}
	b := append([]byte{0x33, 0x33, 0, 0, 0, 1}, station...)
	b = append(b, 0x86, 0xdd, 0x60, 0, 0, 0, 0, 32, unix.IPPROTO_ICMPV6, 255)
	b = append(append(b, address.AsSlice()...), netip.IPv6LinkLocalAllNodes().AsSlice()...)
	b = append(b, 136, 0, 0, 0, 0x20, 0, 0, 0)
	b = append(append(b, address.AsSlice()...), 2, 1)
	return append(b, station...)
}
