package vipa_test

import (
	"maps"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/plexlab-dev/plexlab/nodes/contract"
	"github.com/plexlab-dev/plexlab/nodes/vipa"
)

// TestRandomEvents drives stacks with random events and checks the invariants after each.
func TestRandomEvents(t *testing.T) {
	t.Parallel()
	for seed := range uint64(60) {
		random := rand.New(rand.NewPCG(seed, 0))
		data := make([]byte, 3000)
		for i := range data {
			data[i] = byte(random.Uint32())
		}
		checkEvents(t, data)
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

// FuzzStep is the same with events from the fuzzer's bytes.
func FuzzStep(f *testing.F) {
	f.Add([]byte{0})
	f.Add([]byte("\x00\x01\x00\x02\x01\x01\x00\x03\x02\x02\x00\x04\x05\x06"))
	f.Fuzz(func(t *testing.T, data []byte) { checkEvents(t, data) })
}

// checkEvents runs the events that data spells, and then the end of everything.
func checkEvents(t *testing.T, data []byte) {
	t.Helper()
	c := &choices{data: data, epochs: make(map[netip.Addr]uint64)}
	cfg := vipa.Config{Self: contract.Member{Stack: "SELF", XCF: xcf(0), Incarnation: 1, Outside: c.bool()}}
	if c.bool() {
		cfg.Variant = vipa.EnumeratedOnly
	}
	w := &witness{t: t, cfg: cfg, outside: cfg.Self.Outside, stack: vipa.New(cfg), twin: vipa.New(cfg)}
	w.tables = vipa.NewTables(cfg.Self.XCF)
	w.active, w.advertised = make(map[netip.Addr]bool), make(map[netip.Addr]uint64)
	w.settling = make(map[netip.Addr]bool)
	w.last = make(map[string]string)
	w.asked, w.epochs = make(map[netip.Addr]vipa.TakeOwnership), make(map[netip.Addr]uint64)
	w.step(vipa.Gathered{})
	w.waiting, w.released = make(map[uint64]contract.Connection), make(map[netip.AddrPort]bool)
	for c.left() && !t.Failed() {
		w.step(c.event())
		w.answer(c)
		for _, row := range w.stack.DVIPAs() {
			if row.Status == vipa.StatusActive {
				c.epochs[row.Prefix.Addr()] = row.Epoch
			}
		}
	}

	// Every owner comes back and owns nothing, every connection and socket ends, the profile is emptied.
	for i := 1; i <= partners; i++ {
		m := contract.Member{Stack: "LAST", XCF: xcf(i), Incarnation: 1000}
		w.step(vipa.MemberJoined{Member: m})
		w.step(vipa.MessageReceived{From: m, Message: contract.VIPAList{}})
		w.step(vipa.MemberLost{Member: m})
	}
	for len(w.asked) > 0 {
		for _, asked := range w.asked {
			w.take(asked)
		}
	}
	for _, e := range w.stack.DPT() {
		if !slices.Equal(e.Targets, []contract.Target{{XCF: cfg.Self.XCF, Weight: e.Targets[0].Weight}}) {
			t.Errorf("%s still has targets %v when all partners are gone", e.Service, e.Targets)
		}
	}
	for _, e := range w.stack.Unique() {
		if e.Target != cfg.Self.XCF {
			t.Errorf("%s is still the unique port of %s when all partners are gone", e.Service, e.Target)
		}
	}
	if len(w.waiting) > 0 {
		t.Errorf("%d connects wait for partners, all of which are gone", len(w.waiting))
	}
	for id := range uint64(6) {
		w.step(vipa.ListenEnded{ID: id})
		w.step(vipa.SocketClosed{ID: id})
	}
	w.released = make(map[netip.AddrPort]bool)
	w.step(vipa.ConnectionsEnded{Connections: everyConnection()})
	if ports := w.stack.Ports(); len(ports) != len(w.released) {
		t.Errorf("ports %v when every socket has ended, and %d given back", ports, len(w.released))
	}
	for service := range w.released {
		w.step(vipa.PortsReleased{DVIPA: service.Addr(), Ports: []uint16{service.Port()}})
	}
	for _, dvipa := range dvipas {
		w.step(vipa.RangeUnused{DVIPA: dvipa})
	}
	w.step(vipa.ProfileChanged{})
	for _, asked := range w.asked {
		w.take(asked) // nobody wants it any more
	}
	if len(w.active) > 0 || len(w.advertised) > 0 {
		t.Errorf("active %v, advertised %v when everything has ended", w.active, w.advertised)
	}
	if rows := w.stack.DVIPAs(); len(rows) > 0 {
		t.Errorf("records %v when everything has ended", rows)
	}
	if len(w.tables.DPT) > 0 || len(w.tables.Unique) > 0 || len(w.tables.CRT) > 0 {
		t.Errorf("tables %v %v %v when everything has ended", w.tables.DPT, w.tables.Unique, w.tables.CRT)
	}
}

// witness watches one stack, and a twin that is given the same events.
type witness struct {
	t           *testing.T
	cfg         vipa.Config
	stack, twin *vipa.Stack
	tables      *vipa.Tables
	active      map[netip.Addr]bool
	advertised  map[netip.Addr]uint64 // at which epoch
	settling    map[netip.Addr]bool
	asked       map[netip.Addr]vipa.TakeOwnership // and not answered
	epochs      map[netip.Addr]uint64             // taken, by this stack or by others
	via         netip.Addr
	outside     bool              // a link of the stack to the outside is up
	last        map[string]string // figure to the block its trace has come to
	waiting     map[uint64]contract.Connection
	released    map[netip.AddrPort]bool // ports that the stack has given back
}

func (w *witness) step(ev vipa.Event) {
	w.t.Helper()
	w.told(ev)
	if e, ok := ev.(vipa.OutsideChanged); ok {
		w.outside = e.Up
	}
	result := w.stack.Step(ev)
	if twin := w.twin.Step(ev); !reflect.DeepEqual(result, twin) {
		w.t.Errorf("%#v: the same events give %v and %v", ev, result, twin)
	}
	for _, a := range result.Actions {
		w.tables.Apply(a)
		w.check(ev, a)
	}
	w.walk(ev, result.Trace)
	w.state(ev)
	w.fresh(ev)
}

// answer answers what the stack has asked for, now or later, in its favour or not.
func (w *witness) answer(c *choices) {
	for _, dvipa := range sortedByAddress(w.asked) {
		asked := w.asked[dvipa]
		switch c.n(4) {
		case 0:
		case 1:
			delete(w.asked, dvipa)
			w.epochs[dvipa] = max(w.epochs[dvipa], asked.After) + 1
			w.step(vipa.OwnershipRefused{DVIPA: dvipa, Epoch: w.epochs[dvipa], Owner: c.member(), Lives: c.bool()})
		default:
			w.take(asked)
		}
	}
}

func (w *witness) take(asked vipa.TakeOwnership) {
	delete(w.asked, asked.DVIPA)
	w.epochs[asked.DVIPA] = max(w.epochs[asked.DVIPA], asked.After) + 1
	w.step(vipa.OwnershipTaken{
		Taken: []vipa.Ownership{{DVIPA: asked.DVIPA, Epoch: w.epochs[asked.DVIPA], Waited: asked.Wait}}, Connections: everyConnection()[:4],
	})
}

// told keeps what the witness has to know of an event.
func (w *witness) told(ev vipa.Event) {
	switch ev := ev.(type) {
	case vipa.ConnectAsked:
		w.waiting[ev.ID] = ev.Connection
	case vipa.ConnectionsEnded:
		for _, c := range ev.Connections {
			maps.DeleteFunc(w.waiting, func(_ uint64, asked contract.Connection) bool { return asked == c })
		}
	}
}

// answered: a connect() that waits is let go on or refused, once.
func (w *witness) answered(ev vipa.Event, id uint64) {
	w.t.Helper()
	if _, waits := w.waiting[id]; !waits {
		w.t.Errorf("%#v: connect %d is answered and does not wait", ev, id)
	}
	delete(w.waiting, id)
}

// fresh: the snapshot that is kept is what the stack would say anew.
func (w *witness) fresh(ev vipa.Event) {
	w.t.Helper()
	kept, anew := w.stack.Addresses(), w.stack.Snapshot()
	if !reflect.DeepEqual(kept, anew) {
		w.t.Errorf("%#v: snapshot %+v, anew it is %+v", ev, kept, anew)
	}
	for _, row := range w.stack.DVIPAs() {
		if address := row.Prefix.Addr(); row.Status == vipa.StatusActive && !kept.Active(address) {
			w.t.Errorf("%#v: %s is active, and not in the snapshot", ev, address)
		}
	}
}

// check holds one action to what its comment promises.
func (w *witness) check(ev vipa.Event, action vipa.Action) {
	w.t.Helper()
	switch a := action.(type) {
	case vipa.Send:
		if a.To.IsValid() && !w.living(a.To) {
			w.t.Errorf("%#v: message to %s, which is no member", ev, a.To)
		}
	case vipa.Activate:
		if w.active[a.DVIPA] {
			w.t.Errorf("%#v: %s is activated twice", ev, a.DVIPA)
		}
		w.active[a.DVIPA] = true
	case vipa.Deactivate:
		if !w.active[a.DVIPA] || w.advertised[a.DVIPA] > 0 {
			w.t.Errorf("%#v: deactivate %s, active %t, advertised at %d", ev, a.DVIPA, w.active[a.DVIPA], w.advertised[a.DVIPA])
		}
		delete(w.active, a.DVIPA)
	case vipa.Advertise:
		if !w.active[a.Prefix.Addr()] {
			w.t.Errorf("%#v: advertise %s, which is not active", ev, a.Prefix)
		}
		w.advertised[a.Prefix.Addr()] = a.Epoch
	case vipa.Withdraw:
		if !w.active[a.DVIPA] || w.settling[a.DVIPA] {
			w.t.Errorf("%#v: withdraw %s, active %t, settling %t", ev, a.DVIPA, w.active[a.DVIPA], w.settling[a.DVIPA])
		}
		delete(w.advertised, a.DVIPA)
	case vipa.Settle:
		if w.settling[a.DVIPA] == a.On || !w.active[a.DVIPA] {
			w.t.Errorf("%#v: settle %s %t again, or it is not active", ev, a.DVIPA, a.On)
		}
		w.settling[a.DVIPA] = a.On
	case vipa.TakeOwnership:
		if before, asked := w.asked[a.DVIPA]; asked && !before.Standby || w.advertised[a.DVIPA] > 0 {
			w.t.Errorf("%#v: %s is asked for again, or owned", ev, a.DVIPA)
		}
		w.asked[a.DVIPA] = a
	case vipa.LeaveOwnership:
		if _, asked := w.asked[a.DVIPA]; !asked {
			w.t.Errorf("%#v: %s is left and was not asked for", ev, a.DVIPA)
		}
		delete(w.asked, a.DVIPA)
	case vipa.LetConnect:
		w.answered(ev, a.ID)
	case vipa.RefuseConnect:
		w.answered(ev, a.ID)
	case vipa.ReleasePorts:
		for _, p := range a.Ports {
			w.released[netip.AddrPortFrom(a.DVIPA, p.Port)] = true
		}
	case vipa.SetWayOut:
		if w.outside && a.Via.IsValid() || a.Via == w.via {
			w.t.Errorf("%#v: way out %s again, or of a stack that has its own", ev, a.Via)
		}
		w.via = a.Via
	}
}

// walk holds a trace to the flowcharts: each edge starts where the one before it ended, or
// where a figure begins.
func (w *witness) walk(ev vipa.Event, trace []vipa.Edge) {
	w.t.Helper()
	begins := map[string]string{
		"fig05": "500", "fig07": "700", "fig10": "100 106", "fig13": "160",
		"fig06": "600 608 610", "fig14": "180 188 194", // I18: the change and the message in their own time
		"fig11": "120 122 128 131", // 122: its own list; 128 by itself; 131: I16
	}
	for _, e := range trace {
		if !slices.Contains(vipa.Edges(), e) {
			w.t.Errorf("%#v: %s is no edge", ev, e)
		}
		figure, way, _ := strings.Cut(string(e), "/")
		from, to, _ := strings.Cut(way, "->")
		from, _, _ = strings.Cut(from, "-")
		if from != w.last[figure] && !slices.Contains(strings.Fields(begins[figure]), from) {
			w.t.Errorf("%#v: %s follows block %q in %v", ev, e, w.last[figure], trace)
		}
		w.last[figure] = to
	}
}

// state holds the views to each other and to the actions so far.
func (w *witness) state(ev vipa.Event) {
	w.t.Helper()
	distributions := make(map[netip.Addr]*contract.Distribution)
	for _, row := range w.stack.DVIPAs() {
		address := row.Prefix.Addr()
		owned := row.Status == vipa.StatusActive
		at := w.advertised[address]
		if at > 0 && !owned || owned && at != row.Epoch && (at > 0 || !w.settling[address]) || (owned || row.Status == vipa.StatusTarget) != w.active[address] {
			w.t.Errorf("%#v: %s is %s, active %t, advertised at %d", ev, address, row.Status, w.active[address], at)
		}
		if owned {
			distributions[address] = row.Distribution
		}
	}
	dpt := make(map[netip.AddrPort][]contract.Target)
	for _, e := range w.stack.DPT() {
		dpt[e.Service] = e.Targets
		place := -1
		for _, target := range e.Targets {
			p := placeOf(distributions[e.Service.Addr()], target.XCF)
			if !w.living(target.XCF) || p <= place {
				w.t.Errorf("%#v: %s has targets %v, order, candidates or life are wrong", ev, e.Service, e.Targets)
			}
			place = p
		}
	}
	told := make(map[netip.AddrPort][]contract.Target)
	for service, entry := range w.tables.DPT {
		told[service] = entry.Targets
	}
	if diff := cmp.Diff(told, dpt, comparers); diff != "" {
		w.t.Errorf("%#v: DPT as told (-) and as shown (+):\n%s", ev, diff)
	}
	unique := make(map[netip.AddrPort]netip.Addr)
	for _, e := range w.stack.Unique() {
		unique[e.Service] = e.Target
		if !w.living(e.Target) {
			w.t.Errorf("%#v: unique port %s of a lost stack", ev, e.Service)
		}
	}
	if diff := cmp.Diff(w.tables.Unique, unique, comparers); diff != "" {
		w.t.Errorf("%#v: unique ports as told (-) and as shown (+):\n%s", ev, diff)
	}
	for _, target := range w.tables.CRT {
		if !w.living(target) {
			w.t.Errorf("%#v: CRT entry of the lost stack %s", ev, target)
		}
	}
}

var comparers = cmp.Options{
	cmp.Comparer(func(a, b netip.Addr) bool { return a == b }),
	cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b }),
}

func (w *witness) living(address netip.Addr) bool {
	return address == w.cfg.Self.XCF || slices.ContainsFunc(w.stack.Members(), func(m vipa.MemberStatus) bool {
		return m.Member.XCF == address
	})
}

// placeOf is the place of a candidate target in the order of an entry, or -1.
func placeOf(dist *contract.Distribution, address netip.Addr) int {
	switch {
	case dist == nil:
		return -1
	case dist.All:
		return int(address.As4()[3])
	}
	return slices.IndexFunc(dist.Targets, func(t contract.Target) bool { return t.XCF == address })
}
