package sockets

import (
	"context"
	"fmt"
	"net/netip"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"golang.org/x/sys/unix"
)

var compareAddresses = cmpopts.EquateComparable(netip.AddrPort{}, netip.Addr{})

func TestListenIsReportedBeforeItReturns(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name    string
		prepare []string
		local   string // port 0: any
		v6Only  bool
	}{
		{"IPv4", []string{"socket s tcp4", "bind s 127.0.0.2:7001"}, "127.0.0.2:7001", false},
		{"IPv4 any address", []string{"socket s tcp4", "bind s 0.0.0.0:7001"}, "0.0.0.0:7001", false},
		{"IPv6", []string{"socket s tcp6", "bind s [::1]:7001"}, "[::1]:7001", true},
		{"IPv6 any address", []string{"socket s tcp6", "bind s [::]:7001"}, "[::]:7001", false},
		{"IPv6 only", []string{"socket s tcp6", "option s v6only", "bind s [::]:7001"}, "[::]:7001", true},
		{"IPv4 mapped", []string{"socket s tcp6", "bind s [::ffff:127.0.0.1]:7001"}, "127.0.0.1:7001", false},
		{"never bound", []string{"socket s tcp4"}, "0.0.0.0:0", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			enterNetNS(t)
			b := startBroker(t, &recorder{})
			app := startPuppet(t, b, nil)
			for _, command := range test.prepare {
				app.ok("%s", command)
			}
			app.ok("listen s")
			binds, got := b.taken()
			if test.name == "never bound" && (len(binds) != 1 || binds[0].Address != netip.MustParseAddrPort("0.0.0.0:0")) {
				t.Errorf("listen() without bind() asked for %v, want one bind to any port of 0.0.0.0", binds)
			}

			cookie, err := strconv.ParseUint(app.ok("cookie s"), 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			local := netip.MustParseAddrPort(test.local)
			if local.Port() == 0 {
				local = netip.MustParseAddrPort(app.ok("name s"))
			}
			// The launcher has become the application, so it has the same process ID.
			want := []Socket{{Cookie: cookie, Local: local, V6Only: test.v6Only, Application: "APPA", PID: app.cmd.Process.Pid}}
			if diff := cmp.Diff(want, got, compareAddresses); diff != "" {
				t.Errorf("reported by the time listen() returned (-want +got):\n%s", diff)
			}

			app.ok("listen s") // a change of the backlog
			if _, again := b.taken(); len(again) != 0 {
				t.Errorf("second listen() reported again: %v", again)
			}
			app.ok("shutdown s")
			app.ok("listen s")
			if _, again := b.taken(); len(again) != 1 || again[0].Cookie != cookie {
				t.Errorf("listen() after shutdown() reported as %v, want cookie %d", again, cookie)
			}
		})
	}
}

func TestBindRequest(t *testing.T) {
	t.Parallel()
	enterNetNS(t)
	b := startBroker(t, &recorder{})
	app := startPuppet(t, b, nil)
	for _, command := range []string{
		"socket a tcp4", "bind a 127.0.0.1:0",
		"socket b tcp6", "bind b [::ffff:127.0.0.1]:7002",
		"socket c tcp6", "option c v6only", "bind c [::]:7003",
	} {
		app.ok("%s", command)
	}
	got, _ := b.taken()
	want := []BindRequest{
		{Address: netip.MustParseAddrPort("127.0.0.1:0")},
		{Address: netip.MustParseAddrPort("127.0.0.1:7002")},
		{Address: netip.MustParseAddrPort("[::]:7003"), V6Only: true},
	}
	for i, name := range []string{"a", "b", "c"} {
		want[i].Cookie, _ = strconv.ParseUint(app.ok("cookie %s", name), 10, 64)
		want[i].Application, want[i].PID, want[i].NeverConnected = "APPA", app.cmd.Process.Pid, true
	}
	if diff := cmp.Diff(want, got, compareAddresses); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
}

// What the kernel answers without a broker is what it answers through one.
func TestErrorsAreTheKernels(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name     string
		commands []string // the last one's answer counts
	}{
		{"success", []string{"socket s tcp4", "bind s 127.0.0.1:7001"}},
		{"address in use", []string{"socket r tcp4", "bind r 127.0.0.1:7001", "listen r", "socket s tcp4", "bind s 127.0.0.1:7001"}},
		{"in use at listen", []string{"socket r tcp4", "option r reuseaddr", "bind r 127.0.0.1:7001", "socket s tcp4", "option s reuseaddr", "bind s 127.0.0.1:7001", "listen r", "listen s"}},
		{"no such address", []string{"socket s tcp4", "bind s 192.0.2.1:7001"}},
		{"no such address of a link", []string{"socket s tcp6", "bind s [fe80::1%1]:7001"}},
		{"bound already", []string{"socket s tcp4", "bind s 127.0.0.1:7001", "bind s 127.0.0.1:7002"}},
		{"wrong family", []string{"socket s tcp4", "bind s [::1]:7001"}},
		{"IPv4 to an IPv6 socket", []string{"socket s tcp6", "bind s 127.0.0.1:7001"}},
		{"address too short", []string{"socket s tcp4", "bindraw s 15"}},
		{"no address", []string{"socket s tcp4", "bindraw s 0"}},
		{"address longer than needed", []string{"socket s tcp4", "bindraw s 28"}},
		{"address too long", []string{"socket s tcp4", "bindraw s 129"}},
		{"negative length", []string{"socket s tcp4", "bindraw s -1"}},
		{"bad pointer", []string{"socket s tcp4", "bindfault s"}},
		{"bad descriptor", []string{"bind none 127.0.0.1:7001"}},
		{"listen on a bad descriptor", []string{"listen none"}},
		{"UDP", []string{"socket s udp4", "bind s 127.0.0.1:7001"}},
		{"listen on UDP", []string{"socket s udp4", "listen s"}},
		{"Unix socket", []string{"socket s unix", "bind s unix:@sockets-test", "listen s"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			enterNetNS(t)
			b := startBroker(t, &recorder{})
			brokered, bare := startPuppet(t, b, nil), startPuppet(t, nil, nil)
			var want, got string
			for _, command := range test.commands {
				want = bare.do("%s", command)
			}
			bare.kill() // frees the port
			for _, command := range test.commands {
				got = brokered.do("%s", command)
			}
			if got != want {
				t.Errorf("%s: got %s, want %s", test.commands[len(test.commands)-1], got, want)
			}
		})
	}
}

func TestHandlerDecides(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		socket string
		ask    string
		decide func(BindRequest, func(netip.AddrPort) error) error
		answer string
		local  string
	}{
		{"errno", "tcp4", "127.0.0.1:0", func(BindRequest, func(netip.AddrPort) error) error {
			return fmt.Errorf("not in this plex: %w", unix.EADDRNOTAVAIL)
		}, "EADDRNOTAVAIL", ""},
		{"error without errno", "tcp4", "127.0.0.1:0", func(BindRequest, func(netip.AddrPort) error) error {
			return fmt.Errorf("defect")
		}, "EIO", ""},
		{"another port", "tcp4", "127.0.0.1:0", func(r BindRequest, perform func(netip.AddrPort) error) error {
			return perform(netip.AddrPortFrom(r.Address.Addr(), 7009))
		}, "ok", "127.0.0.1:7009"},
		{"another port of IPv6", "tcp6", "[::1]:0", func(r BindRequest, perform func(netip.AddrPort) error) error {
			return perform(netip.AddrPortFrom(r.Address.Addr(), 7009))
		}, "ok", "[::1]:7009"},
		{"another address, mapped", "tcp6", "[::]:7008", func(r BindRequest, perform func(netip.AddrPort) error) error {
			return perform(netip.MustParseAddrPort("127.0.0.5:7009"))
		}, "ok", "127.0.0.5:7009"},
		{"address of another family", "tcp4", "127.0.0.1:0", func(r BindRequest, perform func(netip.AddrPort) error) error {
			return perform(netip.MustParseAddrPort("[::1]:7009"))
		}, "EAFNOSUPPORT", ""},
		{"second attempt", "tcp4", "127.0.0.1:0", func(r BindRequest, perform func(netip.AddrPort) error) error {
			if err := perform(netip.MustParseAddrPort("192.0.2.1:7009")); err != unix.EADDRNOTAVAIL {
				return fmt.Errorf("first attempt: %v", err)
			}
			return perform(netip.MustParseAddrPort("127.0.0.3:7009"))
		}, "ok", "127.0.0.3:7009"},
		{"any port", "tcp4", "127.0.0.1:0", func(r BindRequest, perform func(netip.AddrPort) error) error {
			return perform(r.Address)
		}, "ok", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			enterNetNS(t)
			r := &recorder{bind: func(_ context.Context, r BindRequest, perform func(netip.AddrPort) error) error {
				return test.decide(r, perform)
			}}
			b := startBroker(t, r)
			app := startPuppet(t, b, nil)
			app.ok("socket s %s", test.socket)
			if got := app.do("bind s %s", test.ask); got != test.answer {
				t.Fatalf("bind: got %s, want %s", got, test.answer)
			}
			if test.answer != "ok" {
				return
			}
			got := app.ok("name s")
			if test.local != "" && got != test.local {
				t.Errorf("bound to %s, want %s", got, test.local)
			}
			r.mu.Lock()
			defer r.mu.Unlock()
			if len(r.bound) != 1 || r.bound[0].String() != got {
				t.Errorf("the handler is told of %v, want %s", r.bound, got)
			}
		})
	}
}

func TestChildrenInherit(t *testing.T) {
	t.Parallel()
	enterNetNS(t)
	b := startBroker(t, &recorder{})
	app := startPuppet(t, b, nil)
	for _, command := range []string{"socket s tcp4", "bind s 127.0.0.1:7001", "listen s"} {
		app.ok("child %s", command)
	}
	_, got := b.taken()
	if len(got) != 1 || got[0].Application != "APPA" || got[0].PID == app.cmd.Process.Pid {
		t.Errorf("got %v, want one socket of APPA and of another process than %d", got, app.cmd.Process.Pid)
	}
}

func TestSlowDecisionDelaysNobodyElse(t *testing.T) {
	t.Parallel()
	enterNetNS(t)
	release, held := make(chan struct{}), make(chan struct{})
	b := startBroker(t, &recorder{listening: func(_ context.Context, s Socket) {
		if s.Local.Port() == 7001 {
			close(held)
			<-release
		}
	}})
	app := startPuppet(t, b, nil)
	app.ok("socket slow tcp4")
	app.ok("bind slow 127.0.0.1:7001")
	app.ok("start listen slow")
	<-held
	app.serve("quick", "tcp4", "127.0.0.1:7002") // another thread of the same application
	startPuppet(t, b, nil).serve("quick", "tcp4", "127.0.0.1:7003")
	close(release)
	app.ok("finish")
}

// Sockets of another network namespace are none of this stack's.
func TestAnotherNetworkNamespace(t *testing.T) {
	t.Parallel()
	enterNetNS(t)
	b := startBroker(t, &recorder{})
	app := startPuppet(t, b, nil)
	app.ok("leave")
	app.serve("s", "tcp4", "0.0.0.0:7001")
	if binds, listens := b.taken(); len(binds)+len(listens) != 0 {
		t.Errorf("got %v and %v, want nothing", binds, listens)
	}
}

// A Go program listens from many threads at once, and its runtime interrupts its own calls.
func TestManyThreads(t *testing.T) {
	t.Parallel()
	enterNetNS(t)
	b := startBroker(t, &recorder{})
	startPuppet(t, b, nil).ok("storm 127.0.0.1:0 100")
	binds, listens := b.taken()
	// Go's net package itself binds some sockets to find out what the kernel can do.
	if len(binds) < 1600 || len(listens) != 1600 {
		t.Errorf("got %d binds and %d listens, want 1600 of each", len(binds), len(listens))
	}
}

func TestApplicationsOutliveTheirBroker(t *testing.T) {
	t.Parallel()
	enterNetNS(t)
	b := startBroker(t, &recorder{})
	app := startPuppet(t, b, nil)
	app.ok("socket s tcp4")
	app.ok("bind s 127.0.0.1:7001")
	b.stop(t)
	if got := app.do("listen s"); got != "ENOSYS" {
		t.Errorf("listen without a broker: got %s, want ENOSYS", got)
	}
}

// Not parallel: it counts the descriptors of the whole process.
func TestNoDescriptorIsLeftBehind(t *testing.T) {
	enterNetNS(t)
	inBind := make(chan struct{})
	b := startBroker(t, &recorder{bind: func(ctx context.Context, r BindRequest, perform func(netip.AddrPort) error) error {
		if r.Address.Port() != 7001 {
			return perform(r.Address)
		}
		close(inBind)
		<-ctx.Done()
		return ctx.Err()
	}})
	// The runtime's poller opens its own on first use, the broker's session is one more use.
	startPuppet(t, b, nil).kill()
	before := openDescriptors(t)

	killedInCall := startPuppet(t, b, nil)
	killedInCall.ok("socket s tcp4")
	fmt.Fprintln(killedInCall.in, "bind s 127.0.0.1:7001")
	<-inBind
	killedInCall.kill()
	ended := startPuppet(t, b, nil)
	ended.ok("storm 127.0.0.1:0 20")
	ended.in.Close()
	if err := ended.cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	eventually(t, fmt.Sprintf("at most %d descriptors open, as before", before), func() bool {
		return openDescriptors(t) <= before
	})
	b.stop(t)
	// The broker's own socket and its view of the privileged ports go too.
	eventually(t, fmt.Sprintf("at most %d descriptors open without the broker", before-2), func() bool {
		return openDescriptors(t) <= before-2
	})
}
