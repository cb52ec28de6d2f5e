package datapath

import (
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/plexlab-dev/plexlab/nodes/contract"
	"github.com/plexlab-dev/plexlab/nodes/vipa"
)

func addrPort(c connection) netip.AddrPort { return c.LocalAddr().(*net.TCPAddr).AddrPort() }

// The connections of a DVIPA that this stack owns no more go with it, those of another one stay.
func TestWithdrawTakesConnections(t *testing.T) {
	eachFamily(t, func(t *testing.T, a addresses) {
		l := newLab(t, a, 1)
		p := l.open(Config{})
		other := a
		other.dvipa = a.outside(91)
		apply(t, p, append(other.own(), a.own()...)...)
		apply(t, p, a.add(2, 4000), a.add(1, 4001), other.add(2, 4000), other.add(1, 4001))
		apply(t, p, vipa.Withdraw{DVIPA: a.dvipa}, a.add(2, 4002))
		left := make(map[contract.Connection]netip.Addr)
		for _, e := range entries(t, p) {
			left[contract.Connection{Remote: e.Source, Local: e.DVIPA}] = e.Target
		}
		want(t, "connections left", map[contract.Connection]netip.Addr{
			other.from(4000): l.xcf(2), other.from(4001): l.xcf(1), a.from(4002): l.xcf(2),
		}, left)
		want(t, "connections of this stack left", 1, size(t, p, a.figure(p).local))
		apply(t, p, vipa.Withdraw{DVIPA: a.dvipa}) // which it does not own
		want(t, "connections after it was withdrawn again", 3, len(entries(t, p)))
	})
}

// find is the entry of a connection, the zero Entry where there is none.
func find(t testing.TB, p *Path, c contract.Connection) Entry {
	t.Helper()
	for _, e := range entries(t, p) {
		if e.Source == c.Remote && e.DVIPA == c.Local {
			return e
		}
	}
	return Entry{}
}

// onBothKernels runs a test with and without the renewal of timeouts that Linux 6.12 brought.
func onBothKernels(t *testing.T, fn func(t *testing.T, l *lab, p *Path)) {
	for _, renews := range []bool{true, false} {
		name := map[bool]string{true: "renewal", false: "no renewal"}[renews]
		t.Run(name, func(t *testing.T) {
			eachFamily(t, func(t *testing.T, a addresses) { onKernel(t, newLab(t, a, 2), renews, fn) })
		})
	}
}

func onKernel(t *testing.T, l *lab, renews bool, fn func(t *testing.T, l *lab, p *Path)) {
	t.Helper()
	p := l.open(Config{Embryonic: 2 * time.Second, Ended: time.Second})
	if renews && !p.renews {
		t.Skip("this kernel keeps the timeout of an element that is put again")
	}
	p.renews = renews
	apply(t, p, append(l.own(), l.distribute(80, 2, 3))...)
	fn(t, l, p)
}

// 164: what selection made for a while stays once the target reports the connection.
func TestConfirmedConnectionStays(t *testing.T) {
	t.Parallel()
	onBothKernels(t, func(t *testing.T, l *lab, p *Path) {
		l.serve(2, 80)
		l.serve(3, 80)
		confirmed, err := l.connect(0, 80)
		if err != nil {
			t.Fatal(err)
		}
		defer confirmed.Close()
		forgotten, err := l.connect(0, 80)
		if err != nil {
			t.Fatal(err)
		}
		defer forgotten.Close()
		if e := find(t, p, l.from(confirmed.source())); e.Expires <= 0 || e.Expires > 2*time.Second {
			t.Errorf("entry of a new connection expires in %v, want within 2s", e.Expires)
		}
		apply(t, p, l.add(confirmed.served, confirmed.source()))
		want(t, "life of the confirmed entry", time.Duration(0), find(t, p, l.from(confirmed.source())).Expires)
		eventually(t, patience, "the entry that was not confirmed expires", func() bool { return len(entries(t, p)) == 1 })
		if err := confirmed.echo(); err != nil {
			t.Error("confirmed connection:", err)
		}
		if err := forgotten.echo(); err == nil {
			t.Error("a connection without an entry still reaches its target")
		}
	})
}

// 162: an ended connection's entry routes for a while and is gone then; a new connection of
// the same 4-tuple is selected anew at once.
func TestEndedConnection(t *testing.T) {
	t.Parallel()
	onBothKernels(t, func(t *testing.T, l *lab, p *Path) {
		l.serve(2, 80)
		l.serve(3, 80)
		want(t, "first of the 4-tuple", 2, l.served(4000, 80))
		want(t, "second before the end of the first is known", 2, l.served(4000, 80))
		apply(t, p, l.add(2, 4000))
		apply(t, p, l.end(3, 4000))
		want(t, "life after another target spoke of its end", time.Duration(0), find(t, p, l.from(4000)).Expires)
		apply(t, p, l.end(2, 4000))
		if e := find(t, p, l.from(4000)); e.Expires <= 0 || e.Expires > time.Second {
			t.Errorf("entry of an ended connection expires in %v, want within 1s", e.Expires)
		}
		want(t, "third, after its end", 3, l.served(4000, 80))
		want(t, "fourth, before the end of the third is known", 3, l.served(4000, 80))
		apply(t, p, l.end(2, 4000), l.end(3, 4000))
		eventually(t, patience, "the entry of the ended connection goes", func() bool { return len(entries(t, p)) == 0 })
	})
}

// A TERMCONN that is late, since its addresses and ports are in use again, harms nothing.
func TestLateEnd(t *testing.T) {
	t.Parallel()
	onBothKernels(t, func(t *testing.T, l *lab, p *Path) {
		l.serve(2, 80)
		l.served(4000, 80)
		apply(t, p, l.add(2, 4000))
		c, err := l.connect(4000, 80)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		apply(t, p, l.end(2, 4000))
		if err := c.echo(); err != nil {
			t.Error("connection after the end of its predecessor:", err)
		}
		apply(t, p, l.add(2, 4000))
		want(t, "life of the successor's entry", time.Duration(0), find(t, p, l.from(4000)).Expires)
		if err := c.echo(); err != nil {
			t.Error("connection after it was reported:", err)
		}
	})
}

// A report that selection has overtaken changes nothing; one that the target waits for, or of
// a connection whose entry was reported before, does.
func TestConflictingReports(t *testing.T) {
	t.Parallel()
	onBothKernels(t, func(t *testing.T, l *lab, p *Path) {
		l.serve(2, 80)
		c, err := l.connect(4000, 80)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		apply(t, p, l.add(3, 4000))
		want(t, "target of an entry younger than a report", l.xcf(2), find(t, p, l.from(4000)).Target)
		certain := l.add(3, 4000)
		certain.Acknowledge = 1
		apply(t, p, certain)
		want(t, "target after a report that is waited for", l.xcf(3), find(t, p, l.from(4000)).Target)
		apply(t, p, l.add(2, 4000))
		want(t, "target after the next report", l.xcf(2), find(t, p, l.from(4000)).Target)
		apply(t, p, l.end(2, 4000), l.add(3, 4000))
		want(t, "target after end and report", l.xcf(3), find(t, p, l.from(4000)).Target)
		if err := c.echo(); err == nil {
			t.Error("a connection that was moved away still reaches the first target")
		}
	})
}

// A stack that is gone: its clients get an RST, those of others notice nothing.
func TestDropTarget(t *testing.T) {
	eachFamily(t, func(t *testing.T, a addresses) {
		l := newLab(t, a, 2)
		l.serve(2, 80)
		l.serve(3, 80)
		p := l.open(Config{})
		apply(t, p, append(l.own(), l.distribute(80, 2, 3), vipa.SetUnique{Service: l.service(90), Target: l.xcf(2)})...)
		var many []contract.Connection
		for n := range 5000 {
			many = append(many, contract.Connection{Remote: netip.AddrPortFrom(l.outside(n>>8), 1024+uint16(n&0xff)), Local: l.service(80)})
		}
		lost, err := l.connect(0, 80)
		if err != nil {
			t.Fatal(err)
		}
		defer lost.Close()
		kept, err := l.connect(0, 80)
		if err != nil {
			t.Fatal(err)
		}
		defer kept.Close()
		apply(t, p, vipa.AddConnections{Target: l.xcf(2), Connections: many}, l.add(2, lost.source()), l.add(3, kept.source()))
		want(t, "entries", 5003, len(entries(t, p)))
		apply(t, p, vipa.DropTarget{Target: l.xcf(2)}, l.distribute(80, 3))
		want(t, "entries left", 1, len(entries(t, p)))
		if err := lost.echo(); err == nil {
			t.Error("a connection to a target that is gone goes on")
		}
		if err := kept.echo(); err != nil {
			t.Error("connection to the target that is left:", err)
		}
		want(t, "turns", []int{3, 3}, l.turns(80, 2))
	})
}

// A stack that may come back: its connections go on for a while, for good once it reports them, and
// what it does not report goes.
func TestLetExpire(t *testing.T) {
	t.Parallel()
	onBothKernels(t, func(t *testing.T, l *lab, p *Path) {
		l.serve(2, 80)
		held, err := l.connect(0, 80)
		if err != nil {
			t.Fatal(err)
		}
		defer held.Close()
		apply(t, p, l.add(2, held.source()), l.add(2, 4000))
		if err := p.LetExpire(l.xcf(2), 500*time.Millisecond); err != nil {
			t.Fatal(err)
		}
		if err := held.echo(); err != nil {
			t.Error("connection of a stack that may come back:", err)
		}
		apply(t, p, l.add(2, held.source()))
		eventually(t, patience, "the entry that is not reported again goes", func() bool {
			return len(entries(t, p)) == 1
		})
		if err := held.echo(); err != nil {
			t.Error("connection that was reported again:", err)
		}
	})
}

// A full CRT drops new connections, and routes and confirms those it has.
func TestFullTable(t *testing.T) {
	eachFamily(t, func(t *testing.T, a addresses) {
		l := newLab(t, a, 1)
		l.serve(2, 80)
		p := l.open(Config{Size: 2})
		apply(t, p, append(l.own(), l.distribute(80, 2))...)
		first, err := l.connect(0, 80)
		if err != nil {
			t.Fatal(err)
		}
		defer first.Close()
		second, err := l.connect(0, 80)
		if err != nil {
			t.Fatal(err)
		}
		defer second.Close()
		in := l.injector()
		in.send(l.packet(4000, 80, syn))
		eventually(t, patience, "the request beyond the table's size is dropped and counted", func() bool {
			return count(t, p, "crt-full") == 1
		})
		want(t, "entries", 2, len(entries(t, p)))
		apply(t, p, l.add(2, first.source()))
		if err := first.echo(); err != nil {
			t.Error("connection in a full table:", err)
		}
		apply(t, p, l.end(2, first.source()), vipa.DropTarget{Target: l.xcf(2)})
		want(t, "turns with room again", []int{2}, l.turns(80, 1))
	})
}
