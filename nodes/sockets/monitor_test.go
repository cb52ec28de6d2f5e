package sockets

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/plexlab-dev/plexlab/nodes/pulse"
)

// testMonitor is a running monitor with what it delivered.
type testMonitor struct {
	*Monitor
	t      testing.TB
	mu     sync.Mutex
	events []Event
	at     []time.Time
}

// relevantInTests is the address that matters: 127.7.0.1 and ::1; clients use others.
func relevantInTests(a netip.Addr) bool {
	return a == netip.MustParseAddr("127.7.0.1") || a == netip.IPv6Loopback()
}

func newPulse(t testing.TB) *pulse.Pulse {
	t.Helper()
	p, err := pulse.New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	return p
}

func startMonitor(t testing.TB, c MonitorConfig) *testMonitor {
	t.Helper()
	m := &testMonitor{t: t}
	deliver := c.Deliver
	c.Deliver = func(e Event) {
		m.mu.Lock()
		m.events, m.at = append(m.events, e), append(m.at, time.Now())
		m.mu.Unlock()
		if deliver != nil {
			deliver(e)
		}
	}
	if c.Relevant == nil {
		c.Relevant = relevantInTests
	}
	if c.Log == nil {
		c.Log = testLog(t)
	}
	c.Pulse = newPulse(t)
	var err error
	if m.Monitor, err = NewMonitor(c); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- m.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		select {
		case err := <-done:
			if err != nil {
				t.Error(err)
			}
		case <-time.After(patience):
			t.Errorf("monitor still runs %v after its context ended", patience)
		}
	})
	return m
}

func (m *testMonitor) all() []Event {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.events)
}

// index is where an event was delivered; -1 if it was not.
func (m *testMonitor) index(match func(Event) bool) int { return slices.IndexFunc(m.all(), match) }

func (m *testMonitor) started(cookie uint64) bool {
	return m.index(func(e Event) bool { s, ok := e.(ListenStarted); return ok && s.Socket.Cookie == cookie }) >= 0
}

func (m *testMonitor) ended(cookie uint64) bool {
	return m.index(func(e Event) bool { s, ok := e.(ListenEnded); return ok && s.Cookie == cookie }) >= 0
}

// times is how often a connection was reported as held and as ended.
func (m *testMonitor) times(c Connection) (held, ended int) {
	for _, e := range m.all() {
		switch e := e.(type) {
		case ConnectionsHeld:
			held += count(e.Connections, c)
		case ConnectionsEnded:
			ended += count(e.Connections, c)
		}
	}
	return held, ended
}

func count(all []Connection, c Connection) (n int) {
	for _, other := range all {
		if other == c {
			n++
		}
	}
	return n
}

// settle waits until everything that the kernel told so far has been delivered: it makes a
// connection of a relevant address come and go, whose end follows all earlier ones.
func (m *testMonitor) settle() {
	m.t.Helper()
	l := listenHere(m.t, netip.AddrPortFrom(serverAt.Addr(), 0))
	s, err := describe(l)
	if err != nil {
		m.t.Fatal(err)
	}
	c := connect(m.t, clientAt, s.Local)
	accepted, _, err := unix.Accept4(l, unix.SOCK_CLOEXEC)
	if err != nil {
		m.t.Fatal(err)
	}
	c.reset()
	unix.Close(accepted)
	eventually(m.t, "end of a connection is told", func() bool { _, ended := m.times(c.connection); return ended > 0 })
}

func (p *process) cookie(name string) uint64 {
	p.t.Helper()
	cookie, err := strconv.ParseUint(p.ok("cookie %s", name), 10, 64)
	if err != nil {
		p.t.Fatal(err)
	}
	return cookie
}

// serve makes the process listen, as name.
func (p *process) serve(name, kind, at string, options ...string) {
	p.t.Helper()
	p.ok("socket %s %s", name, kind)
	for _, option := range options {
		p.ok("option %s %s", name, option)
	}
	p.ok("bind %s %s", name, at)
	p.ok("listen %s", name)
}

func TestListenersWithoutLauncher(t *testing.T) {
	t.Parallel()
	enterNetNS(t)
	before := startPuppet(t, nil, nil)
	before.serve("s", "tcp6", "[::]:7001", "v6only")
	m := startMonitor(t, MonitorConfig{Look: 50 * time.Millisecond})
	eventually(t, "found what listened before", func() bool { return m.started(before.cookie("s")) })

	after := startPuppet(t, nil, nil)
	after.serve("s", "tcp4", "127.7.0.1:7002")
	after.serve("m", "mptcp4", "127.7.0.1:7003") // its socket has a cookie that no dump shows
	eventually(t, "found what listens since", func() bool {
		return m.started(after.cookie("s")) && m.index(isAt("127.7.0.1:7003")) >= 0
	})
	got := m.all()[0].(ListenStarted).Socket
	want := Socket{Cookie: before.cookie("s"), Local: netip.MustParseAddrPort("[::]:7001"), V6Only: true}
	if diff := cmp.Diff(want, got, compareAddresses); diff != "" {
		t.Errorf("found socket (-want +got):\n%s", diff)
	}
	before.kill()
	eventually(t, "end of the killed process's socket", func() bool { return m.ended(want.Cookie) })
}

func isAt(local string) func(Event) bool {
	return func(e Event) bool {
		s, ok := e.(ListenStarted)
		return ok && s.Socket.Local == netip.MustParseAddrPort(local)
	}
}

// However a socket stops listening, it is told without a look at all sockets, and once.
func TestListenEnded(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name    string
		options []string
		client  bool // that connects before
		check   time.Duration
		end     func(server *process)
	}{
		{"close, by its event", nil, false, time.Hour, func(p *process) { p.ok("close s") }},
		{"process killed, by its event", nil, false, time.Hour, (*process).kill},
		{"close", nil, false, 0, func(p *process) { p.ok("close s") }},
		{"shutdown", nil, false, 0, func(p *process) { p.ok("shutdown s") }},
		{"close with a connection not accepted", nil, true, 0, func(p *process) { p.ok("close s") }},
		{"close with a half-open request", []string{"deferaccept"}, true, 0, func(p *process) { p.ok("close s") }},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			enterNetNS(t)
			m := startMonitor(t, MonitorConfig{Check: test.check, Look: time.Hour})
			b := startBroker(t, &recorder{listening: func(ctx context.Context, s Socket) {
				if err := m.Listening(ctx, s); err != nil {
					t.Error(err)
				}
			}})
			server := startPuppet(t, b, nil)
			server.serve("s", "tcp4", "127.7.0.1:7001", test.options...)
			cookie := server.cookie("s")
			if !m.started(cookie) {
				t.Fatal("not delivered by the time listen() returned")
			}
			if test.client {
				connect(t, clientAt, serverAt)
			}
			began := time.Now()
			test.end(server)
			eventually(t, "end of the socket is told", func() bool { return m.ended(cookie) })
			took := m.when(func(e Event) bool { _, ok := e.(ListenEnded); return ok }).Sub(began)
			t.Logf("told after %v", took)
			m.settle()
			var mine []Event
			for _, e := range m.all() {
				if e == (ListenEnded{cookie}) || isAt("127.7.0.1:7001")(e) {
					mine = append(mine, e)
				}
			}
			if len(mine) != 2 {
				t.Errorf("got %v, want its start and its end, once each", mine)
			}
		})
	}
}

func (m *testMonitor) when(match func(Event) bool) time.Time {
	i := m.index(match)
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.at[i]
}

// Two sockets on one address and port are two listeners.
func TestListenersThatShareAPort(t *testing.T) {
	t.Parallel()
	enterNetNS(t)
	m := startMonitor(t, MonitorConfig{Look: 50 * time.Millisecond})
	server := startPuppet(t, nil, nil)
	server.serve("a", "tcp4", "127.7.0.1:7001", "reuseport")
	server.serve("b", "tcp4", "127.7.0.1:7001", "reuseport")
	a, b := server.cookie("a"), server.cookie("b")
	eventually(t, "both are found", func() bool { return m.started(a) && m.started(b) })
	server.ok("close a")
	eventually(t, "end of the first", func() bool { return m.ended(a) })
	m.settle()
	if m.ended(b) {
		t.Error("the second was told to have ended too")
	}
}

// connect opens a connection from the test, closed with it at the latest.
func connect(t testing.TB, from, to netip.AddrPort) *client {
	t.Helper()
	c, err := dial(from, to)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.close)
	return c
}

// client is a connection seen from the test's end; connection is it seen from the server's.
type client struct {
	fd         int
	connection Connection
}

func dial(from, to netip.AddrPort) (*client, error) {
	domain := unix.AF_INET
	if to.Addr().Is6() {
		domain = unix.AF_INET6
	}
	fd, err := unix.Socket(domain, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	if from.Port() != 0 {
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)
	}
	b, _ := sockaddr(domain, from)
	if err := bindRaw(fd, b); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("bind to %v: %w", from, err)
	}
	if err := unix.Connect(fd, unixAddress(to)); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("connect to %v: %w", to, err)
	}
	s, err := describe(fd)
	if err != nil {
		unix.Close(fd)
		return nil, err
	}
	return &client{fd: fd, connection: Connection{Local: to, Remote: s.Local}}, nil
}

func unixAddress(a netip.AddrPort) unix.Sockaddr {
	if a.Addr().Is4() {
		return &unix.SockaddrInet4{Addr: a.Addr().As4(), Port: int(a.Port())}
	}
	return &unix.SockaddrInet6{Addr: a.Addr().As16(), Port: int(a.Port())}
}

// close may be called again.
func (c *client) close() {
	if c.fd >= 0 {
		unix.Close(c.fd)
		c.fd = -1
	}
}

// reset closes with an RST.
func (c *client) reset() {
	unix.SetsockoptLinger(c.fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
	c.close()
}

// Not parallel: it counts the descriptors of the whole process.
func TestMonitorLeavesNoDescriptor(t *testing.T) {
	p := newPulse(t)
	before := openDescriptors(t)
	m, err := NewMonitor(MonitorConfig{Deliver: func(Event) {}, Relevant: relevantInTests, Pulse: p})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := m.Run(ctx); err != nil {
		t.Error(err)
	}
	if err := m.Listening(context.Background(), Socket{Cookie: 1}); err == nil {
		t.Error("a monitor that has stopped takes a socket")
	}
	if _, err := m.Connections(relevantInTests); err == nil {
		t.Error("a monitor that has stopped knows connections")
	}
	if after := openDescriptors(t); after > before {
		t.Errorf("%d descriptors open, %d before", after, before)
	}
}

// Of sockets that share an address and port a look-up finds but one; what becomes of the
// others is noticed all the same, without a look at all that is due anyway.
func TestShutdownOfAListenerThatSharesItsPort(t *testing.T) {
	t.Parallel()
	enterNetNS(t)
	m := startMonitor(t, MonitorConfig{Look: time.Hour})
	b := startBroker(t, &recorder{listening: func(ctx context.Context, s Socket) {
		if err := m.Listening(ctx, s); err != nil {
			t.Error(err)
		}
	}})
	server := startPuppet(t, b, nil)
	names := []string{"a", "b", "c"}
	for _, name := range names {
		server.serve(name, "tcp4", "127.7.0.1:7001", "reuseport")
	}
	for _, name := range names {
		cookie := server.cookie(name)
		began := time.Now()
		server.ok("shutdown %s", name)
		eventually(t, "end of the socket is told", func() bool { return m.ended(cookie) })
		t.Logf("told after %v", time.Since(began))
	}
}

// A socket that is bound to an interface is found only by a look-up that says so.
func TestLookupOfAListenerBoundToAnInterface(t *testing.T) {
	t.Parallel()
	enterNetNS(t)
	d := openDiag(t)
	fd := listenHere(t, serverAt)
	if err := unix.BindToDevice(fd, "lo"); err != nil {
		t.Fatal(err)
	}
	s, err := describe(fd)
	if err != nil {
		t.Fatal(err)
	}
	found, err := d.lookup([]probe{{Connection{Local: s.Local}, s.Device}})
	if err != nil || found[0].cookie != s.Cookie {
		t.Errorf("look-up of %+v: got %+v, %v", s, found[0], err)
	}
}
