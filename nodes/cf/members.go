package cf

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync/atomic"
	"unsafe"

	"github.com/plexlab-dev/plexlab/nodes/contract/portfile"
)

// member reads a slot. A slot may change meanwhile: its writer begins and ends with the state,
// so what is read between two like states is right.
func (m *mapping) member(slot int) (found portfile.Member, err error) {
	err = m.safely(func() (err error) {
		var copied [portfile.SlotSize]byte
		at := m.mem[portfile.SlotOffset(slot):][:portfile.SlotSize]
		for {
			state := m.slotState(slot).Load()
			copy(copied[:], at)
			if m.slotState(slot).Load() == state && bytes.Equal(copied[:], at) {
				break
			}
		}
		found, err = portfile.DecodeMember(copied[:])
		return err
	})
	return found, err
}

// members are the stacks that have slots.
func (m *mapping) members() map[int]portfile.Member {
	var taken []int
	_ = m.safely(func() error {
		for slot := range portfile.MaxMembers {
			if m.slotState(slot).Load() != uint64(portfile.SlotFree) {
				taken = append(taken, slot)
			}
		}
		return nil
	})
	members := make(map[int]portfile.Member, len(taken))
	for _, slot := range taken {
		if member, err := m.member(slot); err == nil && member.State != portfile.SlotFree {
			members[slot] = member
		}
	}
	return members
}

func (m *mapping) slotState(slot int) *atomic.Uint64 {
	return (*atomic.Uint64)(unsafe.Pointer(&m.mem[portfile.SlotOffset(slot)+portfile.SlotStateOffset]))
}

func (m *mapping) setSlotState(slot int, state portfile.SlotState) error {
	return m.safely(func() error { m.slotState(slot).Store(uint64(state)); return nil })
}

// setMember writes a slot.
func (m *mapping) setMember(slot int, member portfile.Member) error {
	return m.safely(func() error {
		m.slotState(slot).Store(uint64(portfile.SlotFree))
		member.Encode(m.mem[portfile.SlotOffset(slot):])
		m.slotState(slot).Store(uint64(member.State))
		return nil
	})
}

// stack names the stack of a slot for people.
func (m *mapping) stack(slot int) string {
	if slot < portfile.MaxMembers {
		if member, err := m.member(slot); err == nil && member.State != portfile.SlotFree {
			return describe(member)
		}
	}
	return fmt.Sprintf("slot %d", slot)
}

func describe(member portfile.Member) string { return fmt.Sprintf("%s (%s)", member.Stack, member.XCF) }

func (m *mapping) stacks(slots []int) string {
	names := make([]string, len(slots))
	for i, slot := range slots {
		names[i] = m.stack(slot)
	}
	return strings.Join(names, ", ")
}

// slotOf finds the slot of the stack with an XCF address.
func (m *mapping) slotOf(xcf netip.Addr) (int, portfile.Member, bool) {
	for slot := range portfile.MaxMembers {
		if member, err := m.member(slot); err == nil && member.State != portfile.SlotFree && member.XCF == xcf {
			return slot, member, true
		}
	}
	return 0, portfile.Member{}, false
}

// join gives this stack a slot as self says, with its lock, which it has until the mapping is
// closed. What an incarnation before it left there is to be taken back then (leftOver). If the stack
// is holding ports already, nobody gets one until it has registered them. inUse is that of the configuration.
func (m *mapping) join(ctx context.Context, self portfile.Member, holding bool, inUse func(netip.Addr) []uint16) error {
	return m.withDirectory(ctx, func() error {
		slot, err := m.lockSlot(ctx, self)
		if err != nil {
			return err
		}
		m.slot = slot
		if holding {
			m.fill(giveUp)
		}
		before, err := m.member(slot)
		if err == nil && before.State == portfile.SlotExpected && before.Incarnation == self.Incarnation && before.XCF == self.XCF {
			return nil // the file was made anew, and whoever made it expects this very process
		}
		for i := range m.entries {
			record, live, err := m.record(i)
			if err != nil || !live {
				continue
			}
			m.inUse[record.DVIPA] = inUse(record.DVIPA)
			if portfile.Prepared(m.entry(i), slot) || len(m.inUse[record.DVIPA]) > 0 {
				m.entries[i].stale.Store(true)
				m.tidy.Store(false)
			}
		}
		return m.setMember(slot, self)
	})
}

// lockSlot finds this stack's slot, or a free one, and locks it. The directory is locked.
func (m *mapping) lockSlot(ctx context.Context, self portfile.Member) (int, error) {
	if slot, member, found := m.slotOf(self.XCF); found {
		// Whoever takes back what is left there has the lock as well, but not for long.
		err := lockUntil(ctx, m.fd, portfile.SlotOffset(slot), m.deadline(ctx))
		return slot, locked(err, &BusyError{What: "the slot of " + describe(self), Holder: fmt.Sprintf("%s, process %d", member.Stack, member.PID)})
	}
	for _, state := range []portfile.SlotState{portfile.SlotFree, portfile.SlotEnding, portfile.SlotLive} {
		for slot := range portfile.MaxMembers {
			member, err := m.member(slot)
			if err != nil || member.State != state {
				continue
			}
			if err := tryLock(m.fd, portfile.SlotOffset(slot)); !errors.Is(err, errLocked) {
				return slot, err
			}
		}
	}
	return 0, m.damaged("all of its %d slots are taken by stacks that live", portfile.MaxMembers)
}

// leftOver takes back what is still left of the incarnation before this one. Where an entry is locked
// it stays, and is taken back when the lock is next held.
func (m *mapping) leftOver(ctx context.Context) error {
	var errs []error
	for i := range m.entries {
		if !m.entries[i].stale.Load() {
			continue
		}
		err := m.lockEntry(ctx, i, func() error { return nil })
		if err == nil {
			m.unlockEntry(i)
		}
		errs = append(errs, err)
	}
	err := errors.Join(errs...)
	m.tidy.Store(err == nil)
	return err
}

// errReclaimed: somebody else took it back.
var errReclaimed = errors.New("taken back already")

// reclaim takes back what the stack of a slot held that is gone, and frees the slot; it returns the
// number of ports. It fails with ErrAlive if the slot's lock is held, with errReclaimed if the slot
// is free, and leaves the slot ending, to be called again, where an entry is locked.
func (m *mapping) reclaim(ctx context.Context, slot int) (int, error) {
	if err := m.reclaiming.lock(ctx, m.deadline(ctx)); err != nil {
		return 0, locked(err, &BusyError{What: fmt.Sprintf("slot %d", slot), Holder: "this stack"})
	}
	defer m.reclaiming.unlock()
	offset := portfile.SlotOffset(slot)
	if slot == m.slot {
		return 0, ErrAlive
	}
	if err := tryLock(m.fd, offset); err != nil {
		if errors.Is(err, errLocked) {
			err = ErrAlive
		}
		return 0, err
	}
	defer unlock(m.fd, offset)
	switch member, err := m.member(slot); {
	case err != nil:
		return 0, err
	case member.State == portfile.SlotFree:
		return 0, errReclaimed
	}
	// From now on nobody marks ports for it (mark looks under the lock of the entry).
	if err := m.setSlotState(slot, portfile.SlotEnding); err != nil {
		return 0, err
	}
	taken := 0
	var busy error
	for i := range m.entries {
		switch n, err := m.reclaimEntry(ctx, i, slot); {
		case errors.As(err, new(*BusyError)):
			busy = err
		case errors.As(err, new(*DamagedError)), errors.Is(err, errNoEntry):
			// Nothing is given out of a damaged entry any more.
		case err != nil:
			return taken, err
		default:
			taken += n
		}
	}
	if busy != nil {
		return taken, busy
	}
	return taken, m.setSlotState(slot, portfile.SlotFree)
}

func (m *mapping) reclaimEntry(ctx context.Context, i, slot int) (taken int, err error) {
	var used bool
	err = m.safely(func() error {
		_, live, err := m.record(i)
		used = live && portfile.Prepared(m.entry(i), slot)
		return err
	})
	if err != nil || !used {
		return 0, err
	}
	err = m.lockEntry(ctx, i, func() error {
		taken = m.entry(i).reclaim(slot, portfile.RestUntil(bootTime(), m.rest))
		return nil
	})
	if err == nil {
		m.unlockEntry(i)
	}
	return taken, err
}
