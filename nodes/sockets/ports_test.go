package sockets

import (
	"cmp"
	"net/netip"
	"slices"
	"testing"

	diff "github.com/google/go-cmp/cmp"
)

// Whatever a socket does, its port is in use, and no other is.
func TestPortsInUse(t *testing.T) {
	t.Parallel()
	enterNetNS(t)
	m := startMonitor(t, MonitorConfig{})
	if !m.seesBound {
		t.Skip("kernel does not tell of sockets that are bound and nothing more (Linux 6.8)")
	}
	d := openDiag(t)
	nobody := silent(t)
	peer, app := startPuppet(t, nil, nil), startPuppet(t, nil, nil)
	peer.serve("l", "tcp4", "127.0.0.1:7100")
	for _, command := range []string{
		"socket bound tcp4", "bind bound 127.7.0.1:1",
		"socket bound6 tcp6", "bind bound6 [::1]:2",
		"socket mapped tcp6", "bind mapped [::ffff:127.7.0.1]:3",
		"socket listening tcp4", "bind listening 127.7.0.1:4", "listen listening",
		"socket stopped tcp4", "bind stopped 127.7.0.1:5", "listen stopped", "shutdown stopped",
		"socket connected tcp4", "bind connected 127.7.0.1:6", "connect connected 127.0.0.1:7100",
		"socket connecting tcp4", "bind connecting 127.7.0.1:7", "nonblocking connecting",
		"socket remnant tcp4", "bind remnant 127.7.0.1:8", "connect remnant 127.0.0.1:7100",
		"socket requested tcp4", "option requested deferaccept", "bind requested 127.7.0.1:9", "listen requested",
		"socket ended tcp4", "bind ended 127.7.0.1:10", "connect ended 127.0.0.1:7100", "reset ended",
		"socket closed tcp4", "bind closed 127.7.0.1:11", "close closed",
		"socket elsewhere tcp4", "bind elsewhere 127.0.0.2:12",
		"socket everywhere tcp4", "bind everywhere 0.0.0.0:13",
		"socket unbound tcp4",
	} {
		app.ok("%s", command)
	}
	app.do("connect connecting %v", nobody)
	connect(t, clientAt, netip.MustParseAddrPort("127.7.0.1:9"))
	for _, c := range []string{"first", "second", "third"} { // connected, remnant, ended
		peer.ok("accept l %s", c)
	}
	app.ok("close remnant")
	peer.ok("readend second")
	peer.ok("close second")
	remnant := Connection{Local: netip.MustParseAddrPort("127.7.0.1:8"), Remote: netip.MustParseAddrPort("127.0.0.1:7100")}
	eventually(t, "the remnant", func() bool { return state(t, d, remnant) == tcpTimeWait })
	app.ok("close requested") // what is left of it are its requests
	inUse := func(relevant func(netip.Addr) bool) (all []string) {
		used, err := m.PortsInUse(relevant)
		if err != nil {
			t.Fatal(err)
		}
		var sorted []netip.AddrPort
		for local := range used {
			sorted = append(sorted, local)
		}
		slices.SortFunc(sorted, func(a, b netip.AddrPort) int { return cmp.Compare(a.Port(), b.Port()) })
		for _, local := range sorted {
			all = append(all, local.String())
		}
		return all
	}
	want := []string{
		"127.7.0.1:1", "[::1]:2", "127.7.0.1:3", "127.7.0.1:4", "127.7.0.1:5", "127.7.0.1:6", "127.7.0.1:7", "127.7.0.1:8", "127.7.0.1:9",
	}
	if d := diff.Diff(want, inUse(relevantInTests)); d != "" {
		t.Errorf("relevant ports in use (-want +got):\n%s", d)
	}
	if got := inUse(netip.Addr.IsUnspecified); !slices.Contains(got, "0.0.0.0:13") {
		t.Errorf("in use on every address: %v, want port 13 among them", got)
	}
}

// Where the kernel does not tell of sockets that are bound and nothing more, those named count.
func TestPortsInUseByName(t *testing.T) {
	t.Parallel()
	enterNetNS(t)
	m := startMonitor(t, MonitorConfig{})
	m.seesBound = false
	app := startPuppet(t, nil, nil)
	app.ok("socket s tcp4")
	app.ok("bind s %v", serverAt)
	cookie := app.cookie("s")
	m.Bound(cookie, serverAt)
	m.compareBound()
	for _, open := range []bool{true, false} {
		used, err := m.PortsInUse(relevantInTests)
		if err != nil {
			t.Fatal(err)
		}
		if _, got := used[serverAt]; got != open {
			t.Errorf("open %v: ports in use are %v", open, used)
		}
		app.do("close s")
		eventually(t, "end of the socket is told", func() bool { return m.closings()[cookie] == 1 })
	}
}

// What is told from the version of the kernel is what it does.
func TestProbeBoundByVersion(t *testing.T) {
	t.Parallel()
	enterNetNS(t)
	d := openDiag(t)
	sees, err := d.probeBound()
	if err != nil {
		t.Fatal(err)
	}
	if probed, err := d.findBound(); err != nil || probed != sees {
		t.Errorf("a socket that is bound is found: %t, %v, want %t", probed, err, sees)
	}
	if !isLinux(2, 6) || isLinux(1<<20, 0) {
		t.Error("the version of the kernel is not read")
	}
}
