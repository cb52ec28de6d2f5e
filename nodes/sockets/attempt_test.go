package sockets

import (
	"context"
	"fmt"
	"net/netip"
	"os/exec"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

var (
	outboundFrom = netip.AddrPortFrom(serverAt.Addr(), 40009) // within ip_local_port_range
	outboundTo   = netip.MustParseAddrPort("127.9.0.1:7001")
	outbound     = Connection{Local: outboundFrom, Remote: outboundTo}
)

// startOutbound starts an application whose connections get their source from the broker, and
// are told to a monitor. Each waits on gate, if that is not nil, before the kernel opens it.
func startOutbound(t *testing.T, source netip.AddrPort, gate chan struct{}) (*testMonitor, *process) {
	t.Helper()
	enterNetNS(t)
	m := startMonitor(t, MonitorConfig{Sweep: 50 * time.Millisecond})
	b := startBroker(t, &recorder{connect: func(ctx context.Context, r ConnectRequest, bind func(netip.AddrPort) error) error {
		if r.Local.Port() == 0 {
			if err := bind(source); err != nil {
				return err
			}
		}
		if err := m.Connecting(ctx, r, source); err != nil {
			return err
		}
		if gate != nil {
			gate <- struct{}{}
			<-gate
		}
		return nil
	}})
	app := startPuppet(t, b, nil)
	app.ok("socket s tcp4")
	return m, app
}

// looks waits until the monitor has asked about everything that it watches several times.
func (m *testMonitor) looks() {
	m.t.Helper()
	for began := time.Now(); time.Since(began) < 10*firstBackoff; {
		m.settle()
	}
}

func TestConnectionOpened(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		kind   string
		before []string
		end    func(app, server *process)
	}{
		{"server closes first", "tcp4", nil, func(app, server *process) { server.ok("close c"); app.ok("readend s"); app.ok("close s") }},
		{"reset by the server, socket lives", "tcp4", nil, func(_, server *process) { server.ok("reset c") }},
		{"reset by the server, closed then", "tcp4", nil, func(app, server *process) { server.ok("reset c"); app.do("readend s"); app.ok("close s") }},
		{"reset by the application", "tcp4", nil, func(app, _ *process) { app.ok("reset s") }},
		{"disconnected", "tcp4", nil, func(app, _ *process) { app.ok("disconnect s") }},
		{"killed", "tcp4", nil, func(app, server *process) { server.ok("close c"); app.ok("readend s"); app.kill() }},
		{"non-blocking", "tcp4", []string{"nonblocking s"}, func(app, _ *process) { app.ok("reset s") }},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			m, app := startOutbound(t, outboundFrom, nil)
			server := startPuppet(t, nil, nil)
			server.serve("s", "tcp4", outboundTo.String())
			for _, command := range test.before {
				app.ok("%s", command)
			}
			if answer := app.do("connect s %v", outboundTo); answer != "ok" && answer != "EINPROGRESS" {
				t.Fatalf("connect: got %s", answer)
			}
			server.ok("accept s c")
			m.looks()
			if held, ended := m.times(outbound); held != 0 || ended != 0 {
				t.Fatalf("while it lives told as held %d and as ended %d times, want never", held, ended)
			}
			test.end(app, server)
			eventually(t, "end of the connection is told", func() bool { _, ended := m.times(outbound); return ended > 0 })
			m.looks()
			if held, ended := m.times(outbound); held != 0 || ended != 1 {
				t.Errorf("told as held %d and as ended %d times, want never and once", held, ended)
			}
		})
	}
}

// established is startOutbound with one connection, s of the application, that a server has accepted as c.
func established(t *testing.T) (m *testMonitor, app, server *process) {
	t.Helper()
	m, app = startOutbound(t, outboundFrom, nil)
	server = startPuppet(t, nil, nil)
	server.serve("s", "tcp4", outboundTo.String())
	app.ok("connect s %v", outboundTo)
	server.ok("accept s c")
	return m, app, server
}

// The remnant of an outbound connection keeps it, as that of another does.
func TestRemnantOfAConnectionOpened(t *testing.T) {
	t.Parallel()
	m, app, server := established(t)
	app.ok("close s")
	server.ok("readend c")
	server.ok("close c")
	d := openDiag(t)
	eventually(t, "the remnant", func() bool { return state(t, d, outbound) == tcpTimeWait })
	m.looks()
	if _, ended := m.times(outbound); ended != 0 {
		t.Fatal("told to have ended in TIME_WAIT")
	}
	destroy(t, d, outbound)
	eventually(t, "end of the connection is told", func() bool { _, ended := m.times(outbound); return ended == 1 })
}

// A connection that fails is told once, though its socket lives on, and its port is free.
func TestConnectionFailed(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name    string
		source  netip.AddrPort
		prepare []string
		to      string
		answer  string
		after   []string
		inUse   bool // by the socket, still
	}{
		{"refused", outboundFrom, nil, "127.9.0.1:7001", "ECONNREFUSED", nil, false},
		{"refused, shared with a child", outboundFrom, []string{"bequeath s"}, "127.9.0.1:7001", "ECONNREFUSED", nil, false},
		{"refused, non-blocking", outboundFrom, []string{"nonblocking s"}, "127.9.0.1:7001", "EINPROGRESS", []string{"writable s"}, false},
		{"refused, non-blocking, told by the socket", outboundFrom, []string{"nonblocking s"}, "127.9.0.1:7001", "EINPROGRESS", []string{"writable s", "pending s"}, false},
		{"refused, port that the kernel does not choose", netip.AddrPortFrom(serverAt.Addr(), 2009), nil, "127.9.0.1:7001", "ECONNREFUSED", nil, true},
		{"bound by the program", outboundFrom, []string{"bind s " + outboundFrom.String()}, "127.9.0.1:7001", "ECONNREFUSED", nil, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			m, app := startOutbound(t, test.source, nil)
			for _, command := range test.prepare {
				app.ok("%s", command)
			}
			if answer := app.do("connect s %s", test.to); answer != test.answer {
				t.Fatalf("connect: got %s, want %s", answer, test.answer)
			}
			for _, command := range test.after {
				app.ok("%s", command)
			}
			c := Connection{Local: test.source, Remote: netip.MustParseAddrPort(test.to)}
			eventually(t, "end of the connection is told", func() bool { _, ended := m.times(c); return ended == 1 })
			used, err := m.PortsInUse(relevantInTests)
			if err != nil {
				t.Fatal(err)
			}
			if _, inUse := used[test.source]; inUse != test.inUse {
				t.Errorf("port in use: %v, want %v", inUse, test.inUse)
			}
			cookie := app.cookie("s")
			if !test.inUse {
				eventually(t, "the kernel has its port back is told", func() bool { return m.closings()[cookie] == 1 })
				if told := m.closed(cookie); !told.NeverConnected || told.Local != test.source {
					t.Errorf("told %+v, want that %v never carried a connection", told, test.source)
				}
			}
			m.looks()
			if told := m.closings()[cookie]; test.inUse && told != 0 {
				t.Errorf("socket that has its port is told to be closed %d times", told)
			}
			app.ok("close s")
			eventually(t, "end of the socket is told", func() bool { return m.closings()[cookie] == 1 })
			m.looks()
			if held, ended := m.times(c); held != 0 || ended != 1 {
				t.Errorf("told as held %d and as ended %d times, want never and once", held, ended)
			}
			if told := m.closings()[cookie]; told != 1 {
				t.Errorf("end of the socket told %d times, want once", told)
			}
		})
	}
}

// closed is what was told of the end of a socket.
func (m *testMonitor) closed(cookie uint64) (told SocketClosed) {
	for _, e := range m.all() {
		if closed, ok := e.(SocketClosed); ok && closed.Cookie == cookie {
			told = closed
		}
	}
	return told
}

// A connection that was established takes its port along when the peer resets it, though the socket lives on; but
// somebody may remember it.
func TestConnectionResetReturnsItsPort(t *testing.T) {
	t.Parallel()
	m, app, server := established(t)
	cookie := app.cookie("s")
	m.looks()
	server.ok("reset c")
	eventually(t, "the kernel has its port back is told", func() bool { return m.closings()[cookie] == 1 })
	if told := m.closed(cookie); told.NeverConnected || told.Local != outboundFrom {
		t.Errorf("told %+v, want that %v carried a connection", told, outboundFrom)
	}
}

// Where there is no way to the peer, no port is taken; where the handler refuses after it had one, the kernel has it
// back, and the socket may try again.
func TestConnectRefusedBeforeItBegins(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"tcp4", "tcp6"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			enterNetNS(t)
			var let atomic.Bool
			source, to, nowhere := outboundFrom, outboundTo, "198.51.100.1:7001"
			if kind == "tcp6" {
				source, to, nowhere = netip.MustParseAddrPort("[::1]:40009"), netip.MustParseAddrPort("[::1]:7001"), "[2001:db8::1]:7001"
			}
			b := startBroker(t, &recorder{connect: func(_ context.Context, r ConnectRequest, bind func(netip.AddrPort) error) error {
				if err := bind(source); err != nil || let.Load() {
					return err
				}
				return unix.EADDRNOTAVAIL
			}})
			app, other := startPuppet(t, b, nil), startPuppet(t, nil, nil)
			other.serve("l", kind, to.String())
			app.ok("socket s %s", kind)
			for _, attempt := range []struct{ to, want string }{{nowhere, "ENETUNREACH"}, {to.String(), "EADDRNOTAVAIL"}} {
				if got := app.do("connect s %s", attempt.to); got != attempt.want {
					t.Fatalf("connect to %s: got %s, want %s", attempt.to, got, attempt.want)
				}
				other.ok("socket o %s", kind)
				if got := other.do("bind o %v", source); got != "ok" {
					t.Errorf("bind to the port after %s: %s, want that it is free", attempt.want, got)
				}
				other.ok("close o")
			}
			if got := app.ok("pending s"); got != "" {
				t.Errorf("error that waits at the socket: %s, want none", got)
			}
			let.Store(true)
			app.ok("connect s %v", to)
			if got := app.ok("name s"); got != source.String() {
				t.Errorf("connected from %s, want %v", got, source)
			}
		})
	}
}

// A socket that tries again opens another connection, each with an end.
func TestConnectionTriedAgain(t *testing.T) {
	t.Parallel()
	m, app := startOutbound(t, outboundFrom, nil)
	for i := range 3 {
		if answer := app.do("connect s %v", outboundTo); answer != "ECONNREFUSED" {
			t.Fatalf("connect: got %s, want ECONNREFUSED", answer)
		}
		eventually(t, "end of the connection is told", func() bool { _, ended := m.times(outbound); return ended > i })
	}
	server := startPuppet(t, nil, nil)
	server.serve("s", "tcp4", outboundTo.String())
	app.ok("connect s %v", outboundTo)
	m.looks()
	if _, ended := m.times(outbound); ended != 3 {
		t.Fatalf("told %d times, want once for each that failed", ended)
	}
	server.ok("accept s c")
	server.ok("close c")
	app.ok("readend s")
	app.ok("close s")
	eventually(t, "end of the connection is told", func() bool { _, ended := m.times(outbound); return ended == 4 })
	m.looks()
	if _, ended := m.times(outbound); ended != 4 {
		t.Errorf("told %d times, want 4", ended)
	}
}

// The end of a socket's connection is told though that of an earlier one was.
func TestConnectionTriedAgainIsFoundByItsEvent(t *testing.T) {
	t.Parallel()
	m := &Monitor{
		holdings:      newHoldings(),
		remnants:      newRemnants(),
		reportedAlive: map[uint64]struct{}{1: {}},
	}
	m.open(opening{socket: closed{probe{connection: outbound}, 1}, attempt: &attempt{}, done: make(chan struct{})})
	m.takeBacklog(&backlog{connections: []closed{{probe{connection: outbound}, 1}}}, time.Now())
	all := m.takeGathered()
	if len(all) != 1 || all[0].connection != outbound || all[0].opening || all[0].attempt != nil {
		t.Errorf("to be looked up: %v, want the connection, which is not being opened any more", all)
	}
}

// Nothing is told while the kernel has not begun to connect, nor while it waits for the peer.
func TestConnectionNotYetOpened(t *testing.T) {
	t.Parallel()
	gate := make(chan struct{})
	m, app := startOutbound(t, outboundFrom, gate)
	nobody := silent(t)
	app.ok("start connect s %v", nobody)
	<-gate
	c := Connection{Local: outboundFrom, Remote: nobody}
	untold := func(when string) {
		t.Helper()
		m.looks()
		if held, ended := m.times(c); held != 0 || ended != 0 {
			t.Fatalf("%s told as held %d and as ended %d times", when, held, ended)
		}
	}
	untold("while the handler decides")
	gate <- struct{}{}
	d := openDiag(t)
	eventually(t, "SYN is sent", func() bool { return state(t, d, c) == tcpSynSent })
	untold("while the peer does not answer")
	app.ok("shutdown s")
	app.do("finish")
	eventually(t, "end of the connection is told", func() bool { _, ended := m.times(c); return ended == 1 })
}

func TestConnectionKilledBeforeItOpens(t *testing.T) {
	t.Parallel()
	gate := make(chan struct{})
	m, app := startOutbound(t, outboundFrom, gate)
	app.ok("start connect s %v", outboundTo)
	<-gate
	app.kill()
	gate <- struct{}{}
	eventually(t, "end of the connection is told", func() bool { _, ended := m.times(outbound); return ended == 1 })
	eventually(t, "end of the socket is told", func() bool { return len(m.closings()) == 1 })
}

func TestAttemptOver(t *testing.T) {
	t.Parallel()
	enterNetNS(t)
	nobody := silent(t)
	begin := func(p *process) *attempt {
		t.Helper()
		a, err := beginAttempt(p.cmd.Process.Pid)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	waiting := startPuppet(t, nil, nil)
	waiting.ok("socket s tcp4")
	elsewhere := begin(waiting)
	eventually(t, "thread that waits for its next command is over", elsewhere.over)

	d := openDiag(t)
	if _, err := fmt.Fprintf(waiting.in, "connect s %v\n", nobody); err != nil {
		t.Fatal(err)
	}
	eventually(t, "SYN is sent", func() bool { return waiting.connecting(d) })
	for range 100 {
		if elsewhere.over() {
			t.Fatal("thread within connect() is over")
		}
	}
	another := *elsewhere
	another.started++
	if !another.over() {
		t.Error("thread whose number has come to mean another is not over")
	}
	waiting.kill()
	if !elsewhere.over() {
		t.Error("thread that has ended is not over")
	}
}

// A thread that is never met waiting is over by its processor time, and not before.
func TestAttemptOfAThreadThatNeverWaits(t *testing.T) {
	t.Parallel()
	spinning := exec.Command("sh", "-c", "while :; do :; done")
	if err := spinning.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		spinning.Process.Kill()
		spinning.Wait()
	})
	var busy *attempt
	eventually(t, "it spins", func() (spins bool) {
		var err error
		if busy, err = beginAttempt(spinning.Process.Pid); err != nil {
			t.Fatal(err)
		}
		return busy.used >= 3
	})
	eventually(t, "thread that never waits is over", func() bool {
		over := busy.over()
		if _, used, err := threadClock(busy.tid); over && (err != nil || used < busy.used+enough) {
			t.Fatalf("over after %d clock ticks of processor time (%v), want %d", used-busy.used, err, enough)
		}
		return over
	})
}
