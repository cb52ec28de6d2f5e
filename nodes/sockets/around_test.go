package sockets

import (
	"context"
	"fmt"
	"net/netip"
	"testing"
)

// What would go around the broker is refused, and really works without one.
func TestWaysAroundAreClosed(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name     string
		commands []string // the last one's answer counts
		want     string
		// needed: what a process without a broker must get to see, else this kernel lacks the way.
		needed string
	}{
		{"io_uring", []string{"uring"}, "ENOSYS", ""},
		{"MPTCP", []string{"socket s mptcp4"}, "EPROTONOSUPPORT", "ok"},
		{"sendto", []string{"socket s tcp4", "fastopen s sendto"}, "ENOTSUP", "ok"},
		{"sendmsg", []string{"socket s tcp4", "fastopen s sendmsg"}, "ENOTSUP", "ok"},
		{"sendmmsg", []string{"socket s tcp4", "fastopen s sendmmsg"}, "ENOTSUP", "ok"},
		{"sendto, IPv6", []string{"socket s tcp6", "fastopen s sendto"}, "ENOTSUP", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			enterNetNS(t)
			b := startBroker(t, &recorder{})
			startPuppet(t, nil, nil).serve("s", "tcp4", "127.0.0.1:7001")
			brokered, bare := startPuppet(t, b, nil), startPuppet(t, nil, nil)
			var around, got string
			for _, command := range test.commands {
				around, got = bare.do("%s", command), brokered.do("%s", command)
			}
			if test.needed != "" && around != test.needed {
				t.Skipf("this kernel has no such way around a broker: it answers %s by itself", around)
			}
			if got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
			if connects := b.asked(); len(connects) != 0 {
				t.Errorf("handler was asked: %v", connects)
			}
		})
	}
}

// System calls of 32-bit programs have other numbers, so all of them are refused.
func TestCallsOf32BitPrograms(t *testing.T) {
	t.Parallel()
	enterNetNS(t)
	bare := startPuppet(t, nil, nil)
	fmt.Fprintln(bare.in, "call32")
	if !bare.out.Scan() || bare.out.Text() != "ok" {
		t.Skipf("kernel or architecture has no such calls: %q", bare.out.Text())
	}
	if got := startPuppet(t, startBroker(t, &recorder{}), nil).do("call32"); got != "ENOSYS" {
		t.Errorf("got %s, want ENOSYS", got)
	}
}

// A socket without a port comes to the handler when listen() would choose one, whatever it tells
// of the port that it had.
func TestListenChoosesNoPortItself(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name    string
		prepare []string
	}{
		{"bound to an address alone", []string{"option s nolocalport", "bind s 127.7.0.1:0"}},
		{"connect() has failed", []string{"connect s 127.0.0.1:7002"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			enterNetNS(t)
			b := startBroker(t, &recorder{connect: func(_ context.Context, _ ConnectRequest, bind func(netip.AddrPort) error) error {
				return bind(outboundFrom)
			}})
			app := startPuppet(t, b, nil)
			app.ok("socket s tcp4")
			for _, command := range test.prepare {
				app.do("%s", command)
			}
			b.taken()
			app.ok("listen s")
			binds, listens := b.taken()
			if len(binds) != 1 || binds[0].Address != serverAny || len(listens) != 1 || listens[0].Local.Port() == 0 {
				t.Errorf("listen() asked for %v and was reported as %v, want one bind to any port of %v", binds, listens, serverAny.Addr())
			}
		})
	}
}
