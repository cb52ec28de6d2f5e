package cf

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"slices"

	"github.com/plexlab-dev/plexlab/nodes/contract"
	"github.com/plexlab-dev/plexlab/nodes/contract/portfile"
)

// Joined takes in a new member of the group. An earlier incarnation at its address is lost first.
func (d *Distributor) Joined(m contract.Member) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if old := d.members[m.XCF]; old != nil {
		d.lose(old)
	}
	slot := slices.Index(d.slots[:], false)
	if slot < 0 {
		d.config.Logger.Error("a stack gets no ports: the plex has too many", "member", m.Stack, "most", len(d.slots))
		return
	}
	d.slots[slot] = true
	d.members[m.XCF] = &partner{Member: m, slot: slot}
}

// Lost gives back what a stack held that left the group, for whatever reason (T32). If it lives and
// was out of reach, it tells what it holds when it is back.
func (d *Distributor) Lost(m contract.Member) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if p := d.partner(m); p != nil {
		d.lose(p)
	}
}

// partner is a member that is known by this very incarnation, else nil.
func (d *Distributor) partner(m contract.Member) *partner {
	if p := d.members[m.XCF]; p != nil && p.Incarnation == m.Incarnation {
		return p
	}
	return nil
}

func (d *Distributor) lose(p *partner) {
	delete(d.members, p.XCF)
	d.slots[p.slot] = false
	for _, s := range d.shares {
		if s.table != nil {
			delete(s.table.told, p.XCF)
			resting := s.table.uniqueOf(p.slot)
			if n := s.table.reclaim(p.slot, d.restIf(true)); n > 0 {
				d.config.Logger.Info("took back the ports of a stack", "member", p.Stack, "dvipa", s.dvipa, "ports", n)
			}
			d.tellResting(s.table, resting, netip.Addr{})
			d.nudge(s)
		}
		if s.keeper.Member == p.Member {
			d.remember(s, slices.Collect(maps.Keys(s.keepers)))
			d.follow(s, keeper{})
		}
	}
}

// Announce comes before a list of this stack is sent to a member, or to all if to is the zero Addr: the
// stack is the owner of what the list says, and of nothing else.
func (d *Distributor) Announce(to netip.Addr, list contract.VIPAList) {
	d.mu.Lock()
	defer d.mu.Unlock()
	sent := announced{number: d.lists + 1}
	owned := make(map[netip.Addr]bool)
	for _, e := range list.DVIPAs {
		if !e.Owner || !e.ClusterPorts {
			continue
		}
		s := d.share(e.Prefix.Addr())
		owned[s.dvipa] = true
		d.own(s, e)
		sent.tables = append(sent.tables, s.table)
	}
	for dvipa, s := range d.shares {
		if s.table != nil && !owned[dvipa] {
			d.relinquish(s)
		}
	}
	d.lists = sent.number
	for xcf, p := range d.members {
		if !to.IsValid() || xcf == to {
			p.lists = append(p.lists, sent)
		}
	}
}

// relinquish ends the table of this stack. What rests in it the next owner is to be told.
func (d *Distributor) relinquish(s *share) {
	for _, port := range s.table.resting() {
		s.rested[port] = portfile.RestOf(s.table.entry, port)
	}
	s.table = nil
	d.nudge(s)
}

// own makes this stack the owner of a DVIPA, or takes in what has changed of it. A new table begins
// with what the stack holds itself.
func (d *Distributor) own(s *share, e contract.DVIPA) {
	if s.table == nil || s.table.epoch != e.Epoch {
		s.owned = e.Epoch
		s.table = newTable(s.dvipa, e.Epoch, d.pool(), d.config.Self.Incarnation)
		s.table.mark(ownSlot, s.has(), 0)
		for _, port := range s.rests() {
			s.table.free(ownSlot, port, d.restIf(true))
		}
		d.follow(s, keeper{})
	}
	s.table.avoid = nil
	if e.Distribution != nil {
		s.table.avoid = e.Distribution.Ports
	}
}

// untold are the members that an owner has yet to hear of what they hold.
func (d *Distributor) untold(t *table) []string {
	var names []string
	for xcf, p := range d.members {
		if !t.told[xcf] {
			names = append(names, p.Stack)
		}
	}
	slices.Sort(names)
	return names
}

// Follow takes in what the list of another stack says of a DVIPA, if it is accepted: that the sender
// is the owner and keeps the table of its ports, also where that was this stack until then. The zero
// owner: nobody keeps one. The owner is told what this stack holds.
func (d *Distributor) Follow(dvipa netip.Addr, owner contract.Member, epoch uint64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	s := d.share(dvipa)
	if s.table != nil && owner.XCF.IsValid() {
		d.relinquish(s)
	}
	k := keeper{owner, epoch}
	if d.partner(owner) == nil {
		k = keeper{} // it was lost since
	}
	another := s.keeper != k
	d.follow(s, k)
	d.tell(s, s.has())
	if another {
		d.giveBack(s, s.rests(), true)
	}
}

// Kept says whether somebody keeps a table of the ports of a DVIPA, this stack included.
func (d *Distributor) Kept(dvipa netip.Addr) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	s := d.shares[dvipa]
	return s != nil && (s.table != nil || s.keeper.valid())
}

func (d *Distributor) follow(s *share, k keeper) {
	if s.keeper != k {
		s.keeper = k
		clear(s.keepers)
		d.forget(s)
	}
}

// Receive takes in a message of a member and says whether it was for the coupling facility
// alone.
func (d *Distributor) Receive(from contract.Member, message contract.Message) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if p := d.partner(from); p != nil { // else it was lost since
		d.receive(p, message)
	}
	switch message.(type) {
	case contract.PortAnswer, contract.PortClaim, contract.PortRelease, contract.PortsHeld:
		return true
	}
	return false
}

func (d *Distributor) receive(p *partner, message contract.Message) {
	switch m := message.(type) {
	case contract.EndOfList:
		d.ended(p)
	case contract.PortAnswer:
		d.answered(p, m)
	case contract.PortClaim:
		if t := d.addressed(p, m, m.DVIPA, m.XCF, m.Epoch); t != nil {
			d.config.Send(p.XCF, d.serve(t, p, m))
		}
	case contract.PortRelease:
		if t := d.addressed(p, m, m.DVIPA, m.XCF, m.Epoch); t != nil {
			for _, port := range m.Ports {
				t.free(p.slot, port, d.restIf(m.Rest))
			}
			if m.Rest {
				d.tellResting(t, m.Ports, p.XCF)
			}
		}
	case contract.PortsHeld:
		if s := d.shares[m.DVIPA]; s != nil && s.keeper == (keeper{p.Member, m.Epoch}) {
			d.toldByKeeper(s, m)
		} else if t := d.addressed(p, m, m.DVIPA, m.XCF, m.Epoch); t != nil {
			d.note(t, p, m)
		}
	}
}

// addressed is the table that a message of a member is for; nil, and a log line, if there is none,
// or it is for an ownership that is over. Only where it is for none that this stack had, the member errs.
func (d *Distributor) addressed(from *partner, m contract.Message, dvipa, xcf netip.Addr, epoch uint64) *table {
	s, reason := d.shares[dvipa], ""
	switch {
	case s == nil || s.table == nil:
		reason = "this stack keeps no table of its ports"
	case from.XCF != xcf:
		reason = fmt.Sprintf("it speaks of %s, not of its sender", xcf)
	case s.table.epoch != epoch:
		reason = fmt.Sprintf("it is of epoch %d, this is epoch %d", epoch, s.table.epoch)
	default:
		return s.table
	}
	level := slog.LevelWarn
	if s != nil && from.XCF == xcf && epoch > 0 && epoch <= s.owned {
		level = slog.LevelInfo // it was under way at a takeover
	}
	d.config.Logger.Log(context.Background(), level, "refused", "kind", m.Kind(), "from", from.Stack, "xcf", from.XCF, "dvipa", dvipa, "reason", reason)
	return nil
}

// serve answers a claim.
func (d *Distributor) serve(t *table, from *partner, m contract.PortClaim) contract.PortAnswer {
	answer := contract.PortAnswer{ID: m.ID}
	if untold := d.untold(t); untold != nil {
		answer.Outcome, answer.Holder = contract.PortBusy, untold[0]
		return answer
	}
	use := Shared
	if m.Unique {
		use = Unique
	}
	port, holders := t.serve(from.slot, m.ID, m.Port, use, d.lists)
	switch {
	case port != 0:
		answer.Outcome, answer.Port = contract.PortGranted, port
	case m.Port == 0:
		answer.Outcome = contract.PortNoneLeft
	default:
		answer.Outcome, answer.Holder = contract.PortInUse, d.member(holders[0]).Stack
	}
	return answer
}

// note takes in what a member holds.
func (d *Distributor) note(t *table, from *partner, m contract.PortsHeld) {
	var ports []Held
	for _, port := range m.Shared {
		ports = append(ports, Held{port, Shared})
	}
	for _, port := range m.Unique {
		ports = append(ports, Held{port, Unique})
	}
	answers := d.lists
	if len(from.lists) > 0 {
		answers = from.lists[0].number
	}
	twice := make(map[netip.Addr][]uint16) // by the XCF address of the other holder
	for port, others := range t.mark(from.slot, ports, answers) {
		for _, slot := range others {
			holder := d.member(slot)
			d.twice(t.dvipa, port, from.Member, holder)
			twice[holder.XCF] = append(twice[holder.XCF], port)
		}
	}
	for _, holder := range slices.SortedFunc(maps.Keys(twice), netip.Addr.Compare) {
		slices.Sort(twice[holder])
		d.tellTwice(t, from.XCF, holder, twice[holder])
		d.tellTwice(t, holder, from.XCF, twice[holder])
	}
}

// twice tells a person of a port with two holders. A stack that was out of reach so long that its ports were given
// back may find that another stack has one when it is back.
func (d *Distributor) twice(dvipa netip.Addr, port uint16, stack, holder contract.Member) {
	d.config.Logger.Warn("two stacks hold a port of a DVIPA: end the socket of one", "dvipa", dvipa, "port", port,
		"stack", stack.Stack, "holder", describe(portfile.Member{Stack: holder.Stack, XCF: holder.XCF}))
}

// tellTwice tells a holder, if that is not this stack, which of its ports another one has too.
func (d *Distributor) tellTwice(t *table, to, holder netip.Addr, ports []uint16) {
	if to == d.config.Self.XCF {
		return
	}
	for some := range slices.Chunk(ports, contract.MaxPorts) {
		d.config.Send(to, contract.PortsHeld{DVIPA: t.dvipa, XCF: holder, Unique: some, Epoch: t.epoch})
	}
}

// toldByKeeper takes in what the owner tells of ports: which it has itself, which rest in its table, and which of this
// stack's another one has too.
func (d *Distributor) toldByKeeper(s *share, m contract.PortsHeld) {
	if m.XCF == s.keeper.XCF {
		for _, port := range m.Unique {
			s.keepers[port] = true
		}
		for _, port := range m.Resting {
			delete(s.keepers, port)
		}
		d.remember(s, m.Resting)
	}
	if m.XCF == d.config.Self.XCF {
		return
	}
	holder := contract.Member{Stack: m.XCF.String(), XCF: m.XCF}
	if p := d.members[m.XCF]; p != nil {
		holder = p.Member
	}
	for _, port := range m.Unique {
		if s.held.has(port) {
			d.twice(s.dvipa, port, d.config.Self, holder)
		}
	}
}

// tellResting tells the other members, apart from the one that gave them back, of ports that begin to rest in a
// table of this stack: it may be gone when the next owner asks.
func (d *Distributor) tellResting(t *table, ports []uint16, from netip.Addr) {
	for xcf := range d.members {
		if xcf != from {
			d.tellMember(t, xcf, nil, ports)
		}
	}
}

// tellOwn tells the members of unique ports that this stack has come to have in its own table, if it keeps one: when
// it is gone, nobody else knows of them.
func (d *Distributor) tellOwn(s *share, unique []uint16) {
	if s.table == nil {
		return
	}
	for xcf := range d.members {
		d.tellMember(s.table, xcf, unique, nil)
	}
}

// tellMember tells a member of unique ports of this stack, and of those that rest, in a table of its own.
func (d *Distributor) tellMember(t *table, to netip.Addr, unique, resting []uint16) {
	if d.config.Rest == 0 {
		return
	}
	for some := range slices.Chunk(unique, contract.MaxPorts) {
		d.config.Send(to, contract.PortsHeld{DVIPA: t.dvipa, XCF: d.config.Self.XCF, Unique: some, Epoch: t.epoch})
	}
	for some := range slices.Chunk(resting, contract.MaxPorts) {
		d.config.Send(to, contract.PortsHeld{DVIPA: t.dvipa, XCF: d.config.Self.XCF, Resting: some, Epoch: t.epoch})
	}
}

// remember keeps in mind what rests at the owner.
func (d *Distributor) remember(s *share, resting []uint16) {
	for _, port := range resting {
		s.rested[port] = d.restIf(true)
	}
}

// ended: a member has answered the oldest list that it has.
func (d *Distributor) ended(p *partner) {
	if len(p.lists) == 0 {
		return
	}
	list := p.lists[0]
	p.lists = p.lists[1:]
	for _, t := range list.tables {
		if !t.told[p.XCF] {
			d.tellMember(t, p.XCF, t.uniqueOf(ownSlot), t.resting())
		}
		t.told[p.XCF] = true
		d.tellResting(t, t.settle(p.slot, list.number, d.restIf(true)), netip.Addr{})
		d.nudge(d.share(t.dvipa))
	}
}
