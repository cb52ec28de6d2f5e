package cf

import (
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net/netip"
	"slices"
	"sync"
	"testing"

	"github.com/plexlab-dev/plexlab/nodes/contract"
)

// wire is the group of stacks as the Distributor of each sees it: messages of one stack to another arrive in
// order, those of different stacks in any.
type wire struct {
	t       testing.TB
	changes sync.Mutex // one message is taken in, or the group changed, at a time

	mu       sync.Mutex
	changed  *sync.Cond
	random   *rand.Rand
	stations map[int]*station
	linked   map[link]bool
	waiting  map[link][]contract.Message
	held     map[link]bool // messages that do not arrive for now
	taking   bool          // one is being taken in
	over     bool
}

type link struct{ from, to int }

// station is what a stack does around its Distributor.
type station struct {
	n      int
	member contract.Member
	d      *Distributor
	list   contract.VIPAList
	listed map[netip.Addr]ownership // by the lists received
}

type ownership struct {
	by    int
	epoch uint64
}

func newWire(t testing.TB) *wire {
	seed := rand.Uint64()
	t.Logf("order of messages: seed %d", seed)
	w := &wire{
		t: t, random: rand.New(rand.NewPCG(seed, 0)), stations: make(map[int]*station),
		linked: make(map[link]bool), waiting: make(map[link][]contract.Message), held: make(map[link]bool),
	}
	w.changed = sync.NewCond(&w.mu)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for w.deliver() {
		}
	}()
	t.Cleanup(func() {
		w.mu.Lock()
		w.over = true
		w.changed.Broadcast()
		w.mu.Unlock()
		<-done
	})
	return w
}

// deliver takes one message to where it goes, and says whether there may be more.
func (w *wire) deliver() bool {
	w.mu.Lock()
	var ready []link
	for !w.over {
		ready = slices.SortedFunc(maps.Keys(w.waiting), func(a, b link) int { return 100*(a.from-b.from) + a.to - b.to })
		ready = slices.DeleteFunc(ready, func(l link) bool { return len(w.waiting[l]) == 0 || w.held[l] })
		if len(ready) > 0 {
			break
		}
		w.changed.Wait()
	}
	if w.over {
		w.mu.Unlock()
		return false
	}
	w.taking = true
	w.mu.Unlock()

	w.changes.Lock()
	w.mu.Lock()
	l := ready[w.random.IntN(len(ready))]
	var message contract.Message
	if queue := w.waiting[l]; len(queue) > 0 && !w.held[l] { // else the group has changed
		message, w.waiting[l] = queue[0], queue[1:]
	}
	from, to := w.stations[l.from], w.stations[l.to]
	w.mu.Unlock()
	if message != nil {
		w.take(from, to, message)
	}
	w.changes.Unlock()

	w.mu.Lock()
	w.taking = false
	w.changed.Broadcast()
	w.mu.Unlock()
	return true
}

// take does with a message what the stack around a Distributor does.
func (w *wire) take(from, to *station, message contract.Message) {
	list, ok := message.(contract.VIPAList)
	if !ok {
		to.d.Receive(from.member, message)
		return
	}
	owned := make(map[netip.Addr]bool)
	for _, e := range list.DVIPAs {
		dvipa := e.Prefix.Addr()
		owned[dvipa] = true
		if to.listed[dvipa].epoch <= e.Epoch { // else it is over already
			to.listed[dvipa] = ownership{from.n, e.Epoch}
			to.d.Follow(dvipa, from.member, e.Epoch)
		}
	}
	for dvipa, last := range to.listed {
		if last.by == from.n && !owned[dvipa] {
			delete(to.listed, dvipa)
			to.d.Follow(dvipa, contract.Member{}, 0)
		}
	}
	w.send(to.n, from.n, contract.EndOfList{})
}

func (w *wire) send(from, to int, message contract.Message) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if l := (link{from, to}); w.linked[l] {
		w.waiting[l] = append(w.waiting[l], message)
		w.changed.Broadcast()
	}
}

// start makes a stack, and a member of the group.
func (w *wire) start(n int, c DistributorConfig) *station {
	w.t.Helper()
	c.Self = contract.Member{Stack: fmt.Sprintf("MVS%d", n), XCF: xcf(n), Incarnation: 1000}
	c.Send = func(to netip.Addr, m contract.Message) { w.send(n, number(to), m) }
	if c.Logger == nil {
		c.Logger = slog.New(slog.NewTextHandler(testLog{w.t}, nil)).With("at", c.Self.Stack)
	}
	d, err := NewDistributor(c)
	if err != nil {
		w.t.Fatal(err)
	}
	s := &station{n: n, member: c.Self, d: d, listed: make(map[netip.Addr]ownership)}
	w.mu.Lock()
	others := slices.Sorted(maps.Keys(w.stations))
	w.stations[n] = s
	w.mu.Unlock()
	for _, other := range others {
		w.join(n, other)
	}
	return s
}

func number(xcf netip.Addr) int { return int(xcf.As4()[3]) }

// join makes two stacks see one another.
func (w *wire) join(a, b int) {
	w.changes.Lock()
	defer w.changes.Unlock()
	w.mu.Lock()
	one, two := w.stations[a], w.stations[b]
	w.linked[link{a, b}], w.linked[link{b, a}] = true, true
	w.mu.Unlock()
	one.d.Joined(two.member)
	two.d.Joined(one.member)
	one.d.Announce(two.member.XCF, one.list)
	w.send(a, b, one.list)
	two.d.Announce(one.member.XCF, two.list)
	w.send(b, a, two.list)
}

// part makes two stacks lose one another, with the messages between them.
func (w *wire) part(a, b int) {
	w.changes.Lock()
	defer w.changes.Unlock()
	w.mu.Lock()
	one, two := w.stations[a], w.stations[b]
	for _, l := range []link{{a, b}, {b, a}} {
		delete(w.linked, l)
		delete(w.waiting, l)
		delete(w.held, l)
	}
	w.changed.Broadcast()
	w.mu.Unlock()
	one.d.Lost(two.member)
	two.d.Lost(one.member)
}

// end takes a stack out of the group.
func (w *wire) end(n int) {
	w.mu.Lock()
	others := slices.DeleteFunc(slices.Sorted(maps.Keys(w.stations)), func(other int) bool { return other == n })
	w.mu.Unlock()
	for _, other := range others {
		w.part(n, other)
	}
	w.mu.Lock()
	delete(w.stations, n)
	w.mu.Unlock()
}

// announce changes what a stack owns.
func (w *wire) announce(n int, list contract.VIPAList) {
	w.changes.Lock()
	defer w.changes.Unlock()
	w.mu.Lock()
	s := w.stations[n]
	others := slices.Sorted(maps.Keys(w.stations))
	w.mu.Unlock()
	s.list = list
	for _, e := range list.DVIPAs {
		s.listed[e.Prefix.Addr()] = ownership{n, e.Epoch}
	}
	s.d.Announce(netip.Addr{}, list)
	for _, other := range others {
		w.send(n, other, list)
	}
}

// hold keeps messages of one stack to another back, until they are let go.
func (w *wire) hold(from, to int, held bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.held[link{from, to}] = held
	w.changed.Broadcast()
}

// queued are the kinds of messages that wait.
func (w *wire) queued(from, to int) []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var kinds []string
	for _, m := range w.waiting[link{from, to}] {
		kinds = append(kinds, m.Kind())
	}
	return kinds
}

// settle waits until every message that is not held back was taken in.
func (w *wire) settle() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for w.taking || slices.ContainsFunc(slices.Collect(maps.Keys(w.waiting)), func(l link) bool { return len(w.waiting[l]) > 0 && !w.held[l] }) {
		w.changed.Wait()
	}
}

// owner is the list of a stack that owns a DVIPA of which port 60 is distributed.
func owner(dvipa netip.Addr, epoch uint64) contract.VIPAList {
	return contract.VIPAList{DVIPAs: []contract.DVIPA{{
		Prefix: netip.PrefixFrom(dvipa, dvipa.BitLen()), Role: contract.RolePrimary, Owner: true, Epoch: epoch, ClusterPorts: true,
		Distribution: &contract.Distribution{All: true, Ports: []contract.PortRange{{First: 60, Last: 60}}},
	}}}
}
