package datapath

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/plexlab-dev/plexlab/nodes/contract"
	"github.com/plexlab-dev/plexlab/nodes/vipa"
)

// served says who served each of n connections, in order.
func (l *lab) turns(port uint16, n int) []int {
	l.t.Helper()
	var turns []int
	for range n {
		turns = append(turns, l.served(0, port))
	}
	return turns
}

func want(t testing.TB, what string, want, got any) {
	t.Helper()
	if diff := cmp.Diff(want, got, cmpopts.EquateComparable(netip.Addr{}, netip.AddrPort{})); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func TestRoundRobin(t *testing.T) {
	eachFamily(t, func(t *testing.T, a addresses) {
		l := newLab(t, a, 4)
		for n := 2; n <= 5; n++ {
			l.serve(n, 80)
		}
		p := l.open(Config{})
		apply(t, p, append(l.own(), l.distribute(80, 2, 3, 4))...)
		want(t, "turns of three targets", []int{2, 3, 4, 2, 3, 4, 2}, l.turns(80, 7))

		apply(t, p, l.distribute(80, 2, 3, 4))
		want(t, "turns after the same targets were set again", []int{3, 4}, l.turns(80, 2))
		apply(t, p, l.distribute(80, 2, 3, 4, 5))
		want(t, "turns after a target joined", []int{2, 3, 4, 5, 2, 3}, l.turns(80, 6))
		apply(t, p, l.distribute(80, 2, 3, 5))
		want(t, "turns after the target left whose turn it was", []int{5, 2, 3, 5}, l.turns(80, 4))
		for n := range 8 {
			// One connection between changes: no target comes up twice in a row.
			apply(t, p, l.distribute(80, append([]int{2, 3, 5}, []int{4}[:n%2]...)...))
			l.served(0, 80)
		}
		counters, err := p.Counters()
		if err != nil {
			t.Fatal(err)
		}
		const selections = 7 + 2 + 6 + 4 + 8
		for _, edge := range []string{
			"fig12/140-no->142", "fig12/142-yes->143", "fig12/143-no->145", "fig12/145-yes->144", "fig12/144->146", "fig12/146->150",
			"fig08/802-no->806", "fig08/806-yes->810", "fig08/810->812", "fig08/812->end",
		} {
			if counters[edge] != selections {
				t.Errorf("edge %s was taken by %d packets, want %d", edge, counters[edge], selections)
			}
		}
		if counters["fig12/140-yes->150"] == 0 || counters["fig12/142-no->152"] != 0 {
			t.Errorf("routed %d, conventional %d packets, want some and none", counters["fig12/140-yes->150"], counters["fig12/142-no->152"])
		}
	})
}

func TestWeights(t *testing.T) {
	eachFamily(t, func(t *testing.T, a addresses) {
		l := newLab(t, a, 2)
		l.serve(2, 80)
		l.serve(3, 80)
		p := l.open(Config{})
		apply(t, p, append(l.own(), vipa.SetTargets{Service: l.service(80), Targets: []contract.Target{
			{XCF: l.xcf(2), Weight: 3}, {XCF: l.xcf(3), Weight: 1},
		}})...)
		var of3 int
		for _, n := range l.turns(80, 16) {
			if n == 3 {
				of3++
			}
		}
		want(t, "connections of sixteen to the target with a quarter of the weight", 4, of3)
	})
}

// I7: the routing stack is a target itself. Its connections end like others, and have a CRT
// entry like others.
func TestSelfIsTarget(t *testing.T) {
	eachFamily(t, func(t *testing.T, a addresses) {
		l := newLab(t, a, 1)
		l.serve(1, 80)
		l.serve(2, 80)
		p := l.open(Config{})
		apply(t, p, append(l.own(), l.distribute(80, 1, 2))...)
		want(t, "turns", []int{1, 2, 1, 2}, l.turns(80, 4))

		c, err := l.connect(0, 80)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		held := contract.Connection{Remote: addrPort(c), Local: l.service(80)}
		apply(t, p, vipa.AddConnections{Target: l.xcf(1), Connections: []contract.Connection{held}})
		want(t, "entry of a local connection", Entry{Source: held.Remote, DVIPA: held.Local, Target: l.xcf(1)}, find(t, p, held))
		if err := c.echo(); err != nil {
			t.Error("local connection:", err)
		}
		if count(t, p, "I7") == 0 {
			t.Error("no packet of a local connection was counted as I7")
		}
	})
}

// A port that nobody listens on is answered by the owner itself (T4), one with a target
// without listener by the target.
func TestNoService(t *testing.T) {
	eachFamily(t, func(t *testing.T, a addresses) {
		l := newLab(t, a, 1)
		p := l.open(Config{})
		apply(t, p, l.own()...)
		if _, err := l.connect(0, 81); !refused(err) {
			t.Errorf("connection to a port without a service: %v, want refused", err)
		}
		want(t, "requests that took 145-no", uint64(1), count(t, p, "fig12/145-no->152"))
		want(t, "requests that took 806-no", uint64(1), count(t, p, "fig08/806-no->808"))
		want(t, "entries", 0, len(entries(t, p)))
	})
}

// T5, I1: a unique port goes to its holder past the selection, later segments too.
func TestUniquePort(t *testing.T) {
	eachFamily(t, func(t *testing.T, a addresses) {
		l := newLab(t, a, 2)
		l.serve(2, 80)
		l.serve(3, 80)
		p := l.open(Config{})
		apply(t, p, append(l.own(), l.distribute(80, 2, 3), vipa.SetUnique{Service: l.service(80), Target: l.xcf(3)})...)
		want(t, "turns of a unique port", []int{3, 3, 3}, l.turns(80, 3))
		want(t, "requests that took 143-yes", uint64(3), count(t, p, "fig12/143-yes->150"))
		want(t, "entry with source zero", Entry{
			Source: netip.AddrPortFrom(l.zero(), 0), DVIPA: l.service(80), Target: l.xcf(3), Unique: true,
		}, entries(t, p)[0])

		c, err := l.connect(0, 80)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		apply(t, p, vipa.SetUnique{Service: l.service(80)})
		if err := c.echo(); err != nil {
			t.Error("connection to a port that is not unique any more:", err)
		}
		want(t, "turns of the port, now distributed", []int{2, 3}, l.turns(80, 2))
	})
}

// I2: connections outlive the DPT entry that they came by.
func TestServiceEnds(t *testing.T) {
	eachFamily(t, func(t *testing.T, a addresses) {
		l := newLab(t, a, 1)
		l.serve(2, 80)
		p := l.open(Config{})
		apply(t, p, append(l.own(), l.distribute(80, 2))...)
		c, err := l.connect(0, 80)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		apply(t, p, l.distribute(80))
		if err := c.echo(); err != nil {
			t.Error("connection after its service ended:", err)
		}
		if _, err := l.connect(0, 80); !refused(err) {
			t.Errorf("connection to a service that ended: %v, want refused", err)
		}
	})
}
