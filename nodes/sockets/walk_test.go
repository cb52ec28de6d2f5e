package sockets

import (
	"net/netip"
	"os"
	"testing"
)

// A walk tells of connections what look-ups tell.
func TestWalk(t *testing.T) {
	t.Parallel()
	enterNetNS(t)
	probes := open(t)
	for i := range probes {
		if i%3 != 0 { // nothing is there
			probes[i].connection.Remote = netip.AddrPortFrom(netip.MustParseAddr("127.0.0.9"), uint16(1000+i))
		}
	}
	want, err := openRemainder(t).lookup(probes)
	if err != nil {
		t.Fatal(err)
	}
	diag, err := dialDiag()
	if err != nil {
		t.Fatal(err)
	}
	defer diag.close()
	m := &Monitor{diag: diag}
	got, err := m.walk(probes)
	if err != nil {
		t.Fatal(err)
	}
	for i := range probes {
		if got[i].state != want[i].state || got[i].cookie != want[i].cookie || probes[i].isAnsweredBy(got[i]) != (i%3 == 0) {
			t.Errorf("%v: the walk tells %+v, the look-up %+v", probes[i].connection, got[i], want[i])
		}
	}
	if both := 2 * maxProbes; m.crowd < both {
		t.Errorf("the walk saw %d sockets, want %d and more", m.crowd, both)
	}
}

func TestWorthWalk(t *testing.T) {
	for name, c := range map[string]struct {
		walkable       bool
		crowd, lookups int
		want           bool
	}{
		"many ends and few connections": {true, 10, 64, true},
		"few ends":                      {true, 10, 63, false},
		"more connections than ends":    {true, 101, 200, false},
		"as many as are worth it":       {true, 100, 200, true},
		"a table of the host":           {false, 10, 64, false},
	} {
		m := &Monitor{walkable: c.walkable, crowd: c.crowd}
		if got := m.worthWalk(c.lookups); got != c.want {
			t.Errorf("%s: worth a walk: %v, want %v", name, got, c.want)
		}
	}
}

// The table is the host's unless the namespace it was made in says otherwise for its children.
func TestHasOwnTable(t *testing.T) {
	t.Parallel()
	enterNetNS(t)
	if hasOwnTable() {
		t.Error("a new namespace has a table of its own without having been given one")
	}
	const forChildren = "/proc/sys/net/ipv4/tcp_child_ehash_entries"
	if _, err := os.Stat(forChildren); err != nil {
		t.Skip("the kernel has no setting tcp_child_ehash_entries")
	}
	if err := os.WriteFile(forChildren, []byte("4096"), 0); err != nil {
		t.Fatal(err)
	}
	enterNetNS(t)
	if !hasOwnTable() {
		t.Error("a namespace with a table of 4096 buckets of its own is not told from others")
	}
}
