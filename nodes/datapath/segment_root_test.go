package datapath

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/mdlayher/packet"
	"golang.org/x/sys/unix"

	"github.com/plexlab-dev/plexlab/nodes/contract"
	"github.com/plexlab-dev/plexlab/nodes/vipa"
)

// I21: fragments of segments to a DVIPA are dropped and counted, the first as well as later
// ones, which have no ports.
func TestFragments(t *testing.T) {
	t.Parallel()
	l := newLab(t, 1)
	p := l.open(Config{})
	apply(t, p, append(own(), distribute(80, 2))...)
	in := l.injector()
	const moreFragments = 0x2000
	whole := segmentOf(4000, 80, syn)
	in.send(ip(unix.IPPROTO_TCP, moreFragments, whole[20:]))
	in.send(ip(unix.IPPROTO_TCP, moreFragments|3, whole[20:]))
	in.send(ip(unix.IPPROTO_TCP, 6, whole[20:]))
	eventually(t, patience, "three fragments are counted", func() bool { return count(t, p, "I21") == 3 })
	want(t, "entries", 0, len(entries(t, p)))
	in.send(whole)
	want(t, "fragments that reached the owner's IP", 0, l.owner().statistic("Ip:", "ReasmReqds"))
	eventually(t, patience, "the whole segment is distributed", func() bool { return count(t, p, "fig12/146->150") == 1 })
}

// A router's error about a packet that a target sent reaches that target.
func TestICMPError(t *testing.T) {
	t.Parallel()
	l := newLab(t, 2)
	p := l.open(Config{})
	l.serve(2, 80)
	l.serve(3, 80)
	apply(t, p, append(own(), distribute(80, 2, 3))...)
	l.served(0, 80)
	c, err := l.connect(0, 80)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	want(t, "target of the connection", 3, c.served)
	in := l.injector()
	before := l.target(3).unreachables()
	in.send(fragmentationNeeded(c.source(), 80))
	in.send(fragmentationNeeded(c.source()+1, 80)) // of a connection that nobody has
	eventually(t, patience, "the target of the connection gets the error", func() bool {
		return l.target(3).unreachables() == before+1
	})
	want(t, "errors forwarded", uint64(1), count(t, p, "icmp-error"))
	eventually(t, patience, "the other error stays at the owner", func() bool { return l.owner().unreachables() == 1 })
	if err := c.echo(); err != nil {
		t.Error("connection after the error:", err)
	}
}

// fragmentationNeeded is the error about a packet from the DVIPA to the client.
func fragmentationNeeded(source, port uint16) []byte {
	inner := make([]byte, 28)
	inner[0], inner[8], inner[9] = 0x45, 63, unix.IPPROTO_TCP
	binary.BigEndian.PutUint16(inner[2:], 1500)
	copy(inner[12:], dvipa.AsSlice())
	copy(inner[16:], client.AsSlice())
	binary.BigEndian.PutUint16(inner[10:], checksum(inner[:20]))
	binary.BigEndian.PutUint16(inner[20:], port)
	binary.BigEndian.PutUint16(inner[22:], source)
	message := append([]byte{3, 4, 0, 0, 0, 0, 1400 >> 8, 1400 & 0xff}, inner...)
	binary.BigEndian.PutUint16(message[2:], checksum(message))
	return ip(unix.IPPROTO_ICMP, 0, message)
}

// unreachables is how many ICMP errors "destination unreachable" the host has received.
func (h host) unreachables() int { h.t.Helper(); return h.statistic("Icmp:", "InDestUnreachs") }

// statistic reads a number of the host's IP statistics.
func (h host) statistic(protocol, name string) int {
	h.t.Helper()
	var n int
	h.do(func() error {
		b, err := os.ReadFile("/proc/thread-self/net/snmp")
		if err != nil {
			return err
		}
		var names []string // a line of names precedes the line of values
		for line := range strings.Lines(string(b)) {
			fields := strings.Fields(line)
			switch at := slices.Index(names, name); {
			case fields[0] != protocol:
			case names == nil:
				names = fields
			case at < 0:
				return fmt.Errorf("no statistic %s %s", protocol, name)
			default:
				n, err = strconv.Atoi(fields[at])
				return err
			}
		}
		return fmt.Errorf("no statistics of %s", protocol)
	})
	return n
}

// Of the stacks that hold the DVIPA only its owner answers for it, whoever else owned it before.
func TestOwnerAlone(t *testing.T) {
	t.Parallel()
	l := newLab(t, 2)
	p := l.open(Config{})
	apply(t, p, own()...)
	want(t, "stations that answer for the DVIPA", []string{l.owner().station()}, l.stations(dvipa))

	in := l.injector()
	apply(t, l.paths[2], own()...)
	apply(t, p, vipa.Withdraw{DVIPA: dvipa})
	want(t, "stations after it moved", []string{l.target(3).station()}, l.stations(dvipa))
	want(t, "requests that the former owner left unanswered", uint64(1), count(t, p, "not-owner"))

	// A neighbour that has not heard of the move: the former owner does not deal with it.
	l.client.believe(dvipa, l.owner().station())
	in.send(segmentOf(4000, 80, syn))
	eventually(t, patience, "the former owner drops the packet", func() bool { return count(t, p, "not-owner") == 2 })
	want(t, "requests at the former owner", uint64(0), count(t, p, "fig12/142-yes->143"))
}

// stations asks the outside by ARP for an address and lists who answers. Questions for the
// hosts' own addresses, sent later, tell when every answer is there.
func (l *lab) stations(address netip.Addr) []string {
	l.t.Helper()
	var conn *packet.Conn
	var link *net.Interface
	l.client.do(func() (err error) {
		if link, err = net.InterfaceByName("ext0"); err != nil {
			return err
		}
		conn, err = packet.Listen(link, packet.Raw, unix.ETH_P_ARP, nil)
		return err
	})
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(patience))
	broadcast := net.HardwareAddr{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
	ask := func(address netip.Addr) {
		frame := append(append([]byte{}, broadcast...), link.HardwareAddr...)
		frame = append(frame, 8, 6, 0, 1, 8, 0, 6, 4, 0, 1)
		frame = append(append(frame, link.HardwareAddr...), client.AsSlice()...)
		frame = append(append(frame, make([]byte, 6)...), address.AsSlice()...)
		if _, err := conn.WriteTo(frame, &packet.Addr{HardwareAddr: broadcast}); err != nil {
			l.t.Fatal(err)
		}
	}
	ask(address)
	for n := range l.hosts {
		ask(outsideAddr(n + 1))
	}
	var stations []string
	for answered := 0; answered < len(l.hosts); {
		b := make([]byte, 100)
		n, _, err := conn.ReadFrom(b)
		if err != nil {
			l.t.Fatalf("%d of %d hosts answered: %v", answered, len(l.hosts), err)
		}
		if n < 42 || b[21] != 2 { // a reply
			continue
		}
		sender, _ := netip.AddrFromSlice(b[28:32])
		if sender == address {
			stations = append(stations, net.HardwareAddr(b[22:28]).String())
		} else {
			answered++
		}
	}
	return stations
}

// The kernel does what the model of the flowcharts does, edge for edge and entry for entry.
func TestAgainstModel(t *testing.T) {
	t.Parallel()
	l := newLab(t, 2)
	p := l.open(Config{Ended: time.Millisecond})
	apply(t, p, own()...)
	model := vipa.NewTables(xcfAddr(1))
	in := l.injector()
	random := rand.New(rand.NewPCG(12, 8))
	source := func() uint16 { return 4000 + uint16(random.IntN(6)) }
	port := func() uint16 { return 80 + uint16(random.IntN(4)) }
	target := func() int { return 1 + random.IntN(3) }
	seen := counters(t, p)

	for step := range 600 {
		var action vipa.Action
		switch c := (contract.Connection{Remote: netip.AddrPortFrom(client, source()), Local: service(port())}); random.IntN(16) {
		case 0:
			// The model begins the round anew when targets change; taken away and set, so does
			// the kernel.
			action = distribute(c.Local.Port())
		case 1, 2:
			if model.DPT[c.Local] != nil {
				continue
			}
			action = distribute(c.Local.Port(), []int{1, 2, 3}[:1+random.IntN(3)]...)
		case 3:
			action = vipa.SetUnique{Service: c.Local, Target: xcfAddr(target())}
		case 4:
			action = vipa.SetUnique{Service: c.Local}
		case 5:
			action = vipa.AddConnections{Target: xcfAddr(target()), Connections: []contract.Connection{c}, Acknowledge: 1}
		case 6, 7:
			action = vipa.EndConnections{Target: xcfAddr(target()), Connections: []contract.Connection{c}}
		case 8:
			if random.IntN(4) == 0 {
				action = vipa.DropTarget{Target: xcfAddr(target())}
			}
		default:
			flags := []byte{syn, syn, ack, syn | ack, rst}[random.IntN(5)]
			_, edges := model.Route(vipa.Packet{Connection: c, SYN: flags&syn != 0, ACK: flags&ack != 0})
			for _, edge := range edges {
				seen[string(edge)]++
			}
			in.send(segmentOf(c.Remote.Port(), c.Local.Port(), flags))
			eventually(t, patience, "the packet is counted", func() bool {
				now := counters(t, p)
				return now["fig12/150->end"]+now["fig12/152->end"] == seen["fig12/150->end"]+seen["fig12/152->end"]
			})
		}
		if action != nil {
			model.Apply(action)
			apply(t, p, action)
		}
		eventually(t, patience, "ended entries are gone", func() bool {
			var here int
			for _, target := range model.CRT {
				if target == xcfAddr(1) {
					here++
				}
			}
			return len(entries(t, p)) == len(model.CRT)+len(model.Unique) && size(t, p, p.local) == here && size(t, p, p.ended) == 0
		})
		got := make(map[contract.Connection]netip.Addr)
		for _, e := range entries(t, p) {
			if !e.Unique {
				got[contract.Connection{Remote: e.Source, Local: e.DVIPA}] = e.Target
			}
		}
		want(t, "CRT", model.CRT, got)
		want(t, "edges", seen, counters(t, p))
		if t.Failed() {
			t.Fatalf("after step %d, %T %+v", step, action, action)
		}
	}
	for edge, n := range seen {
		if strings.Contains(edge, "->") && n == 0 {
			t.Errorf("no packet of the test took %s", edge)
		}
	}
}

// size counts the elements of a set.
func size(t testing.TB, p *Path, s set) (n int) {
	t.Helper()
	if err := p.read.elements(s, func(element) error { n++; return nil }); err != nil {
		t.Fatal(err)
	}
	return n
}

// counters are those of edges; every edge is among them.
func counters(t testing.TB, p *Path) map[string]uint64 {
	t.Helper()
	all, err := p.Counters()
	if err != nil {
		t.Fatal(err)
	}
	for name := range all {
		if !strings.Contains(name, "->") {
			delete(all, name)
		}
	}
	return all
}

// One 4-tuple used again and again reaches a target that listens, however late the ends of its
// connections are told.
func TestReuseOfOneFourTuple(t *testing.T) {
	t.Parallel()
	l := newLab(t, 2)
	p := l.open(Config{})
	l.serve(2, 80)
	l.serve(3, 80)
	apply(t, p, append(own(), distribute(80, 2, 3))...)
	random := rand.New(rand.NewPCG(1, 162))
	var late []vipa.Action
	l.client.do(func() error {
		for n := range 3000 {
			c, err := dial(4000, 80)
			if err != nil {
				return fmt.Errorf("connection %d: %w", n, err)
			}
			if random.IntN(10) == 0 {
				late = append(late, add(c.served, 4000))
			}
			if random.IntN(3) == 0 {
				if err := p.Apply(late); err != nil {
					return err
				}
				late = nil
			}
			if err := c.echo(); err != nil {
				return fmt.Errorf("connection %d to %d: %w", n, c.served, err)
			}
			if err := c.Close(); err != nil {
				return err
			}
			late = append(late, end(c.served, 4000))
		}
		return nil
	})
}
