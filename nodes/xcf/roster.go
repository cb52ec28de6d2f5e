package xcf

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/plexlab-dev/plexlab/nodes/contract"
)

// claim is what the HELLOs from one XCF address say of their sender.
type claim struct {
	contract.Member // Outside is not known from a HELLO
	port            uint16
	sequence        uint64
	heard           uint64    // our tick when it was last heard
	at              time.Time // the same, for people
	// gone: it said that it leaves, fell silent, or its connection ended; until it is heard
	// again it holds nothing.
	gone bool
	// leaving: gone because it said so.
	leaving bool
	// notBefore is the tick before which no connection with it is taken up again.
	notBefore uint64
	// endedAt is the tick in which its connection ended. What is heard in the same tick may
	// have been said before that, and does not bring it back.
	endedAt uint64
}

// roster decides which HELLOs are believed. It has no clock: time is our own HELLOs, ticks.
//
// Every HELLO claims a name and an XCF address for one incarnation.
//   - Within an incarnation the sequence grows, and an address never goes back to an
//     incarnation before the last one known there: everything else is a repetition.
//   - A name belongs to the earliest incarnation that is heard under it.
//   - An address belongs to the incarnation that is heard from it; a later one replaces it
//     as soon as that is gone, or has not been heard for contention ticks.
//   - The same holds against us: where we are the later, we stay out until the other is
//     gone. Once established at our address we keep it, because by the second rule the
//     others would not take back an earlier incarnation; after having been away for Dead
//     ourselves we are not established any more.
type roster struct {
	plex    string
	self    contract.Member
	silence uint64 // ticks
	// excused says of one that is silent that it will be heard again; see Config.Excused.
	excused func(contract.Member) bool
	tick    uint64
	claims  map[netip.Addr]*claim

	// established: a partner admitted us, or we were in the group for a time of silence.
	established bool
	since       uint64 // tick from which that time counts
	// rival is what keeps us out of the group, nil while nothing does.
	rival *claim
	// returned: we were away ourselves, for as long as partners wait.
	returned bool
}

func newRoster(plex string, self contract.Member, silence uint64, excused func(contract.Member) bool) *roster {
	return &roster{plex: plex, self: self, silence: silence, excused: excused, claims: make(map[netip.Addr]*claim)}
}

// hearing is what follows from one HELLO.
type hearing struct {
	// refused says why the HELLO is not believed; nothing else is set then but out.
	refused string
	// fresh: the sender should be answered at once.
	fresh bool
	// left: the sender says that it leaves.
	left bool
	// replaced: an earlier incarnation at the sender's address is over.
	replaced bool
	// ousted is the address of a member that must not go on under the sender's name.
	ousted netip.Addr
	// out says why we must stay out of the group from now on.
	out string
}

// hear takes in a HELLO.
func (r *roster) hear(h contract.Hello, at time.Time) hearing {
	next := &claim{
		Member: contract.Member{Stack: h.Stack, XCF: h.XCF, Incarnation: h.Incarnation},
		port:   h.TCPPort, sequence: h.Sequence, heard: r.tick, at: at, gone: h.Leaving, leaving: h.Leaving,
	}
	switch {
	case h.Plex != r.plex:
		return hearing{refused: fmt.Sprintf("it is of plex %s", h.Plex)}
	case h.XCF == r.self.XCF && h.Stack == r.self.Stack && h.Incarnation == r.self.Incarnation:
		return hearing{} // our own, heard by ourselves
	case h.XCF == r.self.XCF:
		return r.hearAtOurAddress(next)
	}
	known := r.claims[h.XCF]
	if refused := r.refusal(known, next); refused != "" {
		return hearing{refused: refused}
	}
	var result hearing
	if h.Stack == r.self.Stack {
		switch {
		case r.rival != nil && !same(r.rival, next):
		case earlier(next.Member, r.self):
			result.out = r.contest(next)
		case r.rival == nil:
			return hearing{refused: "it claims our name, which we have held before it"}
		}
	}
	for _, other := range r.claims { // at most one holds the name
		if other.gone || other.Stack != h.Stack || other.XCF == h.XCF {
			continue
		}
		if earlier(other.Member, next.Member) {
			return hearing{refused: fmt.Sprintf("its name belongs to incarnation %d at %s", other.Incarnation, other.XCF)}
		}
		other.gone = true
		result.ousted = other.XCF
	}
	if known == nil {
		if h.Leaving {
			return hearing{}
		}
		if !r.room() {
			return hearing{refused: fmt.Sprintf("the group has %d members already", contract.MaxMembers)}
		}
	}
	if known != nil && same(known, next) && known.gone && known.endedAt == r.tick {
		known.sequence = h.Sequence
		return hearing{}
	}
	result.left = h.Leaving
	result.fresh = !h.Leaving && (known == nil || known.gone || known.Incarnation != h.Incarnation)
	if known != nil {
		result.replaced = known.Incarnation != h.Incarnation
		next.notBefore = known.notBefore
	}
	r.claims[h.XCF] = next
	return result
}

// refusal says why a HELLO cannot follow what is known of its address.
func (r *roster) refusal(known, next *claim) string {
	switch {
	case known == nil:
		return ""
	case next.Incarnation < known.Incarnation:
		return fmt.Sprintf("incarnation %d is older than %d, known at this address", next.Incarnation, known.Incarnation)
	case next.Incarnation == known.Incarnation && next.Stack != known.Stack:
		return fmt.Sprintf("incarnation %d has the name %s", next.Incarnation, known.Stack)
	case next.Incarnation == known.Incarnation && next.sequence <= known.sequence:
		return fmt.Sprintf("repeated: sequence %d after %d", next.sequence, known.sequence)
	case next.Incarnation > known.Incarnation && !known.gone && r.tick-known.heard < contention:
		return fmt.Sprintf("its XCF address belongs to %s, incarnation %d, which is alive", known.Stack, known.Incarnation)
	}
	return ""
}

// hearAtOurAddress: somebody else says that our XCF address is its own. The kernel passes such a
// packet up only where accept_local is set (ip-sysctl), as it is on a routing stack's XCF link.
func (r *roster) hearAtOurAddress(next *claim) hearing {
	yield := !r.established && (r.returned || earlier(next.Member, r.self))
	if r.rival != nil && same(r.rival, next) || yield {
		if out := r.contest(next); out != "" {
			return hearing{out: out}
		}
		return hearing{}
	}
	return hearing{refused: "it claims our XCF address"}
}

// contest takes in a HELLO of what keeps us out, and returns why if we were in until now.
func (r *roster) contest(next *claim) string {
	before := r.rival
	if before != nil && same(before, next) && next.sequence <= before.sequence {
		return ""
	}
	if before == nil && next.leaving {
		return ""
	}
	r.rival = next
	if before != nil {
		return ""
	}
	return r.problem()
}

// problem says what keeps us out, or is empty.
func (r *roster) problem() string {
	switch by := r.rival; {
	case by == nil:
		return ""
	case by.XCF != r.self.XCF:
		return fmt.Sprintf("our name %s is taken by incarnation %d at %s; waiting until it is gone", by.Stack, by.Incarnation, by.XCF)
	case r.superseded():
		return fmt.Sprintf("our XCF address %s went to %s, incarnation %d, while we were away; this stack must be started again", by.XCF, by.Stack, by.Incarnation)
	default:
		return fmt.Sprintf("our XCF address %s is taken by %s, incarnation %d; waiting until it is gone", by.XCF, by.Stack, by.Incarnation)
	}
}

// superseded: the rival is a later incarnation at our address. Nobody takes us back.
func (r *roster) superseded() bool {
	return r.rival.XCF == r.self.XCF && r.rival.Incarnation > r.self.Incarnation
}

// same: two claims are of the same incarnation.
func same(a, b *claim) bool { return a.XCF == b.XCF && a.Incarnation == b.Incarnation }

// earlier: a was started before b; of two started at once the lower XCF address counts as
// the earlier.
func earlier(a, b contract.Member) bool {
	if a.Incarnation != b.Incarnation {
		return a.Incarnation < b.Incarnation
	}
	return a.XCF.Less(b.XCF)
}

// room makes room for one more claim, forgetting the one that is gone the longest.
func (r *roster) room() bool {
	if len(r.claims) < contract.MaxMembers-1 {
		return true
	}
	var oldest *claim
	for _, c := range r.claims {
		if c.gone && (oldest == nil || c.heard < oldest.heard) {
			oldest = c
		}
	}
	if oldest == nil {
		return false
	}
	delete(r.claims, oldest.XCF)
	return true
}

// pass counts one HELLO of our own. late: we were away for as long as partners wait. It returns whether what kept us
// out is over.
func (r *roster) pass(late bool) (back bool) {
	r.tick++
	if late {
		r.wasAway()
	}
	if r.rival == nil && r.tick-r.since > r.silence {
		r.established, r.returned = true, false
	}
	if r.rival != nil && !r.superseded() && (r.rival.leaving || r.tick-r.rival.heard > r.silence) {
		r.rival, r.since, back = nil, r.tick, true
	}
	return back
}

// suspects are those who have been silent for too long and are not excused. Who is not excused because its beat goes on
// has said HELLO before it beat, which may have yet to be heard.
func (r *roster) suspects() (suspects []netip.Addr) {
	for xcf, c := range r.claims {
		since := r.tick - c.heard
		if !c.gone && since > r.silence && (since > excusedFor*r.silence || !r.excused(c.Member)) {
			suspects = append(suspects, xcf)
		}
	}
	return suspects
}

// condemn returns those of the suspects who have not been heard since: they are gone.
func (r *roster) condemn(suspects []netip.Addr) (silent []netip.Addr) {
	for _, xcf := range suspects {
		if c := r.claims[xcf]; c != nil && !c.gone && r.tick-c.heard > r.silence {
			c.gone = true
			silent = append(silent, xcf)
		}
	}
	return silent
}

// fresh says whether an address was heard within half the time of silence.
func (r *roster) fresh(xcf netip.Addr) bool { return r.tick-r.claims[xcf].heard <= r.silence/2 }

// wasAway notes that we were away ourselves, until now: our name and address may have gone to another.
func (r *roster) wasAway() { r.established, r.returned, r.since = false, true, r.tick }

// admissible says whether a partner that introduces itself may be in the group: wait means
// that a HELLO to come may change the answer.
func (r *roster) admissible(who contract.Member) (wait bool, err error) {
	known := r.claims[who.XCF]
	switch {
	case r.rival != nil:
		return false, fmt.Errorf("we are not in the group")
	case known == nil, known.Incarnation < who.Incarnation, known.Incarnation == who.Incarnation && known.gone:
		return true, fmt.Errorf("no HELLO of %s, incarnation %d, was accepted", who.Stack, who.Incarnation)
	case known.Incarnation > who.Incarnation:
		return false, fmt.Errorf("incarnation %d is older than %d, known at this address", who.Incarnation, known.Incarnation)
	case known.Stack != who.Stack:
		return false, fmt.Errorf("it calls itself %s, its HELLOs %s", who.Stack, known.Stack)
	case r.tick < known.notBefore:
		return false, fmt.Errorf("its last connection was given up a short time ago")
	}
	return false, nil
}

// admitted notes that a partner has us in the group.
func (r *roster) admitted() { r.established, r.returned = true, false }

// end notes that the connection with a member is over. With pause, none is taken up again
// for a time of silence.
func (r *roster) end(member contract.Member, pause bool) {
	c := r.claims[member.XCF]
	if c == nil || c.Incarnation != member.Incarnation {
		return
	}
	c.gone, c.endedAt = true, r.tick
	if pause {
		c.notBefore = r.tick + r.silence
	}
}
