package cf

import (
	"context"
	"errors"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"

	"github.com/plexlab-dev/plexlab/nodes/contract"
	"github.com/plexlab-dev/plexlab/nodes/contract/portfile"
)

// Activate makes the entry of a DVIPA if there is none (T20). What fails while the file cannot be
// used is made up for when it can.
func (f *File) Activate(dvipa netip.Addr) error {
	f.book.of(dvipa)
	_, err := f.Mark(context.Background(), dvipa, f.self.XCF, nil)
	return err
}

// Mark notes ports that are in use already (T21, T22).
func (f *File) Mark(ctx context.Context, dvipa, holder netip.Addr, ports []Held) ([]Conflict, error) {
	for _, held := range ports {
		if err := held.check(dvipa); err != nil {
			return nil, err
		}
	}
	m, err := f.use()
	if err != nil {
		return nil, err
	}
	defer m.leave()
	slot, _, found := m.slotOf(holder)
	if !found {
		return nil, fmt.Errorf("mark ports of %s: no stack with XCF address %s has joined the port file: %w", dvipa, holder, unix.ESRCH)
	}
	conflicts, err := m.mark(ctx, dvipa, f.pool(), slot, ports)
	return conflicts, f.explain(err)
}

// check says what is wrong with a port to be marked.
func (h Held) check(dvipa netip.Addr) error {
	if h.Port == 0 || h.Use != Shared && h.Use != Unique {
		return fmt.Errorf("mark port %d of %s as %s: no such port or use", h.Port, dvipa, h.Use)
	}
	return nil
}

// mark notes ports in the entry of a DVIPA for the stack of a slot.
func (m *mapping) mark(ctx context.Context, dvipa netip.Addr, pool portfile.Pool, slot int, ports []Held) ([]Conflict, error) {
	var conflicts []Conflict
	i, err := m.lockDVIPA(ctx, dvipa, pool, func(i int) error {
		if len(ports) == 0 {
			return nil
		}
		if member, err := m.member(slot); err != nil || slot != m.slot && member.State != portfile.SlotLive {
			return fmt.Errorf("mark ports of %s: the stack of slot %d is not there any more: %w", dvipa, slot, unix.ESRCH)
		}
		if err := m.prepare(i, slot); err != nil {
			return err
		}
		e := m.entry(i)
		for _, held := range ports {
			if slot == m.slot {
				m.entries[i].held.interrupted.note(e, held.Port)
			}
			if others := e.mark(slot, held); others != nil {
				conflicts = append(conflicts, Conflict{held.Port, m.stacks(others)})
			}
			if slot == m.slot {
				m.entries[i].held.add(held.Port, useOf(e, held.Port))
			}
		}
		return nil
	})
	if err == nil {
		m.unlockEntry(i)
	}
	return conflicts, err
}

// restOn lets ports rest in a file made anew, as long as they would have in the one before. What somebody has taken
// or lets rest already stays as it is.
func (m *mapping) restOn(ctx context.Context, dvipa netip.Addr, pool portfile.Pool, ports map[uint16]portfile.Rest) error {
	i, err := m.lockDVIPA(ctx, dvipa, pool, func(i int) error {
		if err := m.prepare(i, m.slot); err != nil {
			return err
		}
		e := m.entry(i)
		for port, until := range ports {
			if portfile.Available(e).Has(port) && portfile.RestOf(e, port) == 0 {
				e.free(port, m.slot, until)
			}
		}
		return nil
	})
	if err == nil {
		m.unlockEntry(i)
	}
	return err
}

// useOf is how a port is held.
func useOf(e entry, port uint16) Use {
	if portfile.Unique(e).Has(port) {
		return Unique
	}
	return Shared
}

// Release gives ports of this stack back (Figure 6, block 608; Figure 14, block 190). While the file
// cannot be used, it takes them out of what will be registered.
func (f *File) Release(ctx context.Context, dvipa netip.Addr, ports []Release, unused func([]uint16) ([]uint16, error)) ([]uint16, error) {
	m, err := f.use()
	if err != nil {
		return f.releaseUnregistered(dvipa, ports, unused, err)
	}
	defer m.leave()
	var mine []uint16
	rests := map[uint16]bool{}
	i, err := m.lockDVIPA(ctx, dvipa, portfile.Pool{}, func(i int) error {
		mine = held(ports, rests, func(port uint16) bool { return portfile.HeldBy(m.entry(i), port, m.slot) })
		return nil
	})
	if errors.Is(err, errNoEntry) {
		return nil, nil
	}
	if err != nil {
		return nil, f.explain(err)
	}
	defer m.unlockEntry(i)
	if mine, err = ask(unused, mine); err != nil {
		return nil, err
	}
	err = m.safely(func() error {
		for _, port := range mine {
			var until portfile.Rest
			if rests[port] {
				until = portfile.RestUntil(bootTime(), m.rest)
			}
			until = m.entries[i].held.interrupted.end(port, until)
			m.entry(i).free(port, m.slot, until)
			m.entries[i].held.remove(port)
		}
		return nil
	})
	if err != nil {
		return nil, f.explain(err)
	}
	return mine, nil
}

// releaseUnregistered gives ports back that no file knows of at the moment.
func (f *File) releaseUnregistered(dvipa netip.Addr, ports []Release, unused func([]uint16) ([]uint16, error), degraded error) ([]uint16, error) {
	f.registering.Lock()
	defer f.registering.Unlock()
	if f.current.Load() != nil || f.isUnread() {
		return nil, degraded // which is over, or not yet understood
	}
	h := f.book.of(dvipa)
	rests := map[uint16]bool{}
	mine, err := ask(unused, held(ports, rests, h.has))
	if err != nil {
		return nil, err
	}
	for _, port := range mine {
		var until portfile.Rest
		if rests[port] {
			until = portfile.RestUntil(bootTime(), f.config.Rest)
		}
		h.interrupted.end(port, until)
		h.remove(port)
	}
	return mine, nil
}

// held are the ports to release that are held, each once; rests tells which of them rest.
func held(ports []Release, rests map[uint16]bool, holds func(uint16) bool) []uint16 {
	var mine []uint16
	for _, r := range ports {
		_, twice := rests[r.Port]
		rests[r.Port] = rests[r.Port] || r.Rest
		if !twice && holds(r.Port) {
			mine = append(mine, r.Port)
		}
	}
	return mine
}

func ask(unused func([]uint16) ([]uint16, error), ports []uint16) ([]uint16, error) {
	if unused == nil || len(ports) == 0 {
		return ports, nil
	}
	return unused(ports)
}

// Reclaim takes back what a stack held that is gone.
func (f *File) Reclaim(ctx context.Context, gone contract.Member) error {
	m, err := f.use()
	if err != nil {
		return err
	}
	defer m.leave()
	slot, member, found := m.slotOf(gone.XCF)
	if !found || member.Incarnation > gone.Incarnation {
		f.remember(m) // what it, or whoever took it back, has let rest
		return nil
	}
	err = f.reclaim(ctx, m, slot, member)
	if errors.Is(err, ErrAlive) {
		if _, member, found := m.slotOf(gone.XCF); !found || member.Incarnation > gone.Incarnation {
			return nil // it was started again
		}
	}
	return f.explain(err)
}
