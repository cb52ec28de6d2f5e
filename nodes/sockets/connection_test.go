package sockets

import (
	"encoding/binary"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

var (
	serverAt = netip.MustParseAddrPort("127.7.0.1:7001")
	clientAt = netip.MustParseAddrPort("127.0.0.1:0")
)

// accepted is a server with one connection, "c".
func accepted(t *testing.T, kind string, from, to netip.AddrPort) (*process, *client) {
	t.Helper()
	server := startPuppet(t, nil, nil)
	bind := to.String()
	if kind == "tcp6" && to.Addr().Is4() {
		bind = "[::]:7001"
	}
	server.serve("s", kind, bind)
	c := connect(t, from, to)
	server.ok("accept s c")
	return server, c
}

// state is what the kernel holds for a connection, as the server's end; 0 for nothing.
func state(t testing.TB, d *diagConn, c Connection) tcpState {
	t.Helper()
	found, err := d.lookup([]probe{{connection: c}})
	if err != nil {
		t.Fatal(err)
	}
	if !(probe{connection: c}).isAnsweredBy(found[0]) {
		return 0
	}
	return found[0].state
}

func openDiag(t testing.TB) *diagConn {
	t.Helper()
	d, err := dialDiag()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.close() })
	return d
}

// However a connection ends so that nothing is left of it, it is told, and once.
func TestConnectionEnded(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name     string
		kind     string
		from, to netip.AddrPort
		end      func(server *process, c *client)
	}{
		{"client closes first", "tcp4", clientAt, serverAt, func(p *process, c *client) { c.close(); p.ok("readend c"); p.ok("close c") }},
		{"client closes first, IPv6", "tcp6", netip.MustParseAddrPort("[::1]:0"), netip.MustParseAddrPort("[::1]:7001"), func(p *process, c *client) { c.close(); p.ok("readend c"); p.ok("close c") }},
		{"client closes first, IPv4 on an IPv6 socket", "tcp6", clientAt, serverAt, func(p *process, c *client) { c.close(); p.ok("readend c"); p.ok("close c") }},
		{"client resets", "tcp4", clientAt, serverAt, func(p *process, c *client) { c.reset(); p.do("readend c"); p.ok("close c") }},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			enterNetNS(t)
			m := startMonitor(t, MonitorConfig{})
			server, c := accepted(t, test.kind, test.from, test.to)
			m.settle()
			if _, ended := m.times(c.connection); ended != 0 {
				t.Fatal("told to have ended while it lives")
			}
			test.end(server, c)
			eventually(t, "end of the connection is told", func() bool {
				_, ended := m.times(c.connection)
				return ended > 0
			})
			m.settle()
			if _, ended := m.times(c.connection); ended != 1 {
				t.Errorf("told %d times", ended)
			}
		})
	}
}

// A half-open request gives no event and no sweep sees it; one that was told of must end all the same.
func TestRequestThatWasToldOfEnds(t *testing.T) {
	t.Parallel()
	enterNetNS(t)
	m := startMonitor(t, MonitorConfig{})
	server := startPuppet(t, nil, nil)
	server.serve("s", "tcp4", serverAt.String(), "deferaccept")
	c := connect(t, clientAt, serverAt)
	told, err := m.Connections(func(a netip.Addr) bool { return a == serverAt.Addr() })
	if err != nil || len(told) != 1 || told[0] != c.connection {
		t.Fatalf("connections are told as %v, %v, want %v", told, err, c.connection)
	}
	m.settle()
	if _, ended := m.times(c.connection); ended != 0 {
		t.Fatal("told to have ended while the request is there")
	}
	c.reset()
	eventually(t, "end of the request is told", func() bool {
		_, ended := m.times(c.connection)
		return ended > 0
	})
	m.settle()
	if _, ended := m.times(c.connection); ended != 1 {
		t.Errorf("told %d times", ended)
	}
}

// I3: a server that closes first holds FIN_WAIT2 while the client goes on, and TIME_WAIT
// after it; only then has the connection ended.
func TestRemnantsAreNotEnded(t *testing.T) {
	t.Parallel()
	enterNetNS(t)
	d := openDiag(t)
	m := startMonitor(t, MonitorConfig{})
	server, c := accepted(t, "tcp4", clientAt, serverAt)
	for _, step := range []struct {
		do   func()
		then tcpState
	}{
		{func() { server.ok("close c") }, tcpFinWait2},
		{c.close, tcpTimeWait},
	} {
		step.do()
		eventually(t, "the remnant", func() bool { return state(t, d, c.connection) == step.then })
		m.settle()
		if _, ended := m.times(c.connection); ended != 0 {
			t.Fatalf("told to have ended in state %d", step.then)
		}
		held, err := m.Connections(relevantInTests)
		if err != nil || !slices.Contains(held, c.connection) {
			t.Errorf("Connections in state %d: got %v, %v, want %v in it", step.then, held, err, c.connection)
		}
	}
	destroy(t, d, c.connection)
	eventually(t, "end of the connection is told", func() bool {
		_, ended := m.times(c.connection)
		return ended == 1
	})
	if held, err := m.Connections(relevantInTests); err != nil || slices.Contains(held, c.connection) {
		t.Errorf("Connections after the end: got %v, %v", held, err)
	}
}

// destroy ends a connection by SOCK_DESTROY, so that nobody waits a minute for TIME_WAIT.
func destroy(t testing.TB, d *diagConn, c Connection) {
	t.Helper()
	request := appendRequest(nil, unix.AF_INET, unix.NLM_F_ACK, 0, anyConnection, probe{connection: c})
	binary.NativeEndian.PutUint16(request[4:], unix.SOCK_DESTROY)
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.socket.send(request); err != nil {
		t.Fatal(err)
	}
	err := d.in.receive(d.socket, func(_ uint16, _ uint32, payload []byte) error { return messageError(payload) })
	if err == unix.EOPNOTSUPP {
		t.Skip("kernel lacks SOCK_DESTROY (CONFIG_INET_DIAG_DESTROY)")
	}
	if err != nil {
		t.Fatalf("destroy %v: %v", c, err)
	}
}

// A reset connection whose process does not close its socket gives no event.
func TestConnectionEndedWhileTheSocketLives(t *testing.T) {
	t.Parallel()
	enterNetNS(t)
	m := startMonitor(t, MonitorConfig{Sweep: 50 * time.Millisecond})
	server, c := accepted(t, "tcp4", clientAt, serverAt)
	eventually(t, "connection is held", func() bool { held, _ := m.times(c.connection); return held > 0 })
	c.reset()
	eventually(t, "end of the connection is told", func() bool { _, ended := m.times(c.connection); return ended > 0 })
	server.ok("close c")
	m.settle()
	if held, ended := m.times(c.connection); held != 1 || ended != 1 {
		t.Errorf("told as held %d times and as ended %d times, want once each", held, ended)
	}
}

// The event of a connection that its own side aborts does not name the peer.
func TestHeldConnectionAborted(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name  string
		abort func(server *process)
	}{
		{"by SO_LINGER", func(p *process) { p.ok("accept s c"); p.ok("reset c") }},
		{"in the accept queue", func(p *process) { p.ok("close s") }},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			enterNetNS(t)
			m := startMonitor(t, MonitorConfig{Sweep: 50 * time.Millisecond})
			server := startPuppet(t, nil, nil)
			server.serve("s", "tcp4", serverAt.String())
			c := connect(t, clientAt, serverAt)
			eventually(t, "connection is held", func() bool { held, _ := m.times(c.connection); return held > 0 })
			test.abort(server)
			eventually(t, "end of the connection is told", func() bool { _, ended := m.times(c.connection); return ended > 0 })
			m.settle()
			if _, ended := m.times(c.connection); ended != 1 {
				t.Errorf("told %d times", ended)
			}
		})
	}
}

// Its cookie finds such a connection at once, before a sweep misses it.
func TestAbortedConnectionIsFoundByItsCookie(t *testing.T) {
	t.Parallel()
	m := &Monitor{
		listeners: newListeners(),
		holdings:  newHoldings(),
		remnants:  newRemnants(),
	}
	m.holdings.sweep(map[Connection]uint64{numbered(1): 1, numbered(2): 2})
	m.takeBacklog(&backlog{unconnected: []uint64{2, 3}}, time.Now())
	if want := []closed{{probe{connection: numbered(2)}, 2}}; !slices.Equal(m.gathered, want) {
		t.Errorf("to be looked up: %v, want the second connection alone", m.gathered)
	}
}

func TestHeld(t *testing.T) {
	t.Parallel()
	enterNetNS(t)
	var relevant atomic.Bool
	m := startMonitor(t, MonitorConfig{
		Sweep:    50 * time.Millisecond,
		Relevant: func(a netip.Addr) bool { return relevant.Load() && relevantInTests(a) },
	})
	_, c := accepted(t, "tcp4", clientAt, serverAt)
	_, other := accepted(t, "tcp4", clientAt, netip.MustParseAddrPort("127.7.0.2:7001"))
	relevant.Store(true)
	eventually(t, "connection is held", func() bool { held, _ := m.times(c.connection); return held > 0 })
	other.close()
	m.settle()
	held, ended := m.times(c.connection)
	otherHeld, otherEnded := m.times(other.connection)
	if held != 1 || ended != 0 || otherHeld+otherEnded != 0 {
		t.Errorf("held %d and ended %d times, the other address's %d and %d; want 1, 0, 0, 0", held, ended, otherHeld, otherEnded)
	}
}

// One 4-tuple over and over: its end is told when its last use has ended, not of a use while
// the next one lives.
func TestReusedConnection(t *testing.T) {
	t.Parallel()
	enterNetNS(t)
	d := openDiag(t)
	m := startMonitor(t, MonitorConfig{})
	server := startPuppet(t, nil, nil)
	server.serve("s", "tcp4", serverAt.String())
	from := netip.MustParseAddrPort("127.0.0.1:7100")
	c := Connection{Local: serverAt, Remote: from}
	for range 200 {
		client := connect(t, from, serverAt)
		server.ok("accept s c")
		server.ok("close c") // leaves TIME_WAIT, which the next SYN takes over
		client.close()
		eventually(t, "the client's end is gone", func() bool {
			return state(t, d, Connection{Local: c.Remote, Remote: c.Local}) == 0
		})
	}
	client := connect(t, from, serverAt)
	server.ok("accept s c")
	m.settle()
	_, while := m.times(c)
	client.reset()
	server.do("readend c")
	server.ok("close c")
	eventually(t, "end of the connection is told", func() bool { _, ended := m.times(c); return ended > while })
	if got := state(t, d, c); got != 0 {
		t.Errorf("told to have ended in state %d", got)
	}
	m.settle()
	if _, ended := m.times(c); ended != while+1 {
		t.Errorf("told %d times after its last use", ended-while)
	}
}

// Every one of many short connections is told, and once.
func TestManyShortConnections(t *testing.T) {
	t.Parallel()
	enterNetNS(t)
	m := startMonitor(t, MonitorConfig{})
	want := churn(t, 3000)
	assertEndedOnce(t, m, want)
}

// churn makes short connections that leave nothing at the server's end.
func churn(t testing.TB, n int) map[Connection]bool {
	t.Helper()
	l := listenHere(t, serverAt)
	made := map[Connection]bool{}
	for i := range n {
		from := netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 1, byte(i / 10000), 1}), uint16(20000+i%10000))
		c, err := dial(from, serverAt)
		if err != nil {
			t.Fatal(err)
		}
		fd, _, err := unix.Accept4(l, unix.SOCK_CLOEXEC)
		if err != nil {
			t.Fatal(err)
		}
		c.reset()
		unix.Close(fd)
		made[c.connection] = true
	}
	return made
}

// listenHere listens in the test's own process.
func listenHere(t testing.TB, at netip.AddrPort) int {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	if err := unix.Bind(fd, unixAddress(at)); err != nil {
		t.Fatal(err)
	}
	if err := unix.Listen(fd, 4096); err != nil {
		t.Fatal(err)
	}
	return fd
}

func assertEndedOnce(t testing.TB, m *testMonitor, want map[Connection]bool) {
	t.Helper()
	var times map[Connection]int
	d := openDiag(t)
	defer func() {
		for c := range want {
			if t.Failed() && times[c] == 0 {
				held, _ := m.times(c)
				t.Logf("%v: told %d times as held and never as ended, state %d", c, held, state(t, d, c))
			}
		}
	}()
	eventually(t, "end of every connection is told", func() bool {
		times = map[Connection]int{}
		for _, e := range m.all() {
			if ended, ok := e.(ConnectionsEnded); ok {
				for _, c := range ended.Connections {
					times[c]++
				}
			}
		}
		return len(times) >= len(want)
	})
	for c, n := range times {
		if !want[c] || n != 1 {
			t.Errorf("%v told %d times, expected: %v", c, n, want[c])
		}
	}
}

// Events that do not fit into the kernel's buffer are made up for by looking.
func TestOverflow(t *testing.T) {
	t.Parallel()
	enterNetNS(t)
	var reading sync.RWMutex // held for writing, nobody reads events
	m := startMonitor(t, MonitorConfig{
		Sweep:         50 * time.Millisecond,
		ReceiveBuffer: 1, // the kernel makes it its minimum
		Relevant: func(a netip.Addr) bool {
			reading.RLock()
			defer reading.RUnlock()
			return relevantInTests(a)
		},
	})
	l := listenHere(t, serverAt)
	want := map[Connection]bool{}
	var clients []*client
	var servers []int
	for range 400 {
		c := connect(t, clientAt, serverAt)
		fd, _, err := unix.Accept4(l, unix.SOCK_CLOEXEC)
		if err != nil {
			t.Fatal(err)
		}
		want[c.connection] = true
		clients, servers = append(clients, c), append(servers, fd)
	}
	eventually(t, "all connections are held", func() bool {
		held := 0
		for _, e := range m.all() {
			if h, ok := e.(ConnectionsHeld); ok {
				held += len(h.Connections)
			}
		}
		return held == len(want)
	})
	reading.Lock()
	for _, c := range clients {
		c.reset()
	}
	for _, fd := range servers {
		unix.Close(fd)
	}
	eventually(t, "the kernel drops events", func() bool { return droppedEvents(t) > 0 })
	reading.Unlock()
	assertEndedOnce(t, m, want)
}

// droppedEvents counts what the netlink sockets of the test's network namespace have lost.
func droppedEvents(t testing.TB) (drops int) {
	t.Helper()
	table, err := os.ReadFile("/proc/thread-self/net/netlink")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(table)) {
		const column = 8 // sk Eth Pid Groups Rmem Wmem Dump Locks Drops Inode
		if fields := strings.Fields(line); len(fields) > column && fields[0] != "sk" {
			n, err := strconv.Atoi(fields[column])
			if err != nil {
				t.Fatal(err)
			}
			drops += n
		}
	}
	return drops
}
