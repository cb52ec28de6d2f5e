package cf

import (
	"context"
	"errors"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/plexlab-dev/plexlab/nodes/contract/portfile"
)

// giveUp is how long a file that is made anew waits for the stacks that lived when it was made.
const giveUp = 10 * time.Second

func (m *mapping) word(offset int) *atomic.Uint64 {
	return (*atomic.Uint64)(unsafe.Pointer(&m.mem[offset]))
}

// settled says whether ports may be given out, within safely.
func (m *mapping) settled() bool {
	return m.word(portfile.StateOffset).Load() == uint64(portfile.Settled)
}

// fill makes the file one that is being filled. The directory is locked.
func (m *mapping) fill(most time.Duration) {
	m.word(portfile.GiveUpOffset).Store(uint64(bootTime() + most))
	m.word(portfile.StateOffset).Store(uint64(portfile.Filling))
}

// settle makes the file settled if it is time and nobody is expected any more. Stacks that do not
// come are given up: those that gone says are, and after a time all that have not begun.
func (m *mapping) settle(ctx context.Context, gone func(portfile.Member) bool) (waiting []string, err error) {
	header, err := m.header()
	if err != nil || header.State == portfile.Settled {
		return nil, err
	}
	now := uint64(bootTime())
	for slot := range portfile.MaxMembers {
		member, err := m.member(slot)
		if err != nil || member.State != portfile.SlotExpected {
			continue
		}
		if now > header.GiveUp || gone(member) {
			if _, err := m.reclaim(ctx, slot); err == nil || errors.Is(err, errReclaimed) {
				continue
			} else if !errors.Is(err, ErrAlive) {
				return nil, err
			}
		}
		waiting = append(waiting, describe(member))
	}
	if len(waiting) > 0 || now < header.Settle {
		return waiting, nil
	}
	return nil, m.withDirectory(ctx, func() error {
		for slot := range portfile.MaxMembers {
			if m.slotState(slot).Load() == uint64(portfile.SlotExpected) {
				return nil // somebody came just now
			}
		}
		m.word(portfile.StateOffset).Store(uint64(portfile.Settled))
		return nil
	})
}
