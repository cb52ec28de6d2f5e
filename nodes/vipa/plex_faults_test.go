package vipa_test

import (
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"

	"github.com/plexlab-dev/plexlab/nodes/contract"
	"github.com/plexlab-dev/plexlab/nodes/vipa"
)

// What can happen to the stacks of a plex, and who owns what then.

// link is the connection of two stacks: a session of it is never taken for another.
type link struct {
	up      bool
	session int
}

func (p *plex) link(i, j int) *link { return &p.links[min(i, j)][max(i, j)] }

// meet connects two stacks that see each other.
func (p *plex) meet(i, j int) {
	a, b := p.nodes[i], p.nodes[j]
	l := p.link(i, j)
	if i == j || a.dead || b.dead || a.frozen || b.frozen || a.cut || b.cut || l.up {
		return
	}
	l.session++
	l.up = true
	a.verdict[j], b.verdict[i] = vipa.Ended, vipa.Ended
	a.forget()
	b.forget()
	a.from[j] = append(a.from[j], underway{vipa.MemberJoined{Member: b.self}, a.self.Incarnation, l.session})
	b.from[i] = append(b.from[i], underway{vipa.MemberJoined{Member: a.self}, b.self.Incarnation, l.session})
}

// forget: who sees nobody and sees a partner again has to be told anew who is cut off.
func (n *node) forget() {
	for j, verdict := range n.verdict {
		if verdict == vipa.CutOff {
			n.verdict[j] = vipa.Silent
		}
	}
}

// part ends the connection of two stacks; some of what was under way is lost. The second one hears
// why the first is gone, whether or not it was a member.
func (p *plex) part(i, j int, gone, other vipa.Cause) {
	l := p.link(i, j)
	l.up = false
	p.hear(j, i, gone)
	p.hear(i, j, other)
}

// hear tells stack i that j is lost.
func (p *plex) hear(i, j int, cause vipa.Cause) {
	n := p.nodes[i]
	n.verdict[j] = cause
	if n.frozen {
		return // thaw tells it how things are then
	}
	kept := n.from[j]
	if first := slices.IndexFunc(kept, isMessage); first >= 0 {
		kept = kept[:first+p.random.IntN(len(kept)-first+1)]
		for _, u := range n.from[j][len(kept):] {
			if !isMessage(u) {
				kept = append(slices.Clone(kept), u)
			}
		}
	}
	n.from[j] = append(kept, underway{vipa.MemberLost{Member: p.nodes[j].self, Cause: cause}, n.self.Incarnation, 0})
}

func isMessage(u underway) bool {
	_, message := u.event.(vipa.MessageReceived)
	return message
}

// send is lost where the session that the sender knows is over.
func (p *plex) send(from, to int, m contract.Message) {
	l, n := p.link(from, to), p.nodes[to]
	if !l.up || p.nodes[from].session[to] != l.session {
		return
	}
	n.from[from] = append(n.from[from], underway{
		vipa.MessageReceived{From: p.nodes[from].self, Message: m}, n.self.Incarnation, l.session,
	})
}

// take lets a stack take in what another one did or said.
func (p *plex) take(i, j int, u underway) {
	n := p.nodes[i]
	switch ev := u.event.(type) {
	case vipa.MemberJoined:
		n.session[j] = u.session
		p.step(i, ev)
	case vipa.MessageReceived:
		if n.session[j] != u.session {
			return
		}
		if _, list := ev.Message.(contract.VIPAList); list {
			ev.Connections = n.held()
		}
		p.step(i, ev)
	default:
		p.step(i, ev)
	}
}

// held are the connections of the kernel, in some order that does not change.
func (n *node) held() []contract.Connection {
	var all []contract.Connection
	for c := range n.connections {
		all = append(all, c)
	}
	slices.SortFunc(all, func(a, b contract.Connection) int { return a.Remote.Compare(b.Remote) })
	return all
}

// isolation is what the slots of the port file tell about those that are cut off: that they are, and
// whether others see one another. It says whether there was any news.
func (p *plex) isolation() bool {
	news := false
	for i, n := range p.nodes {
		if n.dead || n.frozen || !n.cut || len(n.stack.Members()) > 0 {
			continue
		}
		othersSee := p.connected() > 1
		if n.isolated == nil || *n.isolated != othersSee {
			n.isolated, news = &othersSee, true
			p.step(i, vipa.Isolated{OthersSee: othersSee})
		}
		for j := range p.nodes {
			if j != i && othersSee && p.nodes[j].verdict[i] == vipa.Silent {
				p.hear(j, i, vipa.CutOff)
				news = true
			}
		}
	}
	return news
}

// connected counts the stacks that see one another.
func (p *plex) connected() int {
	count := 0
	for _, n := range p.nodes {
		if !n.dead && !n.cut && !n.frozen {
			count++
		}
	}
	return count
}

// kill ends a stack with all that it has; what it had in the coupling facility is reclaimed.
func (p *plex) kill(i int) {
	p.cf.reclaim(p.nodes[i].self.XCF)
	for j := range p.nodes {
		if j != i {
			p.link(i, j).up = false
			p.hear(j, i, vipa.Ended)
		}
	}
	p.nodes[i].dead = true
	p.nodes[i].answers = nil
}

// freeze stops a stack. All hear that its beat stands; it hears nothing.
func (p *plex) freeze(i int) {
	p.nodes[i].frozen = true
	for j := range p.nodes {
		if j != i {
			p.part(i, j, vipa.Frozen, vipa.Silent)
		}
	}
}

// thaw lets it go on. Before anything else it cannot renew the leases that it lost.
func (p *plex) thaw(i int) {
	n := p.nodes[i]
	n.frozen = false
	p.renewed(i)
	for _, m := range n.stack.Members() {
		if j := p.index(m.Member.XCF); p.nodes[j].self != m.Member {
			n.from[j] = append(n.from[j], underway{vipa.MemberLost{Member: m.Member}, n.self.Incarnation, 0})
		}
	}
	for j, other := range p.nodes {
		switch {
		case j == i:
		case other.dead:
			p.hear(i, j, vipa.Ended)
		case other.frozen:
			p.hear(i, j, vipa.Frozen)
		default:
			p.hear(i, j, vipa.Silent)
		}
		p.meet(i, j)
	}
}

// isolate cuts a stack off from all others.
func (p *plex) isolate(i int) {
	p.nodes[i].cut = true
	for j := range p.nodes {
		if j != i && p.link(i, j).up {
			p.part(i, j, vipa.Silent, vipa.Silent)
		}
	}
}

func (p *plex) heal(i int) {
	p.nodes[i].cut, p.nodes[i].isolated = false, nil
	for j := range p.nodes {
		p.meet(i, j)
	}
}

// link to the outside: down or up.
func (p *plex) outside(i int, up bool) {
	p.nodes[i].outside = up
	p.step(i, vipa.OutsideChanged{Up: up})
}

// own answers one of the ownerships that a stack has asked for, and says whether there was one.
func (p *plex) own(i int) bool {
	n := p.nodes[i]
	for _, dvipa := range sortedByAddress(n.asked) {
		if a := n.asked[dvipa]; !a.Standby {
			p.acquire(i, a)
			return true
		}
	}
	return false
}

// news is what happens when nothing else does any more: the port file tells of stacks that are cut
// off, leases are not renewed, and those that stand by have waited long enough.
func (p *plex) news() bool {
	if p.isolation() || p.renew() {
		return true
	}
	for i, n := range p.nodes {
		for _, dvipa := range sortedByAddress(n.asked) {
			if !n.dead && !n.frozen {
				p.acquire(i, n.asked[dvipa])
				return true
			}
		}
	}
	return false
}

func (p *plex) acquire(i int, asked vipa.TakeOwnership) {
	n := p.nodes[i]
	delete(n.asked, asked.DVIPA)
	last := p.epochs[asked.DVIPA].owner
	latest, ok := p.epochs.acquire(asked.DVIPA, asked.After, n.self)
	if !ok {
		p.step(i, p.refusal(asked.DVIPA, latest))
		return
	}
	for _, other := range p.nodes {
		if told := !asked.Wait && other.self == last; !told {
			delete(other.answers, asked.DVIPA)
		}
	}
	p.step(i, vipa.OwnershipTaken{
		Taken: []vipa.Ownership{{DVIPA: asked.DVIPA, Epoch: latest.epoch, Waited: asked.Wait}}, Connections: n.held(),
	})
}

func (p *plex) refusal(dvipa netip.Addr, latest claim) vipa.OwnershipRefused {
	owner := p.nodes[p.index(latest.owner.XCF)]
	return vipa.OwnershipRefused{
		DVIPA: dvipa, Epoch: latest.epoch, Owner: latest.owner,
		Lives: !owner.dead && owner.self == latest.owner && !owner.frozen && (!owner.cut || p.connected() < 2),
	}
}

// renew lets every stack renew its leases, and says whether one could not.
func (p *plex) renew() bool {
	lost := false
	for i, n := range p.nodes {
		if !n.dead && !n.frozen {
			lost = p.renewed(i) || lost
		}
	}
	return lost
}

func (p *plex) renewed(i int) bool {
	n, lost := p.nodes[i], false
	for _, row := range n.stack.DVIPAs() {
		dvipa := row.Prefix.Addr()
		if latest := p.epochs[dvipa]; row.Status == vipa.StatusActive && row.Epoch < latest.epoch {
			delete(n.answers, dvipa)
			p.step(i, p.refusal(dvipa, latest))
			lost = true
		}
	}
	return lost
}

// advertised: at no time do two stacks answer for a DVIPA.
func (p *plex) advertised(i int, a vipa.Advertise) {
	p.t.Helper()
	dvipa := a.Prefix.Addr()
	if a.Epoch != p.epochs[dvipa].epoch {
		return // it gets no lease
	}
	for j, n := range p.nodes {
		if j != i && n.answers[dvipa] {
			p.t.Errorf("%s answers for %s at epoch %d while %s does", p.nodes[i].self.Stack, dvipa, a.Epoch, n.self.Stack)
		}
	}
	p.nodes[i].answers[dvipa] = true
}

// connect opens a connection to a listening socket.
func (p *plex) connect(i int) {
	_, s := p.any(i)
	if s == nil || !s.listening {
		return
	}
	p.ids++
	c := contract.Connection{
		Remote: netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(p.ids >> 16)}), max(uint16(p.ids), 1)), Local: s.local,
	}
	p.nodes[i].connections[c] = true
	p.step(i, vipa.ConnectionsHeld{Connections: []contract.Connection{c}})
}

func (p *plex) disconnect(i int) {
	held := p.nodes[i].held()
	if len(held) == 0 {
		return
	}
	c := held[p.random.IntN(len(held))]
	delete(p.nodes[i].connections, c)
	p.step(i, vipa.ConnectionsEnded{Connections: []contract.Connection{c}})
}

// routed: the owner of each DVIPA has every connection in its CRT, and has heard everybody out.
func (p *plex) routed() {
	p.t.Helper()
	for _, owner := range p.nodes {
		if owner.dead {
			continue
		}
		for _, row := range owner.stack.DVIPAs() {
			if row.Status != vipa.StatusActive {
				continue
			}
			dvipa := row.Prefix.Addr()
			if row.Settling || !owner.answers[dvipa] {
				p.t.Errorf("%s owns %s, settling %t, answers %t", owner.self.Stack, dvipa, row.Settling, owner.answers[dvipa])
			}
			count := 0
			for _, n := range p.nodes {
				for c := range n.connections {
					if n.dead || c.Local.Addr() != dvipa {
						continue
					}
					count++
					if target := owner.tables.CRT[c]; target != n.self.XCF {
						p.t.Errorf("connection %s to %s at %s goes to %s", c.Remote, c.Local, n.self.Stack, target)
					}
				}
			}
			for c := range owner.tables.CRT {
				if c.Local.Addr() == dvipa {
					count--
				}
			}
			if count != 0 {
				p.t.Errorf("%s has %d connections of %s too few", owner.self.Stack, count, dvipa)
			}
		}
	}
}

// ownerOf is the stack that owns a DVIPA, -1 if none does; two are an error.
func (p *plex) ownerOf(dvipa netip.Addr) int {
	p.t.Helper()
	owner := -1
	for i, n := range p.nodes {
		if n.dead || n.frozen {
			continue
		}
		for _, row := range n.stack.DVIPAs() {
			if row.Prefix.Addr() != dvipa || row.Status != vipa.StatusActive {
				continue
			}
			if owner >= 0 {
				p.t.Errorf("%s and %s own %s", p.nodes[owner].self.Stack, n.self.Stack, dvipa)
			}
			owner = i
		}
	}
	return owner
}

// found are seeds that once showed a defect: an owner lost while it was about to be told, a port that was not marked after a
// cut, one that was given back and held on, and one that was held as a later socket had asked for it.
var found = []uint64{358, 967, 13812, 18836}

// TestPlexOfFaults lets stacks die, freeze, be cut off and lose their links at any moment, several
// at once, while programs bind and clients connect. At no time do two stacks answer for a DVIPA,
// and when all is well again everything is where it belongs.
func TestPlexOfFaults(t *testing.T) {
	t.Parallel()
	for _, seed := range append(found, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14) {
		p := newPlex(t, rand.New(rand.NewPCG(seed, 2)))
		for range 30 {
			for range p.random.IntN(30) {
				if p.random.IntN(4) == 0 {
					p.fault(p.random.IntN(plexStacks))
				} else {
					p.act()
				}
			}
			if p.random.IntN(2) == 0 {
				p.settle()
			}
			p.restore()
			p.settle()
			p.agree()
			for i, dvipa := range []netip.Addr{plexDVA, plexDVB} {
				if owner := p.ownerOf(dvipa); owner != i {
					p.t.Errorf("%s is owned by stack %d, want its primary %d", dvipa, owner, i)
				}
			}
			if t.Failed() {
				t.Fatalf("seed %d", seed)
			}
		}
	}
}

// fault is one thing that goes wrong with a stack, or is put right.
func (p *plex) fault(i int) {
	n := p.nodes[i]
	if n.dead {
		p.start(i)
		return
	}
	switch p.random.IntN(5) {
	case 0:
		p.kill(i)
	case 1, 2:
		if n.frozen {
			p.thaw(i)
		} else {
			p.freeze(i)
		}
	case 3:
		if n.cut {
			p.heal(i)
		} else {
			p.isolate(i)
		}
	case 4:
		if i != 3 && !n.frozen {
			p.outside(i, !n.outside)
		}
	}
}

// restore puts everything right.
func (p *plex) restore() {
	for i, n := range p.nodes {
		switch {
		case n.dead:
			p.start(i)
		case n.frozen:
			p.thaw(i)
		}
		if n := p.nodes[i]; n.cut {
			p.heal(i)
		}
		if n := p.nodes[i]; i != 3 && !n.outside {
			p.outside(i, true)
		}
	}
}

// TestPlexOfOwners lets one thing happen at a time, and compares who owns what with the rules.
func TestPlexOfOwners(t *testing.T) {
	t.Parallel()
	for seed := range uint64(15) {
		p := newPlex(t, rand.New(rand.NewPCG(seed, 3)))
		p.calm = true
		p.settle()
		owners := map[netip.Addr]int{plexDVA: 0, plexDVB: 1}
		for range 60 {
			for range p.random.IntN(6) {
				p.act()
			}
			p.settle()
			p.single()
			p.settle()
			for dvipa, before := range owners {
				owners[dvipa] = p.due(dvipa, before)
				if owner := p.ownerOf(dvipa); owner != owners[dvipa] {
					t.Errorf("%s is owned by %d, want %d; it was %d", dvipa, owner, owners[dvipa], before)
				}
			}
			if t.Failed() {
				t.Fatalf("seed %d", seed)
			}
		}
	}
}

// single is a fault, or the end of one, that leaves at least two stacks that see each other.
func (p *plex) single() {
	i := p.random.IntN(plexStacks)
	n := p.nodes[i]
	switch well := !n.dead && !n.frozen && !n.cut; {
	case n.dead:
		p.start(i)
	case n.frozen:
		p.thaw(i)
	case n.cut:
		p.heal(i)
	case i != 3 && p.random.IntN(3) == 0:
		p.outside(i, !n.outside)
	case well && p.connected() > 2:
		[]func(int){p.kill, p.freeze, p.isolate}[p.random.IntN(3)](i)
	}
}

// due is the stack that is to own a DVIPA: its primary, if it is well; else who owned it, as long as
// that one is; else the backup of the highest rank.
func (p *plex) due(dvipa netip.Addr, before int) int {
	ranks := [plexStacks]int{1000, 20, 10, 250}
	if dvipa == plexDVB {
		ranks = [plexStacks]int{200, 1000, 10, -1}
	}
	well := func(i int) bool { n := p.nodes[i]; return !n.dead && !n.frozen && !n.cut }
	best, outside := -1, false
	for i, rank := range ranks {
		if n := p.nodes[i]; well(i) && rank >= 0 && (best < 0 || n.outside && !outside || n.outside == outside && rank > ranks[best]) {
			best, outside = i, n.outside
		}
	}
	switch {
	case !outside:
		// A stack does not know whose links are down besides its own; whoever has it keeps it.
		return p.ownerOf(dvipa)
	case ranks[best] == 1000:
		return best
	case before >= 0 && well(before) && p.nodes[before].outside:
		return before
	}
	return best
}
