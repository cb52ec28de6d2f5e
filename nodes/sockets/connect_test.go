package sockets

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// serverAny is any port of the server's address.
var serverAny = netip.AddrPortFrom(serverAt.Addr(), 0)

func TestConnectRequest(t *testing.T) {
	t.Parallel()
	enterNetNS(t)
	b := startBroker(t, &recorder{})
	app := startPuppet(t, b, nil)
	startPuppet(t, nil, nil).serve("s", "tcp6", "[::]:7001")
	for _, test := range []struct {
		name    string
		kind    string
		prepare []string
		to      string
		want    ConnectRequest
	}{
		{"not bound", "tcp4", nil, "127.7.0.1:7001", ConnectRequest{
			Remote: serverAt, Local: netip.MustParseAddrPort("0.0.0.0:0")}},
		{"bound", "tcp4", []string{"bind %s 127.0.0.1:7101"}, "127.7.0.1:7001", ConnectRequest{
			Remote: serverAt, Local: netip.MustParseAddrPort("127.0.0.1:7101")}},
		{"port alone", "tcp4", []string{"bind %s 0.0.0.0:7102"}, "127.7.0.1:7001", ConnectRequest{
			Remote: serverAt, Local: netip.MustParseAddrPort("0.0.0.0:7102")}},
		{"address alone", "tcp4", []string{"option %s nolocalport", "bind %s 127.0.0.1:0"}, "127.7.0.1:7001", ConnectRequest{
			Remote: serverAt, Local: netip.MustParseAddrPort("127.0.0.1:0")}},
		{"IPv6", "tcp6", nil, "[::1]:7001", ConnectRequest{
			Remote: netip.MustParseAddrPort("[::1]:7001"), Local: netip.MustParseAddrPort("[::]:0")}},
		{"IPv4 mapped", "tcp6", nil, "[::ffff:127.7.0.1]:7001", ConnectRequest{
			Remote: serverAt, Local: netip.MustParseAddrPort("[::]:0")}},
		{"non-blocking", "tcp4", []string{"nonblocking %s"}, "127.7.0.1:7001", ConnectRequest{
			Remote: serverAt, Local: netip.MustParseAddrPort("0.0.0.0:0")}},
		{"SYN put off", "tcp4", []string{"option %s fastopenconnect"}, "127.7.0.1:7001", ConnectRequest{
			Remote: serverAt, Local: netip.MustParseAddrPort("0.0.0.0:0")}},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := strconv.Itoa(len(test.name)) + test.kind
			app.ok("socket %s %s", s, test.kind)
			for _, command := range test.prepare {
				app.ok(command, s)
			}
			if answer := app.do("connect %s %s", s, test.to); answer != "ok" && answer != "EINPROGRESS" {
				t.Fatalf("connect: got %s", answer)
			}
			app.ok("writable %s", s)
			fd, err := strconv.Atoi(app.ok("number %s", s))
			if err != nil {
				t.Fatal(err)
			}
			test.want.Cookie, test.want.NeverConnected = app.cookie(s), true
			test.want.FD, test.want.Application, test.want.PID, test.want.TID = fd, "APPA", app.cmd.Process.Pid, app.cmd.Process.Pid
			if diff := cmp.Diff([]ConnectRequest{test.want}, b.asked(), compareAddresses); diff != "" {
				t.Errorf("requests (-want +got):\n%s", diff)
			}
			if again := app.do("connect %s %s", s, test.to); again != "EISCONN" && again != "ok" {
				t.Errorf("connect() of a connected socket: got %s", again)
			}
			if asked := b.asked(); len(asked) != 0 {
				t.Errorf("connect() of a connected socket asked for %v", asked)
			}
			app.ok("close %s", s)
		})
	}
}

// What the kernel answers without a broker is what it answers through one, and what makes no
// connection does not come to the handler.
func TestConnectAnswersAreTheKernels(t *testing.T) {
	t.Parallel()
	const nobody = "127.8.0.1:7001" // where silent is
	for _, test := range []struct {
		name     string
		commands []string // the last one's answer counts
		asked    int
	}{
		{"refused", []string{"socket s tcp4", "connect s 127.0.0.1:7002"}, 1},
		{"refused again", []string{"socket s tcp4", "connect s 127.0.0.1:7002", "connect s 127.0.0.1:7002"}, 2},
		{"success after refusal", []string{"socket s tcp4", "connect s 127.0.0.1:7002", "connect s 127.7.0.1:7001"}, 2},
		{"no route", []string{"socket s tcp4", "connect s 198.51.100.1:7001"}, 1},
		{"connected", []string{"socket s tcp4", "connect s 127.7.0.1:7001", "connect s 127.7.0.1:7001"}, 1},
		{"connecting", []string{"socket s tcp4", "nonblocking s", "connect s " + nobody, "connect s " + nobody}, 1},
		{"failed, not told yet", []string{"socket s tcp4", "nonblocking s", "connect s 127.0.0.1:7002", "writable s", "connect s 127.0.0.1:7002"}, 1},
		{"failed and told", []string{"socket s tcp4", "nonblocking s", "connect s 127.0.0.1:7002", "writable s", "connect s 127.0.0.1:7002", "connect s 127.7.0.1:7001"}, 2},
		{"failed, told by the socket", []string{"socket s tcp4", "nonblocking s", "connect s 127.0.0.1:7002", "writable s", "pending s", "connect s 127.0.0.1:7002"}, 1},
		{"connected once", []string{"socket s tcp4", "connect s 127.7.0.1:7001", "disconnect s", "connect s 127.7.0.1:7001"}, 2},
		{"disconnect", []string{"socket s tcp4", "connect s 127.7.0.1:7001", "disconnect s"}, 1},
		{"disconnect, not connected", []string{"socket s tcp4", "disconnect s"}, 0},
		{"listens", []string{"socket s tcp4", "listen s", "connect s 127.7.0.1:7001"}, 0},
		{"another family", []string{"socket s tcp4", "connect s [::1]:7001"}, 0},
		{"IPv4 to an IPv6 socket", []string{"socket s tcp6", "connect s 127.7.0.1:7001"}, 0},
		{"mapped, IPv6 alone", []string{"socket s tcp6", "option s v6only", "connect s [::ffff:127.7.0.1]:7001"}, 0},
		{"too short", []string{"socket s tcp4", "connectraw s 15"}, 0},
		{"no address", []string{"socket s tcp4", "connectraw s 0"}, 0},
		{"too long", []string{"socket s tcp4", "connectraw s 129"}, 0},
		{"negative length", []string{"socket s tcp4", "connectraw s -1"}, 0},
		{"bad pointer", []string{"socket s tcp4", "connectfault s"}, 0},
		{"bad descriptor", []string{"connect none 127.0.0.1:7001"}, 0},
		{"UDP", []string{"socket s udp4", "connect s 127.0.0.1:7001"}, 0},
		{"Unix socket", []string{"socket s unix", "connectraw s 16"}, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			enterNetNS(t)
			silent(t)
			b := startBroker(t, &recorder{})
			startPuppet(t, nil, nil).serve("s", "tcp4", serverAt.String())
			brokered, bare := startPuppet(t, b, nil), startPuppet(t, nil, nil)
			var want, got string
			for _, command := range test.commands {
				want, got = bare.do("%s", command), brokered.do("%s", command)
			}
			if got != want {
				t.Errorf("%s: got %s, want %s", test.commands[len(test.commands)-1], got, want)
			}
			if asked := b.asked(); len(asked) != test.asked {
				t.Errorf("handler was asked %d times, want %d: %v", len(asked), test.asked, asked)
			}
		})
	}
}

func TestHandlerDecidesConnect(t *testing.T) {
	t.Parallel()
	source := netip.MustParseAddrPort("127.0.0.9:40009") // within ip_local_port_range
	for _, test := range []struct {
		name    string
		kind    string
		prepare []string
		to      string
		decide  func(bind func(netip.AddrPort) error) error
		answer  string
		local   string
	}{
		{"errno", "tcp4", nil, "127.7.0.1:7001", func(func(netip.AddrPort) error) error {
			return fmt.Errorf("nothing left: %w", unix.EADDRNOTAVAIL)
		}, "EADDRNOTAVAIL", "0.0.0.0:0"},
		{"source", "tcp4", nil, "127.7.0.1:7001", func(bind func(netip.AddrPort) error) error { return bind(source) }, "ok", source.String()},
		{"source with a port that the kernel does not choose", "tcp4", nil, "127.7.0.1:7001", func(bind func(netip.AddrPort) error) error {
			return bind(netip.MustParseAddrPort("127.0.0.9:2009"))
		}, "ok", "127.0.0.9:2009"},
		{"source, mapped", "tcp6", nil, "[::ffff:127.7.0.1]:7001", func(bind func(netip.AddrPort) error) error { return bind(source) }, "ok", source.String()},
		{"source of another family", "tcp4", nil, "127.7.0.1:7001", func(bind func(netip.AddrPort) error) error {
			return bind(netip.MustParseAddrPort("[::1]:40009"))
		}, "EAFNOSUPPORT", "0.0.0.0:0"},
		{"bound already", "tcp4", []string{"bind s 127.0.0.1:7100"}, "127.7.0.1:7001", func(bind func(netip.AddrPort) error) error {
			return bind(source)
		}, "EINVAL", "127.0.0.1:7100"},
		{"second attempt", "tcp4", []string{"socket other tcp4", "bind other 127.0.0.9:40008"}, "127.7.0.1:7001", func(bind func(netip.AddrPort) error) error {
			if err := bind(netip.MustParseAddrPort("127.0.0.9:40008")); err != unix.EADDRINUSE {
				return fmt.Errorf("first attempt: %v", err)
			}
			return bind(source)
		}, "ok", source.String()},
		{"after bind to an address alone", "tcp4", []string{"option s nolocalport", "bind s 127.0.0.9:0"}, "127.7.0.1:7001", func(bind func(netip.AddrPort) error) error {
			return bind(source)
		}, "ok", source.String()},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			enterNetNS(t)
			startPuppet(t, nil, nil).serve("s", "tcp4", serverAt.String())
			app := startPuppet(t, startBroker(t, &recorder{connect: func(_ context.Context, _ ConnectRequest, bind func(netip.AddrPort) error) error {
				return test.decide(bind)
			}}), nil)
			app.ok("socket s %s", test.kind)
			for _, command := range test.prepare {
				app.ok("%s", command)
			}
			if got := app.do("connect s %s", test.to); got != test.answer {
				t.Fatalf("connect: got %s, want %s", got, test.answer)
			}
			if got := app.ok("name s"); got != test.local {
				t.Errorf("connected from %s, want %s", got, test.local)
			}
		})
	}
}

// The kernel takes back the port of a connection that failed, from a socket that lives on.
func TestFailedConnectGivesItsPortBack(t *testing.T) {
	t.Parallel()
	enterNetNS(t)
	source := netip.MustParseAddrPort("127.0.0.9:40009")
	b := startBroker(t, &recorder{connect: func(_ context.Context, _ ConnectRequest, bind func(netip.AddrPort) error) error {
		return bind(source)
	}})
	app := startPuppet(t, b, nil)
	app.ok("socket s tcp4")
	for range 2 {
		if got := app.do("connect s 127.0.0.1:7002"); got != "ECONNREFUSED" {
			t.Fatalf("connect where nobody listens: got %s, want ECONNREFUSED", got)
		}
	}
	if _, err := unix.GetsockoptInt(listenHere(t, serverAt), unix.SOL_IP, ipLocalPortRange); err != nil {
		t.Skipf("kernel lacks IP_LOCAL_PORT_RANGE (Linux 6.3): %v", err)
	}
	var from []netip.AddrPort
	for _, r := range b.asked() {
		from = append(from, r.Local)
	}
	if want := []netip.AddrPort{netip.MustParseAddrPort("0.0.0.0:0"), netip.MustParseAddrPort("127.0.0.9:0")}; !slices.Equal(from, want) {
		t.Errorf("bound, when asked, to %v, want %v", from, want)
	}
	app.ok("socket other tcp4")
	app.ok("bind other %v", source)
}

// What a socket has behind it is known when it is bound or connects once more.
func TestNeverConnected(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		before []string
		never  bool
	}{
		{"new", nil, true},
		{"refused", []string{"connect s 127.0.0.1:7002"}, true},
		{"connected", []string{"connect s 127.7.0.1:7001", "disconnect s"}, false},
		{"connected, then refused", []string{"connect s 127.7.0.1:7001", "disconnect s", "connect s 127.0.0.1:7002"}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			enterNetNS(t)
			b := startBroker(t, &recorder{})
			startPuppet(t, nil, nil).serve("s", "tcp4", serverAt.String())
			app := startPuppet(t, b, nil)
			app.ok("socket s tcp4")
			for _, command := range test.before {
				app.do("%s", command)
			}
			b.asked()
			app.ok("bind s 127.0.0.1:7100")
			app.ok("connect s 127.7.0.1:7001")
			binds, _ := b.taken()
			if connects := b.asked(); len(binds) != 1 || len(connects) != 1 ||
				binds[0].NeverConnected != test.never || connects[0].NeverConnected != test.never {
				t.Errorf("told of %+v and %+v, want NeverConnected: %v", binds, connects, test.never)
			}
		})
	}
}

// A blocking connect() is the kernel's, so the broker may end meanwhile.
func TestConnectIsNotTheBrokers(t *testing.T) {
	t.Parallel()
	enterNetNS(t)
	nobody := silent(t)
	b := startBroker(t, &recorder{})
	app := startPuppet(t, b, nil)
	app.ok("socket s tcp4")
	app.ok("start connect s %v", nobody)
	d := openDiag(t)
	eventually(t, "SYN is sent", func() bool { return app.connecting(d) })
	b.stop(t)
	app.ok("shutdown s")
	if got := app.do("finish"); got == "ok" {
		t.Error("connect() succeeds where nobody answers")
	}
}

// connecting reports whether any socket of the namespace has sent a SYN without an answer yet.
func (p *process) connecting(d *diagConn) (some bool) {
	p.t.Helper()
	if err := d.dump(statesOf(tcpSynSent), func(diagSocket) { some = true }); err != nil {
		p.t.Fatal(err)
	}
	return some
}

// silent is where connect() gets no answer: its listening socket has taken as many connections
// as it may.
func silent(t testing.TB) netip.AddrPort {
	t.Helper()
	fd := listenHere(t, netip.MustParseAddrPort("127.8.0.1:7001"))
	if err := unix.Listen(fd, 0); err != nil {
		t.Fatal(err)
	}
	s, err := describe(fd)
	if err != nil {
		t.Fatal(err)
	}
	connect(t, clientAt, s.Local)
	// The client's connect() returns before its ACK has got to the queue.
	eventually(t, "queue of the listening socket is full", func() bool {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 0)
		return err == nil && n == 1
	})
	return s.Local
}
