package datapath

import (
	"errors"
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
	eachFamily(t, func(t *testing.T, a addresses) {
		l := newLab(t, a, 1)
		p := l.open(Config{})
		apply(t, p, append(l.own(), l.distribute(80, 2))...)
		in := l.injector()
		whole := l.segment(4000, 80, syn)
		in.send(l.fragment(0, true, whole[:16]))
		in.send(l.fragment(3, true, append(whole, 0, 0, 0, 0)))
		in.send(l.fragment(6, false, whole))
		eventually(t, patience, "three fragments are counted", func() bool { return count(t, p, "I21") == 3 })
		want(t, "entries", 0, len(entries(t, p)))
		in.send(l.packet(4000, 80, syn))
		want(t, "fragments that reached the owner's IP", 0, l.owner().reassemblies(a))
		eventually(t, patience, "the whole segment is distributed", func() bool { return count(t, p, "fig12/146->150") == 1 })
	})
}

// A segment that a switch floods, since it does not know the station that it is for, is nobody's: it does not get through
// by the owner who happens to hear it.
func TestWhatIsForAnotherStation(t *testing.T) {
	eachFamily(t, func(t *testing.T, a addresses) {
		l := newLab(t, a, 1)
		p := l.open(Config{})
		apply(t, p, append(l.own(), l.distribute(80, 2))...)
		in := l.injector()
		l.client.believe(l.dvipa, "02:00:00:00:00:99")
		in.send(l.packet(4000, 80, syn))
		l.client.believe(l.dvipa, l.owner().station())
		in.send(l.packet(4001, 80, syn))
		eventually(t, patience, "what is for the owner's station is distributed", func() bool { return count(t, p, "fig12/146->150") > 0 })
		want(t, "entries", 1, len(entries(t, p)))
		want(t, "target", l.xcf(2), find(t, p, l.from(4001)).Target)
	})
}

// TCP need not stand right behind the header of IPv6.
func TestExtensionHeaders(t *testing.T) {
	t.Parallel()
	l := newLab(t, everyFamily["IPv6"], 1)
	p := l.open(Config{})
	apply(t, p, append(l.own(), l.distribute(80, 2))...)
	in := l.injector()
	for n, header := range []byte{unix.IPPROTO_HOPOPTS, unix.IPPROTO_DSTOPTS} {
		options := []byte{unix.IPPROTO_TCP, 0, 1, 4, 0, 0, 0, 0} // PadN
		in.send(ip(l.remote, l.dvipa, header, append(options, l.segment(4000+uint16(n), 80, syn)...)))
		eventually(t, patience, "the request is distributed", func() bool { return count(t, p, "fig12/146->150") == uint64(n+1) })
		want(t, "target", l.xcf(2), find(t, p, l.from(4000+uint16(n))).Target)
	}
	// In a packet that is a fragment, behind options.
	options := []byte{unix.IPPROTO_FRAGMENT, 0, 1, 4, 0, 0, 0, 0}
	part := []byte{unix.IPPROTO_TCP, 0, 0, 1, 0, 0, 0, 1}
	in.send(ip(l.remote, l.dvipa, unix.IPPROTO_DSTOPTS, slices.Concat(options, part, l.segment(4002, 80, syn))))
	eventually(t, patience, "the fragment is counted", func() bool { return count(t, p, "I21") == 1 })
	want(t, "entries", 2, len(entries(t, p)))
}

// A router's error about a packet that a target sent reaches that target.
func TestICMPError(t *testing.T) {
	eachFamily(t, func(t *testing.T, a addresses) {
		l := newLab(t, a, 2)
		p := l.open(Config{})
		l.serve(2, 80)
		l.serve(3, 80)
		apply(t, p, append(l.own(), l.distribute(80, 2, 3))...)
		l.served(0, 80)
		c, err := l.connect(0, 80)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		want(t, "target of the connection", 3, c.served)
		in := l.injector()
		before := l.target(3).tooLongs(a)
		in.send(l.tooLong(c.source(), 80))
		in.send(l.tooLong(c.source()+1, 80)) // of a connection that nobody has
		eventually(t, patience, "the target of the connection gets the error", func() bool {
			return l.target(3).tooLongs(a) == before+1
		})
		want(t, "errors forwarded", uint64(1), count(t, p, "icmp-error"))
		eventually(t, patience, "the other error stays at the owner", func() bool { return l.owner().tooLongs(a) == 1 })
		if err := c.echo(); err != nil {
			t.Error("connection after the error:", err)
		}
	})
}

// tooLongs is how many errors about packets that were too long the host has received.
func (h host) tooLongs(a addresses) int {
	h.t.Helper()
	if a.dvipa.Is6() {
		return h.statistic("Icmp6InPktTooBigs")
	}
	return h.statistic("IcmpInDestUnreachs")
}

// reassemblies is how many fragments have reached the host's IP.
func (h host) reassemblies(a addresses) int {
	h.t.Helper()
	if a.dvipa.Is6() {
		return h.statistic("Ip6ReasmReqds")
	}
	return h.statistic("IpReasmReqds")
}

// statistic reads a number of the host's IP statistics.
func (h host) statistic(name string) int {
	h.t.Helper()
	n := -1
	h.do(func() error {
		four, err := os.ReadFile("/proc/thread-self/net/snmp")
		if err != nil {
			return err
		}
		six, err := os.ReadFile("/proc/thread-self/net/snmp6")
		if err != nil {
			return err
		}
		for line := range strings.Lines(string(six)) {
			if fields := strings.Fields(line); fields[0] == name {
				n, err = strconv.Atoi(fields[1])
				return err
			}
		}
		var names []string // a line of names precedes the line of values
		for line := range strings.Lines(string(four)) {
			protocol, values, _ := strings.Cut(line, ":")
			fields := strings.Fields(values)
			if at := slices.Index(names, strings.TrimPrefix(name, protocol)); at >= 0 && strings.HasPrefix(name, protocol) {
				n, err = strconv.Atoi(fields[at])
				return err
			}
			names = fields
		}
		return fmt.Errorf("no statistic %s", name)
	})
	return n
}

// Of the stacks that hold the DVIPA only its owner answers for it, whoever else owned it before.
func TestOwnerAlone(t *testing.T) {
	eachFamily(t, func(t *testing.T, a addresses) {
		l := newLab(t, a, 2)
		p := l.open(Config{})
		apply(t, p, l.own()...)
		want(t, "stations that answer for the DVIPA", []string{l.owner().station()}, l.stations(l.dvipa))

		in := l.injector()
		apply(t, l.paths[2], l.own()...)
		apply(t, p, vipa.Withdraw{DVIPA: l.dvipa})
		want(t, "stations after it moved", []string{l.target(3).station()}, l.stations(l.dvipa))
		want(t, "requests that the former owner left unanswered", uint64(1), count(t, p, "not-owner"))

		// A neighbour that has not heard of the move: the former owner does not deal with it.
		l.client.believe(l.dvipa, l.owner().station())
		in.send(l.packet(4000, 80, syn))
		eventually(t, patience, "the former owner drops the packet", func() bool { return count(t, p, "not-owner") == 2 })
		want(t, "requests at the former owner", uint64(0), count(t, p, "fig12/142-yes->143"))

		// Nor does it as a router, when it has nothing to do with the DVIPA any more.
		l.owner().sysctl("net/ipv4/conf/all/forwarding", "1")
		l.owner().sysctl("net/ipv6/conf/all/forwarding", "1")
		apply(t, p, vipa.Deactivate{DVIPA: l.dvipa})
		in.send(l.packet(4001, 80, syn))
		eventually(t, patience, "the former owner drops the packet still", func() bool { return count(t, p, "not-owner") == 3 })
		apply(t, p, l.own()...)
		in.send(l.packet(4002, 80, syn))
		eventually(t, patience, "it takes packets when it is the owner again", func() bool { return count(t, p, "fig12/142-yes->143") == 1 })
	})
}

// A stack that starts again does not know of its DVIPAs at first, and neighbours go on to send to it: what the profile names, and
// what an earlier process left that was killed.
func TestOwnerOfAnEarlierProcess(t *testing.T) {
	for name, formerly := range map[string]func(l *lab, c *Config){
		"named": func(l *lab, c *Config) {
			other := everyFamily["IPv6"].dvipa
			if l.dvipa.Is6() {
				other = of4.dvipa // not served where XCF is of IPv6
			}
			c.Formerly = []netip.Addr{l.dvipa, other}
		},
		"left in the kernel": func(l *lab, _ *Config) { l.killed(l.own()...) },
	} {
		t.Run(name, func(t *testing.T) {
			eachFamily(t, func(t *testing.T, a addresses) {
				l := newLab(t, a, 1)
				var c Config
				formerly(l, &c)
				p := l.open(c)
				l.owner().sysctl("net/ipv4/conf/all/forwarding", "1")
				l.owner().sysctl("net/ipv6/conf/all/forwarding", "1")
				l.client.believe(l.dvipa, l.owner().station())
				in := l.injector()
				in.send(l.packet(4000, 80, syn))
				eventually(t, patience, "the packet is dropped", func() bool { return count(t, p, pathNotOwner) == 1 })
				apply(t, p, l.own()...)
				in.send(l.packet(4001, 80, syn))
				eventually(t, patience, "it takes packets when it is the owner again", func() bool { return count(t, p, "fig12/142-yes->143") == 1 })
			})
		})
	}
}

// killed leaves what a process of the owner had that did these actions and was killed.
func (l *lab) killed(actions ...vipa.Action) {
	l.t.Helper()
	l.owner().do(func() error {
		p, err := Open(l.config(1, Config{}))
		if err != nil {
			return err
		}
		return errors.Join(p.Apply(actions), p.closeSockets())
	})
}

// stations asks the outside for an address and lists who answers. Questions for the
// hosts' own addresses, sent later, tell when every answer is there.
func (l *lab) stations(address netip.Addr) []string {
	l.t.Helper()
	var conn *packet.Conn
	var link *net.Interface
	l.client.do(func() (err error) {
		if link, err = net.InterfaceByName("ext0"); err != nil {
			return err
		}
		conn, err = packet.Listen(link, packet.Raw, unix.ETH_P_ALL, nil)
		return err
	})
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(patience))
	ask := func(address netip.Addr) {
		frame := l.question(link.HardwareAddr, address)
		if _, err := conn.WriteTo(frame, &packet.Addr{HardwareAddr: frame[:6]}); err != nil {
			l.t.Fatal(err)
		}
	}
	ask(address)
	for n := range l.hosts {
		ask(l.outside(n + 1))
	}
	var stations []string
	for answered := 0; answered < len(l.hosts); {
		b := make([]byte, 200)
		n, _, err := conn.ReadFrom(b)
		if err != nil {
			l.t.Fatalf("%d of %d hosts answered: %v", answered, len(l.hosts), err)
		}
		switch sender, mac := l.answer(b[:n]); {
		case sender == address:
			stations = append(stations, net.HardwareAddr(mac).String())
		case sender.IsValid():
			answered++
		}
	}
	return stations
}

// The kernel does what the model of the flowcharts does, edge for edge and entry for entry.
func TestAgainstModel(t *testing.T) {
	eachFamily(t, func(t *testing.T, a addresses) {
		l := newLab(t, a, 2)
		p := l.open(Config{Ended: time.Millisecond, Embryonic: time.Hour}) // the model knows no time
		apply(t, p, l.own()...)
		model := vipa.NewTables(l.xcf(1))
		in := l.injector()
		random := rand.New(rand.NewPCG(12, 8))
		source := func() uint16 { return 4000 + uint16(random.IntN(6)) }
		port := func() uint16 { return 80 + uint16(random.IntN(4)) }
		target := func() int { return 1 + random.IntN(3) }
		seen := counters(t, p)

		for step := range 600 {
			var action vipa.Action
			switch c := (contract.Connection{Remote: netip.AddrPortFrom(l.remote, source()), Local: l.service(port())}); random.IntN(16) {
			case 0:
				// The model begins the round anew when targets change; taken away and set, so does
				// the kernel.
				action = l.distribute(c.Local.Port())
			case 1, 2:
				if model.DPT[c.Local] != nil {
					continue
				}
				action = l.distribute(c.Local.Port(), []int{1, 2, 3}[:1+random.IntN(3)]...)
			case 3:
				action = vipa.SetUnique{Service: c.Local, Target: l.xcf(target())}
			case 4:
				action = vipa.SetUnique{Service: c.Local}
			case 5:
				action = vipa.AddConnections{Target: l.xcf(target()), Connections: []contract.Connection{c}, Acknowledge: 1}
			case 6, 7:
				action = vipa.EndConnections{Target: l.xcf(target()), Connections: []contract.Connection{c}}
			case 8:
				if random.IntN(4) == 0 {
					action = vipa.DropTarget{Target: l.xcf(target())}
				}
			default:
				flags := []byte{syn, syn, ack, syn | ack, rst}[random.IntN(5)]
				_, edges := model.Route(vipa.Packet{Connection: c, SYN: flags&syn != 0, ACK: flags&ack != 0})
				for _, edge := range edges {
					seen[string(edge)]++
				}
				in.send(l.packet(c.Remote.Port(), c.Local.Port(), flags))
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
					if target == l.xcf(1) {
						here++
					}
				}
				return len(entries(t, p)) == len(model.CRT)+len(model.Unique) && size(t, p, l.figure(p).local) == here && size(t, p, l.figure(p).ended) == 0
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
	})
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
	eachFamily(t, func(t *testing.T, a addresses) {
		l := newLab(t, a, 2)
		p := l.open(Config{})
		l.serve(2, 80)
		l.serve(3, 80)
		apply(t, p, append(l.own(), l.distribute(80, 2, 3))...)
		random := rand.New(rand.NewPCG(1, 162))
		var late []vipa.Action
		l.client.do(func() error {
			for n := range 3000 {
				c, err := l.dial(4000, 80)
				if err != nil {
					return fmt.Errorf("connection %d: %w", n, err)
				}
				if random.IntN(10) == 0 {
					late = append(late, l.add(c.served, 4000))
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
				late = append(late, l.end(c.served, 4000))
			}
			return nil
		})
	})
}
