package vipa

import (
	"net/netip"
	"slices"

	"github.com/plexlab-dev/plexlab/nodes/contract"
)

// known is the highest ownership epoch that the stack has heard of for a DVIPA. At most one stack
// has it: epochs are taken outside the core, each once in the whole plex, and grow.
type known struct {
	epoch  uint64
	holder contract.Member // who took it
	// until is the number of the last list in which this stack owned it, if it is the holder and
	// owns it no more.
	until uint64
	// unheard: a refusal told of it; the list of the holder is still to come.
	unheard bool
	// lives: when the refusal came the holder's process lived, and nothing else was heard since.
	lives bool
}

// taking is a TakeOwnership that is not answered.
type taking struct{ standby bool }

// bid is what this stack does about a DVIPA that it does not own.
type bid uint8

const (
	leaveIt bid = iota
	// standBy: take it if those who come first do not.
	standBy
	takeIt
)

// reconsider gives up what this stack is not to own any more, and asks for what it is to own. It
// runs whenever something was heard that can change who is to own a DVIPA.
func (s *Stack) reconsider() {
	s.addresses = nil
	s.list = s.completeList()
	for _, d := range s.dvipas {
		if d.routing != nil && !s.keeps(d) {
			s.due = true
		}
	}
	if s.due {
		// Told by a list without an owner, so that a backup need not wait for anything.
		s.initialize(nil, nil)
		return
	}
	for _, address := range s.sortedDVIPAs() {
		d := s.dvipas[address]
		if d.routing == nil {
			s.bidFor(d)
		}
		s.answerBinds(d)
		if d.listed != nil && d.listed.ended && !s.contended(d) {
			d.forget()
			s.settle(d)
		}
	}
	s.askAgain()
	s.started = s.started || s.gathered && !s.asking()
}

// asking: there is a DVIPA that this stack asked for, not as one that stands by, and has no answer.
func (s *Stack) asking() bool {
	for _, d := range s.dvipas {
		if d.taking != nil && !d.taking.standby {
			return true
		}
	}
	return false
}

// bidFor asks for the ownership of a DVIPA if it is this stack's turn, or does not any more.
func (s *Stack) bidFor(d *dvipa) {
	bid := s.bids(d)
	switch asked := d.taking; {
	case bid == leaveIt && asked != nil:
		d.taking = nil
		s.do(LeaveOwnership{DVIPA: d.address})
		s.settle(d)
		return
	case bid == leaveIt, asked != nil && (bid == standBy || !asked.standby):
		return
	}
	d.taking = &taking{standby: bid == standBy}
	s.do(TakeOwnership{
		DVIPA: d.address, After: s.epochs[d.address].epoch, Wait: s.mustWait(d), Standby: bid == standBy,
	})
}

// mustWait says whether a DVIPA is answered for by somebody who cannot be told to stop.
func (s *Stack) mustWait(d *dvipa) bool { return d.leased || s.mayAnswer(s.epochs[d.address]) }

// mayAnswer says whether a stack that was lost may still answer for what it owned.
func (c Cause) mayAnswer() bool { return c != Ended && c != Left }

// mayAnswer says whether who had the DVIPA last may still answer for it: it lives, or is frozen, and
// cannot be told. A living partner is told by the list; it says so before this stack advertises.
func (s *Stack) mayAnswer(k known) bool {
	if k.epoch == 0 || k.holder.XCF == s.self.XCF || s.living(k.holder) && !k.unheard {
		return false
	}
	if k.unheard {
		return true // nor is it known whether those before it had ended when it took the epoch
	}
	was, member := s.lost[k.holder.XCF]
	return member && was.incarnation == k.holder.Incarnation && was.cause.mayAnswer()
}

// ownershipTaken: this stack is the routing stack of these DVIPAs from now on.
func (s *Stack) ownershipTaken(ev OwnershipTaken) {
	s.due = true
	var acquired []*dvipa
	for _, o := range ev.Taken {
		d := s.dvipas[o.DVIPA]
		if d != nil {
			d.taking = nil
		}
		switch {
		case d != nil && d.routing != nil && o.Epoch <= d.routing.epoch: // answered twice
		case o.Epoch <= s.epochs[o.DVIPA].epoch: // somebody else has it since
			s.do(EndOwnership{DVIPA: o.DVIPA, Epoch: o.Epoch})
		case d != nil && s.keeps(d) && (o.Waited || !s.mustWait(d)):
			s.acquire(d, o.Epoch)
			acquired = append(acquired, d)
			continue
		default:
			// It is not wanted any more, or who was to be told has been lost since: then it is asked for anew.
			if d != nil {
				d.leased = !o.Waited && s.mustWait(d)
			}
			s.do(EndOwnership{DVIPA: o.DVIPA, Epoch: o.Epoch})
			s.broadcast(s.former([]Ownership{o}))
			s.epochs[o.DVIPA] = known{epoch: o.Epoch, holder: s.self, until: s.lists}
			s.broadcast(s.list)
		}
		if d != nil {
			s.settle(d)
		}
	}
	if len(acquired) > 0 {
		s.initialize(acquired, ev.Connections)
	}
}

// acquire makes this stack the owner, before any other stack hears of it.
func (s *Stack) acquire(d *dvipa, epoch uint64) {
	if d.routing != nil {
		s.relinquish(d)
	}
	if d.binding != nil {
		d.ranged, d.rangePorts, d.binding = d.binding, d.binding.ClusterPorts, nil
	}
	entry := d.ownedAs()
	d.routing = newRouting(entry.Prefix, epoch)
	if owner, lives := s.owner(d); lives && owner != s.self {
		d.routing.before = &owner
	}
	// Where nobody ever owned the DVIPA, nobody can have connections to it.
	if s.epochs[d.address].epoch > 0 {
		d.routing.awaited = make(map[netip.Addr]uint64)
	}
	s.epochs[d.address] = known{epoch: epoch, holder: s.self}
	d.fresh, d.leased = false, false
	if !s.uses(d) {
		d.clusterWide = entry.ClusterPorts
	}
	s.addresses = nil
}

// disclaim tells a partner, which would own DVIPAs that this stack was the last to take and does not
// own, of the beginning and the end of those ownerships. It joined later, and may have been refused
// because of them.
func (s *Stack) disclaim(m *member) {
	var over []Ownership
	for _, address := range sortedAddresses(m.entries) {
		d, k := s.dvipas[address], s.epochs[address]
		owned := m.entries[address].Owner || d != nil && d.routing != nil
		if owned || k.holder != s.self || m.since <= k.until || m.disclaimed[address] == k.epoch {
			continue
		}
		if m.disclaimed == nil {
			m.disclaimed = make(map[netip.Addr]uint64)
		}
		m.disclaimed[address] = k.epoch
		over = append(over, Ownership{DVIPA: address, Epoch: k.epoch})
	}
	if len(over) > 0 {
		m.told += 2
		s.tell(m.XCF, s.former(over))
		s.tell(m.XCF, s.list)
	}
}

// former is the complete list as if this stack still owned some DVIPAs.
func (s *Stack) former(over []Ownership) contract.VIPAList {
	list := contract.VIPAList{SourceIPAs: s.list.SourceIPAs, NoWayOut: s.list.NoWayOut}
	for _, o := range over {
		entry := contract.DVIPA{Prefix: netip.PrefixFrom(o.DVIPA, o.DVIPA.BitLen()), Role: contract.RolePrimary}
		switch d := s.dvipas[o.DVIPA]; {
		case d == nil:
		case d.ownedAs().Prefix.IsValid():
			entry = d.ownedAs()
		case d.listed != nil:
			entry = d.listed.entry
		}
		entry.Owner, entry.Epoch = true, o.Epoch
		list.DVIPAs = append(list.DVIPAs, entry)
	}
	for _, entry := range s.list.DVIPAs {
		if !slices.ContainsFunc(over, func(o Ownership) bool { return o.DVIPA == entry.Prefix.Addr() }) {
			list.DVIPAs = append(list.DVIPAs, entry)
		}
	}
	return list
}

// ownershipRefused: another stack has the DVIPA at a higher epoch. An ownership of this stack is
// over with it; its list says so to those who do not see the new owner.
func (s *Stack) ownershipRefused(ev OwnershipRefused) {
	s.due = true
	d := s.dvipas[ev.DVIPA]
	if d != nil {
		d.taking = nil
	}
	if same(ev.Owner, s.self) {
		return
	}
	switch k := s.epochs[ev.DVIPA]; {
	case ev.Epoch > k.epoch:
		s.epochs[ev.DVIPA] = known{epoch: ev.Epoch, holder: ev.Owner, unheard: true, lives: ev.Lives}
	case ev.Epoch == k.epoch && k.unheard:
		k.lives = ev.Lives
		s.epochs[ev.DVIPA] = k
	}
	if d != nil && d.routing != nil && d.routing.epoch < ev.Epoch {
		s.relinquish(d)
		s.initialize(nil, nil)
	}
	if d != nil {
		s.settle(d)
	}
}

// relinquish ends the ownership here; who is told, and how, is for the caller.
func (s *Stack) relinquish(d *dvipa) {
	if len(d.routing.awaited) > 0 {
		s.do(Settle{DVIPA: d.address})
	}
	s.do(Withdraw{DVIPA: d.address})
	s.do(d.routing.clear(d.address)...)
	k := s.epochs[d.address]
	k.until = s.lists
	s.epochs[d.address] = k
	d.routing = nil
	s.addresses = nil
}

// over: what refusals told of these holders holds no more; they are gone, or not to be waited for.
func (s *Stack) over(gone func(holder contract.Member) bool) {
	for address, k := range s.epochs {
		if k.lives && gone(k.holder) {
			k.lives = false
			s.epochs[address] = k
		}
	}
}
