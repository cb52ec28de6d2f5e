package cf

import (
	"context"
	"errors"
	"maps"
	"net/netip"
	"slices"
	"time"

	"github.com/plexlab-dev/plexlab/nodes/contract/portfile"
)

// State is what a stack can do with the coupling facility.
type State uint8

const (
	// OK: ports are given out.
	OK State = 1
	// Filling: it is made anew, and stacks have yet to register what they hold.
	Filling State = 2
	// Degraded: it cannot be used. Existing connections go on.
	Degraded State = 3
)

func (s State) String() string {
	switch s {
	case OK:
		return "ok"
	case Filling:
		return "filling"
	case Degraded:
		return "degraded"
	}
	return "invalid"
}

// View is the coupling facility as a whole.
type View struct {
	Path    string
	State   State
	Problem string        // what is wrong, unless it is OK
	Waiting []string      // the stacks that are waited for while Filling
	Members []MemberView  // by slot
	DVIPAs  []DVIPAView   // in the order of entries
	Pool    portfile.Pool // that this stack gives to entries that it makes
	Rest    time.Duration // of ports that are released to rest
}

// MemberView is a stack that has a slot.
type MemberView struct {
	Slot        int
	Stack       string
	XCF         netip.Addr
	Incarnation uint64
	PID         uint32
	State       string // expected, live, ending
}

// DVIPAView is the entry of a DVIPA.
type DVIPAView struct {
	DVIPA netip.Addr
	Pool  portfile.Pool
	// Problem says why the rest is missing or may be wrong: the entry is damaged, or
	// somebody has its lock.
	Problem string
	// Available is the number of ports of the pool that are available, Resting that of those
	// among them that rest.
	Available, Resting int
	// Ports are those that are used or rest, of the pool or not, in order.
	Ports []PortView
	// Findings are what the audit of bitmaps against the usage structure found.
	Findings []portfile.Finding
}

// PortView is a port that is used or rests.
type PortView struct {
	Port    uint16
	Use     Use           // 0 for a port that rests
	Holders []string      // stacks
	XCF     []netip.Addr  // their XCF addresses, in the same order; not valid for a slot that is no member's
	Rest    time.Duration // left
}

// View is the whole of the port file. Each entry is of one moment, with its lock held, or, where
// somebody keeps it locked, read without.
func (f *File) View(ctx context.Context) (View, error) {
	view := View{Path: f.config.Path, State: Degraded, Pool: f.pool(), Rest: f.config.Rest}
	m, err := f.use()
	if err != nil {
		return degraded(view, err), nil
	}
	defer m.leave()
	members := m.members()
	for _, slot := range slices.Sorted(maps.Keys(members)) {
		member := members[slot]
		view.Members = append(view.Members, MemberView{slot, member.Stack, member.XCF, member.Incarnation, member.PID, member.State.String()})
		if member.State == portfile.SlotExpected {
			view.Waiting = append(view.Waiting, describe(member))
		}
	}
	header, err := m.header()
	switch {
	case err != nil:
		return degraded(view, f.explain(err)), nil
	case header.State == portfile.Settled:
		view.State, view.Waiting = OK, nil
	default:
		view.State = Filling
		view.Problem = (&FillingError{Path: m.path, Waiting: view.Waiting}).Error()
	}
	copied := make([]byte, portfile.EntrySize)
	for i := range m.entries {
		var record portfile.Record
		var live bool
		if err := m.safely(func() (err error) { record, live, err = m.record(i); return err }); err != nil {
			return degraded(view, f.explain(err)), nil
		}
		if !live {
			continue
		}
		err := m.copyEntry(ctx, i, copied)
		switch {
		case errors.Is(err, errNoEntry):
			continue
		case ctx.Err() != nil:
			return view, ctx.Err()
		case errors.Is(err, errRemoved):
			return degraded(view, f.explain(err)), nil
		}
		entry := DVIPAView{DVIPA: record.DVIPA, Pool: record.Pool}
		if err != nil {
			entry.Problem = err.Error()
		}
		if !errors.As(err, new(*DamagedError)) {
			maps.Copy(members, m.members()) // those that joined meanwhile; those that left may be in the copy
			entry.fill(copied, members)
		}
		view.DVIPAs = append(view.DVIPAs, entry)
	}
	return view, nil
}

// degraded is what is left to tell of a file that cannot be used.
func degraded(view View, problem error) View {
	view.State, view.Problem, view.Waiting = Degraded, problem.Error(), nil
	return view
}

// copyEntry copies an entry while it is locked, so that nobody waits for who looks at it. If it stays
// locked by another, it copies what there is and returns the *BusyError.
func (m *mapping) copyEntry(ctx context.Context, i int, to []byte) error {
	copyAll := func() error {
		e := m.entry(i)
		copy(to[:portfile.UsageOffset], e)
		for slot := range portfile.PreparedSlots(to) {
			copy(portfile.Usage(to, slot), portfile.Usage(e, slot))
		}
		return nil
	}
	err := m.lockEntry(ctx, i, copyAll)
	if errors.As(err, new(*BusyError)) {
		return errors.Join(err, m.safely(copyAll))
	}
	if err == nil {
		m.unlockEntry(i)
	}
	return err
}

// fill tells what an entry says.
func (v *DVIPAView) fill(entry []byte, members map[int]portfile.Member) {
	for _, use := range portfile.InUse(entry, bootTime()) {
		port := PortView{Port: use.Port, Rest: use.Rest}
		for _, slot := range use.Slots {
			member := members[slot]
			port.Holders = append(port.Holders, member.Stack)
			port.XCF = append(port.XCF, member.XCF)
		}
		switch {
		case use.Unique:
			port.Use = Unique
		case len(use.Slots) > 0:
			port.Use = Shared
		case v.Pool.Contains(use.Port):
			v.Resting++
		}
		v.Ports = append(v.Ports, port)
	}
	v.Available = portfile.Available(entry).CountIn(v.Pool)
	v.Findings = portfile.Audit(entry, func(slot int) bool { _, member := members[slot]; return member })
}
