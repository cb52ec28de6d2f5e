package sockets

import (
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// closings is how often the end of each socket was told.
func (m *testMonitor) closings() map[uint64]int {
	times := map[uint64]int{}
	for _, e := range m.all() {
		if closed, ok := e.(SocketClosed); ok {
			times[closed.Cookie]++
		}
	}
	return times
}

// Only the last of all references to a socket counts, and its end is told once, with what is known of
// its connections.
func TestSocketClosed(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name  string
		kind  string
		steps []string // of which the last one lets go of it
		// connected: a connection of it was established.
		connected bool
	}{
		{"close", "tcp4", []string{"close s"}, false},
		{"close, IPv6", "tcp6", []string{"close s"}, false},
		{"killed", "tcp4", []string{"kill"}, false},
		{"one of several descriptors", "tcp4", []string{"dup s t", "dup s u", "close s", "close u", "close t"}, false},
		{"shared with a child", "tcp4", []string{"bequeath s", "close s", "child close inherited"}, false},
		{"shared with a child that is killed", "tcp4", []string{"bequeath s", "close s", "kill"}, false},
		{"on its way to another process", "tcp4", []string{"pass s way", "close s", "close way"}, false},
		{"listens", "tcp4", []string{"listen s", "shutdown s", "listen s", "close s"}, false},
		{"aborted", "tcp4", []string{"connect s 127.0.0.1:7002", "reset s"}, true},
		{"connected", "tcp4", []string{"connect s 127.0.0.1:7002", "close s"}, true},
		{"connected and killed", "tcp4", []string{"connect s 127.0.0.1:7002", "kill"}, true},
		{"connected to one that closes first", "tcp4", []string{"connect s 127.0.0.1:7004", "readend s", "close s"}, true},
		{"connected to one that closes first, the end told before", "tcp4", []string{"connect s 127.0.0.1:7004", "readend s", "shutdown s", "close s"}, true},
		{"connected once, and refused", "tcp4", []string{"connect s 127.0.0.1:7002", "disconnect s", "refused s 127.0.0.1:7003", "close s"}, true},
		{"connecting", "tcp4", []string{"nonblocking s", "refused s 127.8.0.1:7001", "close s"}, false},
		{"no route", "tcp4", []string{"refused s 198.51.100.1:7001", "close s"}, false},
		{"refused, not told yet", "tcp4", []string{"nonblocking s", "refused s 127.0.0.1:7003", "close s"}, false},
		{"refused, told by the socket", "tcp4", []string{"nonblocking s", "refused s 127.0.0.1:7003", "writable s", "pending s", "close s"}, false},
		{"refused and connected", "tcp4", []string{"refused s 127.0.0.1:7003", "connect s 127.0.0.1:7002", "close s"}, true},
		{"refused", "tcp4", []string{"refused s 127.0.0.1:7003", "close s"}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			enterNetNS(t)
			m := startMonitor(t, MonitorConfig{})
			listenHere(t, netip.MustParseAddrPort("127.0.0.1:7002"))
			silent(t)
			closeAccepted(t, listenHere(t, netip.MustParseAddrPort("127.0.0.1:7004")))
			app := startPuppet(t, nil, nil)
			local := map[string]netip.AddrPort{"tcp4": serverAt, "tcp6": netip.MustParseAddrPort("[::1]:7001")}[test.kind]
			app.ok("socket s %s", test.kind)
			app.ok("bind s %v", local)
			cookie := app.cookie("s")
			m.Bound(cookie, local)
			for _, step := range test.steps {
				m.settle()
				if told := m.closings(); told[cookie] != 0 {
					t.Fatalf("told to be closed before %s", step)
				}
				if step == "kill" {
					app.kill()
				} else if command, refused := strings.CutPrefix(step, "refused"); refused {
					app.do("connect%s", command)
				} else {
					app.ok("%s", step)
				}
			}
			eventually(t, "end of the socket is told", func() bool {
				return m.index(func(e Event) bool { return e == SocketClosed{cookie, local, !test.connected} }) >= 0
			})
			m.settle()
			if told := m.closings(); told[cookie] != 1 || len(told) != 1 {
				t.Errorf("told as often, by cookie: %v, want %d once", told, cookie)
			}
		})
	}
}

// closeAccepted closes the connections that a listening socket accepts, until that is closed.
func closeAccepted(t *testing.T, l int) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			fd, _, err := unix.Accept4(l, unix.SOCK_CLOEXEC)
			if err != nil {
				return
			}
			unix.Close(fd)
		}
	}()
	t.Cleanup(func() {
		_ = unix.Shutdown(l, unix.SHUT_RDWR)
		<-done
	})
}

// Of a socket whose address does not matter the end is told too: it mattered when it was bound.
func TestSocketClosedAtAnAddressThatMattersNoMore(t *testing.T) {
	t.Parallel()
	enterNetNS(t)
	m := startMonitor(t, MonitorConfig{})
	l := listenHere(t, netip.MustParseAddrPort("127.0.0.1:7002"))
	c := connect(t, netip.MustParseAddrPort("127.0.0.3:7003"), netip.MustParseAddrPort("127.0.0.1:7002"))
	accepted, _, err := unix.Accept4(l, unix.SOCK_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	s, err := describe(c.fd)
	if err != nil {
		t.Fatal(err)
	}
	m.Bound(s.Cookie, s.Local)
	unix.Close(accepted) // first, so that nothing is left of the other
	c.close()
	eventually(t, "end of the socket is told", func() bool { return m.closings()[s.Cookie] == 1 })
}

// Sockets whose events do not fit into the kernel's buffer are missed by a look, and those that
// are bound and nothing more are seen by it.
func TestSocketsClosedWhileEventsOverflow(t *testing.T) {
	t.Parallel()
	enterNetNS(t)
	var delivering sync.RWMutex // held for writing, nobody reads events
	m := startMonitor(t, MonitorConfig{ReceiveBuffer: 1, Deliver: func(Event) {
		delivering.RLock()
		defer delivering.RUnlock()
	}})
	if !m.seesBound {
		t.Skip("kernel does not tell of sockets that are bound and nothing more (Linux 6.8)")
	}
	const n = 400
	fds, cookies := map[uint64]int{}, []uint64{}
	for i := range n {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		if err := unix.Bind(fd, unixAddress(netip.AddrPortFrom(serverAt.Addr(), uint16(10000+i)))); err != nil {
			t.Fatal(err)
		}
		s, err := describe(fd)
		if err != nil {
			t.Fatal(err)
		}
		m.Bound(s.Cookie, s.Local)
		fds[s.Cookie] = fd
		cookies = append(cookies, s.Cookie)
	}
	const left = 10 // of them stay open
	delivering.Lock()
	for _, cookie := range cookies[left:] {
		if err := unix.Close(fds[cookie]); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "the kernel drops events", func() bool { return droppedEvents(t) > 0 })
	delivering.Unlock()
	t.Cleanup(func() {
		for _, cookie := range cookies[:left] {
			unix.Close(fds[cookie])
		}
	})
	eventually(t, fmt.Sprintf("end of %d sockets is told", n-left), func() bool { return len(m.closings()) >= n-left })
	told := m.closings()
	for i, cookie := range cookies {
		if want := map[bool]int{true: 0, false: 1}[i < left]; told[cookie] != want {
			t.Errorf("end of socket %d told %d times, want %d", i, told[cookie], want)
		}
	}
}
