package cf

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/plexlab-dev/plexlab/nodes/contract"
	"github.com/plexlab-dev/plexlab/nodes/contract/portfile"
)

// Distributor is the coupling facility of a plex without shared memory (T35): the owner of a
// DVIPA, which distributes its connections, keeps the table of its ports, and the other stacks ask it
// over XCF. Every stack has one, owner or not.
//
// What happens on XCF is told to it in the order in which it happens: Joined, Lost and Receive;
// Announce before each list that the stack sends; Follow for what lists of others say,
// before their END_OF_LIST is sent. None of these waits.
//
// A port is the stack's from the moment that its owner grants it, not from Commit on. Abort gives it
// back.
type Distributor struct {
	config DistributorConfig

	mu      sync.Mutex
	shares  map[netip.Addr]*share   // by DVIPA
	members map[netip.Addr]*partner // of the group, without the stack itself, by XCF address
	slots   [contract.MaxMembers]bool
	lists   uint64 // announced so far
	// inherited are ports of shares that sockets had before the stack was started, see Inherited.
	inherited map[netip.Addr][]uint16

	claims map[uint64]*asking // by ID
	lastID uint64
}

// DistributorConfig is how one stack takes part.
type DistributorConfig struct {
	Self contract.Member
	// Pool are the ports that port 0 is answered from where this stack is the owner; the zero
	// value is DefaultPool.
	Pool contract.PortRange
	// Rest is how long ports rest that are released to rest, and the unique ones of a stack that is
	// gone: 0, not at all, to portfile.MaxRest; DefaultRest is the usual.
	Rest time.Duration
	// InUse is as in Config.
	InUse func(dvipa netip.Addr) []uint16
	// Timeout is how long the owner's answer is waited for; 0 is DefaultLockTimeout.
	Timeout time.Duration
	// Send queues a message for a member, in order, and neither waits nor calls the Distributor.
	// What it cannot send, because the member is lost, is made up for when the member
	// is back.
	Send func(to netip.Addr, m contract.Message)
	// Logger takes what a person should know; nil discards it.
	Logger *slog.Logger
}

// share is what this stack has to do with the ports of one DVIPA.
type share struct {
	dvipa netip.Addr
	table *table // not nil where this stack is the owner
	// owned is the epoch at which it was last; 0: never.
	owned uint64
	// keeper is the other stack that is; not valid where none is known.
	keeper keeper

	held      holding
	granted   map[uint16]grant // to claims of this stack that are neither committed nor aborted
	releasing map[uint16]bool  // whose sockets are being looked for
	// rested are the ports that this stack gave back to rest, and those that an owner told of: a new owner is told.
	rested map[uint16]portfile.Rest
	// keepers are the unique ports that the owner has itself, as far as it told: they rest if it is lost.
	keepers map[uint16]bool
}

// keeper is the owner of a DVIPA, at one epoch.
type keeper struct {
	contract.Member
	epoch uint64
}

func (k keeper) valid() bool { return k.XCF.IsValid() }

// grant is a port of claims that are under way.
type grant struct {
	claims int
	use    Use
}

// partner is a member of the group.
type partner struct {
	contract.Member
	slot  int         // in the tables of this stack
	lists []announced // that it has not ended yet, oldest first
}

// announced is a list that was sent to a member.
type announced struct {
	number uint64
	tables []*table
}

// NewDistributor takes part in a group that has no members yet.
func NewDistributor(config DistributorConfig) (*Distributor, error) {
	if config.Pool == (contract.PortRange{}) {
		config.Pool = DefaultPool
	}
	config.Timeout = cmp.Or(config.Timeout, DefaultLockTimeout)
	if config.Logger == nil {
		config.Logger = slog.New(slog.DiscardHandler)
	}
	if config.InUse == nil {
		config.InUse = func(netip.Addr) []uint16 { return nil }
	}
	switch {
	case config.Pool.First < 1 || config.Pool.First > config.Pool.Last:
		return nil, fmt.Errorf("pool %d to %d, want 1 <= first <= last", config.Pool.First, config.Pool.Last)
	case config.Rest < 0 || config.Rest > portfile.MaxRest:
		return nil, fmt.Errorf("rest of %v, want 0 to %v", config.Rest, portfile.MaxRest)
	case config.Timeout < 0:
		return nil, fmt.Errorf("timeout of %v, want none below 0", config.Timeout)
	}
	d := &Distributor{
		config: config, shares: make(map[netip.Addr]*share), members: make(map[netip.Addr]*partner), claims: make(map[uint64]*asking),
		inherited: make(map[netip.Addr][]uint16),
	}
	d.slots[ownSlot] = true
	return d, nil
}

// share returns what there is of a DVIPA.
func (d *Distributor) share(dvipa netip.Addr) *share {
	s := d.shares[dvipa]
	if s == nil {
		s = &share{
			dvipa: dvipa, granted: make(map[uint16]grant), releasing: make(map[uint16]bool), rested: make(map[uint16]portfile.Rest),
			keepers: make(map[uint16]bool),
		}
		d.shares[dvipa] = s
		if ports := d.config.InUse(dvipa); len(ports) > 0 {
			for _, port := range ports {
				s.held.add(port, Shared)
			}
			d.inherited[dvipa] = ports
		}
	}
	return s
}

// Inherited is as that of File.
func (d *Distributor) Inherited() map[netip.Addr][]uint16 {
	d.mu.Lock()
	defer d.mu.Unlock()
	inherited := d.inherited
	d.inherited = make(map[netip.Addr][]uint16)
	return inherited
}

// pool is that of the tables that this stack keeps.
func (d *Distributor) pool() portfile.Pool {
	return portfile.Pool{First: d.config.Pool.First, Last: d.config.Pool.Last}
}

// Activate has nothing to do: the entry of a DVIPA is made with the list that says that this stack is
// its owner.
func (d *Distributor) Activate(netip.Addr) error { return nil }

// Mark notes ports that are in use already (T21, T22): in the table of this stack, or of its own at
// the owner, whose log then has the conflicts. For another stack only the owner does so.
func (d *Distributor) Mark(_ context.Context, dvipa, holder netip.Addr, ports []Held) ([]Conflict, error) {
	for _, held := range ports {
		if err := held.check(dvipa); err != nil {
			return nil, err
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	s := d.share(dvipa)
	slot := ownSlot
	if holder != d.config.Self.XCF {
		p := d.members[holder]
		if p == nil {
			return nil, fmt.Errorf("mark ports of %s: no stack with XCF address %s is in the group: %w", dvipa, holder, unix.ESRCH)
		}
		slot = p.slot
	}
	var conflicts []Conflict
	if s.table != nil {
		others := s.table.mark(slot, ports, d.lists)
		for _, port := range slices.Sorted(maps.Keys(others)) {
			conflicts = append(conflicts, Conflict{port, d.stacks(others[port])})
		}
	}
	if slot == ownSlot {
		var unique []uint16
		for _, held := range ports {
			s.held.add(held.Port, held.Use)
			if held.Use == Unique {
				unique = append(unique, held.Port)
			}
		}
		d.tell(s, ports)
		d.tellOwn(s, unique)
	}
	return conflicts, nil
}

// Release gives ports of this stack back (Figure 6, block 608; Figure 14, block 190).
func (d *Distributor) Release(_ context.Context, dvipa netip.Addr, ports []Release, unused func([]uint16) ([]uint16, error)) ([]uint16, error) {
	d.mu.Lock()
	s := d.share(dvipa)
	rests := map[uint16]bool{}
	mine := held(ports, rests, func(port uint16) bool { return s.held.has(port) && !d.wanted(s, port) })
	for _, port := range mine {
		s.releasing[port] = true // so that nobody claims it meanwhile
	}
	d.mu.Unlock()

	free, err := ask(unused, mine)

	d.mu.Lock()
	defer d.mu.Unlock()
	for _, port := range mine {
		delete(s.releasing, port)
	}
	d.nudge(s)
	if err != nil {
		return nil, err
	}
	for _, port := range free {
		s.held.remove(port)
	}
	for _, rest := range []bool{false, true} {
		ports := slices.DeleteFunc(slices.Clone(free), func(port uint16) bool { return rests[port] != rest })
		d.giveBack(s, ports, rest)
		for _, port := range ports {
			s.rested[port] = d.restIf(rest)
		}
	}
	return free, nil
}

// rests are the ports that rest still and that this stack has not taken again, in order.
func (s *share) rests() []uint16 {
	now := bootTime()
	maps.DeleteFunc(s.rested, func(port uint16, until portfile.Rest) bool {
		return until.Left(now) == 0 || s.held.has(port) || s.granted[port].claims > 0
	})
	return slices.Sorted(maps.Keys(s.rested))
}

// wanted says whether a claim of this stack is under way for a port.
func (d *Distributor) wanted(s *share, port uint16) bool {
	if s.granted[port].claims > 0 {
		return true
	}
	for _, a := range d.claims {
		if !a.over && a.request.DVIPA == s.dvipa && a.request.Port == port {
			return true
		}
	}
	return false
}

// giveBack frees ports that this stack does not hold any more at whoever keeps the table.
func (d *Distributor) giveBack(s *share, ports []uint16, rest bool) {
	switch {
	case s.table != nil:
		for _, port := range ports {
			s.table.free(ownSlot, port, d.restIf(rest))
		}
		if rest {
			d.tellResting(s.table, ports, netip.Addr{})
		}
	case s.keeper.valid():
		for some := range slices.Chunk(ports, contract.MaxPorts) {
			d.config.Send(s.keeper.XCF, contract.PortRelease{
				DVIPA: s.dvipa, XCF: d.config.Self.XCF, Ports: some, Rest: rest, Epoch: s.keeper.epoch,
			})
		}
	}
}

// restIf is the rest that begins now, if there is to be one.
func (d *Distributor) restIf(rest bool) portfile.Rest {
	if !rest {
		return 0
	}
	return portfile.RestUntil(bootTime(), d.config.Rest)
}

// tell tells the owner, if it is another stack, of ports that this one holds.
func (d *Distributor) tell(s *share, ports []Held) {
	if s.table != nil || !s.keeper.valid() {
		return
	}
	for some := range slices.Chunk(ports, contract.MaxPorts) {
		message := contract.PortsHeld{DVIPA: s.dvipa, XCF: d.config.Self.XCF, Epoch: s.keeper.epoch}
		for _, held := range some {
			if held.Use == Unique {
				message.Unique = append(message.Unique, held.Port)
			} else {
				message.Shared = append(message.Shared, held.Port)
			}
		}
		d.config.Send(s.keeper.XCF, message)
	}
}

// has is everything that this stack holds of a DVIPA, claims that are under way included.
func (s *share) has() []Held {
	all := s.held.ports()
	for _, port := range slices.Sorted(maps.Keys(s.granted)) {
		if !s.held.has(port) {
			all = append(all, Held{port, s.granted[port].use})
		}
	}
	return all
}

// Reclaim has nothing to do: Lost has given the ports back, in its place among the messages.
func (d *Distributor) Reclaim(context.Context, contract.Member) error { return nil }

// Close leaves nothing behind; the owners take back what this stack holds when it leaves the group.
func (d *Distributor) Close() error { return nil }

// stacks names the stacks of slots.
func (d *Distributor) stacks(slots []int) string {
	names := make([]string, len(slots))
	for i, slot := range slots {
		names[i] = describe(portfile.Member{Stack: d.member(slot).Stack, XCF: d.member(slot).XCF})
	}
	return strings.Join(names, ", ")
}

// member is the stack of a slot.
func (d *Distributor) member(slot int) contract.Member {
	for _, p := range d.members {
		if p.slot == slot {
			return p.Member
		}
	}
	return d.config.Self
}
