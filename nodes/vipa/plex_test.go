package vipa_test

import (
	"maps"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/plexlab-dev/plexlab/nodes/contract"
	"github.com/plexlab-dev/plexlab/nodes/vipa"
)

// TestPlexOfPorts lets three stacks bind, listen, close, die and come back in any order, with
// messages and answers under way as long as they like, against a model of the kernels and of the
// coupling facility. Whenever everything has arrived, all have to agree.
func TestPlexOfPorts(t *testing.T) {
	t.Parallel()
	for seed := range uint64(15) {
		p := newPlex(t, rand.New(rand.NewPCG(seed, 1)))
		for range 60 {
			for range p.random.IntN(12) {
				p.act()
			}
			p.settle()
			p.agree()
			if t.Failed() {
				t.Fatalf("seed %d", seed)
			}
		}
	}
}

const plexStacks = 4

var (
	// Of stack 0, backed up by 1, 2 and, without a link to the outside, 3; port 60 distributed,
	// CLUSTERPORTS comes and goes.
	plexDVA = netip.MustParseAddr("10.9.0.1")
	plexDVB = netip.MustParseAddr("10.9.0.2") // of stack 1, backed up by 0 and 2; all ports distributed
	plexRNG = netip.MustParseAddr("10.9.1.1") // of the VIPARange of stack 2, distributed
)

type plex struct {
	t       *testing.T
	random  *rand.Rand
	cf      *couplingFacility
	nodes   [plexStacks]*node
	ids     uint64
	cluster bool // CLUSTERPORTS for plexDVA
	epochs  owners
	calm    bool // nobody dies by itself
	fails   bool // the kernel refuses the next bind
	links   [plexStacks][plexStacks]link
}

// node is a stack with its kernel and what is under way to it.
type node struct {
	self    contract.Member
	stack   *vipa.Stack
	tables  *vipa.Tables
	sockets map[uint64]*plexSocket
	// connections are what the kernel holds.
	connections map[contract.Connection]bool
	// answers are the DVIPAs that the network finds here.
	answers map[netip.Addr]bool

	dead, frozen, cut bool
	outside           bool
	session           [plexStacks]int // of each partner, as far as this stack knows
	// verdict is why each partner was lost, and isolated what this stack was told of itself.
	verdict  [plexStacks]vipa.Cause
	isolated *bool

	// from holds what the partners do and say, each in its order.
	from [plexStacks][]underway
	// replies of the coupling facility come in any order, and so does its work.
	replies []vipa.Event
	asked   map[netip.Addr]vipa.TakeOwnership
	work    []vipa.Action
}

type plexSocket struct {
	local     netip.AddrPort
	listening bool
}

// underway is an event for one incarnation of a stack.
type underway struct {
	event       vipa.Event
	incarnation uint64
	session     int // that MemberJoined begins
}

func newPlex(t *testing.T, random *rand.Rand) *plex {
	p := &plex{t: t, random: random, cf: newCouplingFacility(contract.PortRange{First: 5000, Last: 5003}), cluster: true, epochs: make(owners)}
	for i := range p.nodes {
		p.nodes[i] = &node{dead: true}
	}
	for i := range p.nodes {
		p.start(i)
	}
	return p
}

// start begins a new incarnation, which the others meet.
func (p *plex) start(i int) {
	n := p.nodes[i]
	outside := i != 3
	*n = node{
		self:    contract.Member{Stack: string(rune('A' + i)), XCF: xcf(i), Incarnation: n.self.Incarnation + 1, Outside: outside},
		tables:  vipa.NewTables(xcf(i)),
		sockets: make(map[uint64]*plexSocket), connections: make(map[contract.Connection]bool),
		answers: make(map[netip.Addr]bool), asked: make(map[netip.Addr]vipa.TakeOwnership),
		outside: outside,
	}
	n.stack = vipa.New(vipa.Config{Self: n.self})
	p.step(i, vipa.ProfileChanged{Definition: p.definition(i)})
	p.step(i, vipa.Gathered{})
	for j := range p.nodes {
		p.meet(i, j)
	}
}

func (p *plex) definition(i int) vipa.Definition {
	all := contract.Distribution{All: true}
	sixty := contract.Distribution{All: true, Ports: []contract.PortRange{{First: 60, Last: 60}}}
	switch i {
	case 0:
		return vipa.Definition{
			Defines:     []vipa.Define{{Prefix: netip.PrefixFrom(plexDVA, 24), ClusterPorts: p.cluster}},
			Backups:     []vipa.Backup{{DVIPA: plexDVB, Rank: 200}},
			Distributes: []vipa.Distribute{{DVIPA: plexDVA, Distribution: sixty}},
		}
	case 1:
		return vipa.Definition{
			Defines: []vipa.Define{{Prefix: netip.PrefixFrom(plexDVB, 24), ClusterPorts: true}},
			Backups: []vipa.Backup{{DVIPA: plexDVA, Rank: 20}},
			Distributes: []vipa.Distribute{
				{DVIPA: plexDVB, Distribution: all}, {DVIPA: plexDVA, Distribution: sixty},
			},
		}
	case 2:
		return vipa.Definition{
			Backups: []vipa.Backup{{DVIPA: plexDVA, Rank: 10}, {DVIPA: plexDVB, Rank: 10}},
			Ranges: []vipa.Range{
				{Prefix: netip.PrefixFrom(plexRNG, 24).Masked(), ClusterPorts: true, Distribute: true},
			},
		}
	}
	return vipa.Definition{Backups: []vipa.Backup{{DVIPA: plexDVA, Rank: 250}}}
}

// step lets a stack take an event, and sends its actions on their way.
func (p *plex) step(i int, ev vipa.Event) {
	n := p.nodes[i]
	for _, a := range n.stack.Step(ev).Actions {
		n.tables.Apply(a)
		switch a := a.(type) {
		case vipa.Send:
			for _, m := range n.stack.Members() {
				if !a.To.IsValid() || a.To == m.Member.XCF {
					p.send(i, p.index(m.Member.XCF), a.Message)
				}
			}
		case vipa.Advertise:
			p.advertised(i, a)
		case vipa.Withdraw:
			delete(n.answers, a.DVIPA)
		case vipa.TakeOwnership:
			n.asked[a.DVIPA] = a
		case vipa.LeaveOwnership:
			delete(n.asked, a.DVIPA)
		case vipa.ReleasePorts, vipa.MarkPorts:
			n.work = append(n.work, a)
		}
	}
}

func (p *plex) index(address netip.Addr) int {
	for i := range p.nodes {
		if xcf(i) == address {
			return i
		}
	}
	p.t.Fatalf("no stack %s", address)
	return 0
}

// act is one thing that happens somewhere.
func (p *plex) act() {
	i := p.random.IntN(plexStacks)
	if n := p.nodes[i]; n.dead || n.frozen {
		return
	}
	switch p.random.IntN(44) {
	case 0:
		if !p.calm {
			p.kill(i)
			p.start(i)
		}
	case 1:
		if !p.nodes[0].dead && !p.nodes[0].frozen {
			p.cluster = !p.cluster
			p.step(0, vipa.ProfileChanged{Definition: p.definition(0)})
		}
	case 40, 41:
		p.connect(i)
	case 42:
		p.disconnect(i)
	case 2, 3, 4, 5, 6, 7, 8, 9:
		p.bind(i)
	case 10, 11, 12, 13, 14, 15:
		if id, s := p.any(i); s != nil && !s.listening {
			s.listening = true
			p.step(i, vipa.ListenStarted{Listener: vipa.Listener{ID: id, Local: s.local}})
		}
	case 16, 17, 18, 19, 20:
		if id, s := p.any(i); s != nil {
			p.close(i, id)
		}
	case 21:
		if id, s := p.any(i); s != nil && s.listening {
			s.listening = false
			p.step(i, vipa.ListenEnded{ID: id})
		}
	default:
		p.progress(i)
	}
}

func (p *plex) any(i int) (uint64, *plexSocket) {
	ids := slices.Sorted(maps.Keys(p.nodes[i].sockets))
	if len(ids) == 0 {
		return 0, nil
	}
	id := ids[p.random.IntN(len(ids))]
	return id, p.nodes[i].sockets[id]
}

func (p *plex) close(i int, id uint64) {
	s := p.nodes[i].sockets[id]
	delete(p.nodes[i].sockets, id)
	if s.listening {
		p.step(i, vipa.ListenEnded{ID: id})
	}
	p.step(i, vipa.SocketClosed{ID: id, Local: s.local})
}

// bind lets a program bind to an address and port that others are after as well.
func (p *plex) bind(i int) {
	ports := []uint16{0, 0, 60, 61, 5000, 5001}
	asked := netip.AddrPortFrom(
		[]netip.Addr{plexDVA, plexDVB, plexRNG}[p.random.IntN(3)], ports[p.random.IntN(len(ports))])
	p.fails = p.random.IntN(8) == 0
	p.bindTo(i, asked)
	p.fails = false
}

// bindTo says whether the bind succeeded.
func (p *plex) bindTo(i int, asked netip.AddrPort) bool {
	n := p.nodes[i]
	b := &binding{
		cf: p.cf, holder: n.self.XCF,
		activate: func(a vipa.ActivateRange) vipa.Answer {
			p.step(i, vipa.BindInRange(a))
			for p.own(i) {
			}
			p.renew()
			if !n.stack.Addresses().Active(a.DVIPA) {
				return vipa.Answer{Outcome: vipa.OutcomeNoAddress}
			}
			return vipa.Answer{}
		},
		kernel: func(perform vipa.Perform) vipa.Answer {
			port := perform.Address.Port()
			if port == 0 {
				port = uint16(40000 + p.random.IntN(3))
			}
			if p.fails {
				return vipa.Answer{Outcome: vipa.Outcome(1 + p.random.IntN(3))}
			}
			return vipa.Answer{Port: port}
		},
	}
	done, ok := b.run(n.stack.Addresses().Bind(asked)).(vipa.Done)
	if !ok || !done.Bound.Local.IsValid() {
		return false
	}
	p.ids++
	done.Bound.ID = p.ids
	n.sockets[p.ids] = &plexSocket{local: done.Bound.Local}
	p.step(i, done.Bound)
	return true
}

// progress delivers one thing that is under way to a stack, and says whether there was one.
func (p *plex) progress(i int) bool {
	n := p.nodes[i]
	if n.dead || n.frozen {
		return false
	}
	if p.random.IntN(2) == 0 && p.own(i) {
		return true
	}
	if len(n.work) > 0 && p.random.IntN(2) == 0 {
		at := p.random.IntN(len(n.work))
		a := n.work[at]
		n.work = slices.Delete(n.work, at, at+1)
		n.replies = append(n.replies, p.facility(i, a))
		return true
	}
	if len(n.replies) > 0 && p.random.IntN(2) == 0 {
		at := p.random.IntN(len(n.replies))
		ev := n.replies[at]
		n.replies = slices.Delete(n.replies, at, at+1)
		p.step(i, ev)
		return true
	}
	for _, j := range p.random.Perm(plexStacks) {
		if len(n.from[j]) == 0 {
			continue
		}
		next := n.from[j][0]
		n.from[j] = n.from[j][1:]
		if next.incarnation == n.self.Incarnation {
			p.take(i, j, next)
		}
		return true
	}
	return len(n.work)+len(n.replies) > 0 || p.own(i)
}

// facility does what the core asks of the coupling facility, by what the kernel has now.
func (p *plex) facility(i int, action vipa.Action) vipa.Event {
	n := p.nodes[i]
	switch a := action.(type) {
	case vipa.ReleasePorts:
		answer := vipa.PortsReleased{DVIPA: a.DVIPA}
		for _, r := range a.Ports {
			service := netip.AddrPortFrom(a.DVIPA, r.Port)
			if !n.uses(service) {
				p.cf.release(service, n.self.XCF)
				answer.Ports = append(answer.Ports, r.Port)
			}
		}
		return answer
	case vipa.MarkPorts:
		answer := vipa.PortsMarked{DVIPA: a.DVIPA}
		addresses := n.stack.Addresses()
		for _, id := range slices.Sorted(maps.Keys(n.sockets)) {
			service := n.sockets[id].local
			use := a.Own(service.Port())
			if service.Addr() != a.DVIPA || addresses.Use(service) == vipa.Local || !p.cf.available(service, use, n.self.XCF) {
				continue
			}
			p.cf.commit(service, use, n.self.XCF)
			answer.Ports = append(answer.Ports, vipa.PortUse{Port: service.Port(), Use: p.cf.held[service][n.self.XCF]})
		}
		return answer
	}
	p.t.Fatalf("%#v", action)
	return nil
}

func (n *node) uses(service netip.AddrPort) bool {
	for _, s := range n.sockets {
		if s.local == service {
			return true
		}
	}
	return false
}

// settle lets everything arrive.
func (p *plex) settle() {
	for progress := true; progress; {
		progress = false
		for _, i := range p.random.Perm(plexStacks) {
			progress = p.progress(i) || progress
		}
		if !progress {
			progress = p.news()
		}
	}
}

// agree holds the stacks to each other, to the kernels and to the coupling facility.
func (p *plex) agree() {
	p.t.Helper()
	held := make(map[netip.AddrPort]map[netip.Addr]vipa.Use)
	routes := make(map[netip.AddrPort]netip.Addr)
	listening := make(map[netip.AddrPort]map[netip.Addr]vipa.Use)
	for _, n := range p.nodes {
		if n.dead {
			continue
		}
		uses := make(map[netip.AddrPort]vipa.Use)
		for _, port := range n.stack.Ports() {
			if held[port.Service] == nil {
				held[port.Service] = make(map[netip.Addr]vipa.Use)
			}
			held[port.Service][n.self.XCF] = port.Use
			if !n.uses(port.Service) {
				p.t.Errorf("%s holds %s, which no socket uses", n.self.Stack, port.Service)
			}
			uses[port.Service] = port.Use
			if port.Routed {
				routes[port.Service] = n.self.XCF
			}
		}
		for _, s := range n.sockets {
			if !s.listening {
				continue
			}
			if listening[s.local] == nil {
				listening[s.local] = make(map[netip.Addr]vipa.Use)
			}
			listening[s.local][n.self.XCF] = uses[s.local]
			if uses[s.local] == vipa.Unique && routes[s.local] != n.self.XCF {
				p.t.Errorf("%s listens on unique port %s without a route", n.self.Stack, s.local)
			}
		}
	}
	maps.DeleteFunc(p.cf.held, func(_ netip.AddrPort, by map[netip.Addr]vipa.Use) bool { return len(by) == 0 })
	if diff := cmp.Diff(p.cf.held, held, comparers); diff != "" {
		p.t.Errorf("held as the coupling facility says (-) and as the stacks do (+):\n%s", diff)
	}
	for service, by := range held {
		if len(by) > 1 && slices.Contains(slices.Collect(maps.Values(by)), vipa.Unique) {
			p.t.Errorf("unique port %s has holders %v", service, by)
		}
	}
	p.owners(routes, listening)
	p.routed()
}

// owners: each routes the unique ports of its DVIPAs to who has them, and distributes among those
// that listen on shared ones, or on any without CLUSTERPORTS.
func (p *plex) owners(routes map[netip.AddrPort]netip.Addr, listening map[netip.AddrPort]map[netip.Addr]vipa.Use) {
	p.t.Helper()
	for _, n := range p.nodes {
		if n.dead {
			continue
		}
		for _, row := range n.stack.DVIPAs() {
			if row.Status != vipa.StatusActive {
				continue
			}
			dvipa := row.Prefix.Addr()
			is, want := make(map[netip.AddrPort]netip.Addr), maps.Clone(routes)
			maps.DeleteFunc(want, func(service netip.AddrPort, _ netip.Addr) bool { return service.Addr() != dvipa })
			for _, e := range n.stack.Unique() {
				if e.Service.Addr() == dvipa {
					is[e.Service] = e.Target
				}
			}
			if diff := cmp.Diff(want, is, comparers); diff != "" {
				p.t.Errorf("routes of %s as the stacks want them (-) and as its owner has them (+):\n%s", dvipa, diff)
			}
			served, wanted := make(map[netip.AddrPort][]netip.Addr), make(map[netip.AddrPort][]netip.Addr)
			for _, e := range n.stack.DPT() {
				if e.Service.Addr() == dvipa {
					for _, target := range e.Targets {
						served[e.Service] = append(served[e.Service], target.XCF)
					}
				}
			}
			for service, by := range listening {
				for _, target := range sortedByAddress(by) {
					if use := by[target]; service.Addr() == dvipa && (use == vipa.Shared || use == vipa.Local && !row.ClusterPorts) {
						wanted[service] = append(wanted[service], target)
					}
				}
			}
			if diff := cmp.Diff(wanted, served, comparers); diff != "" {
				p.t.Errorf("targets of %s that listen (-) and that its owner has (+):\n%s", dvipa, diff)
			}
		}
	}
}

func sortedByAddress[V any](m map[netip.Addr]V) []netip.Addr {
	return slices.SortedFunc(maps.Keys(m), netip.Addr.Compare)
}
