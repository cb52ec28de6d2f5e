package cf

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/plexlab-dev/plexlab/nodes/contract/portfile"
)

// errNoEntry: there is no entry for the DVIPA.
var errNoEntry = errors.New("no entry")

// entry is the memory of an entry.
func (m *mapping) entry(i int) entry {
	offset := portfile.EntryOffset(i)
	return entry(m.mem[offset : offset+portfile.EntrySize : offset+portfile.EntrySize])
}

// lockDVIPA locks the entry of a DVIPA as lockEntry does, and makes it, with this pool, if there is
// none; with no pool it fails with errNoEntry instead.
func (m *mapping) lockDVIPA(ctx context.Context, dvipa netip.Addr, pool portfile.Pool, f func(i int) error) (int, error) {
	for {
		i, known := (*m.index.Load())[dvipa]
		if !known {
			var err error
			if i, err = m.find(ctx, dvipa, pool); err != nil {
				return 0, err
			}
		}
		err := m.lockEntry(ctx, i, func() error {
			if m.entries[i].record.DVIPA != dvipa {
				return errNoEntry
			}
			return f(i)
		})
		if !errors.Is(err, errNoEntry) {
			return i, err
		}
		m.forget(dvipa)
	}
}

// find looks the DVIPA up in the directory, and makes its entry if there is a pool.
func (m *mapping) find(ctx context.Context, dvipa netip.Addr, pool portfile.Pool) (found int, err error) {
	err = m.withDirectory(ctx, func() error {
		free := -1
		for i := range portfile.MaxEntries {
			record, live, err := m.record(i)
			switch {
			case err != nil:
				return err
			case live && record.DVIPA == dvipa:
				found = i
				return nil
			case !live && free < 0:
				free = i
			}
		}
		if pool == (portfile.Pool{}) {
			return errNoEntry
		}
		found, err = m.make(ctx, free, portfile.Record{DVIPA: dvipa, Pool: pool})
		return err
	})
	if err == nil {
		m.learn(dvipa, found)
	}
	return found, err
}

// record reads the directory.
func (m *mapping) record(i int) (portfile.Record, bool, error) {
	record, live, err := portfile.DecodeRecord(m.mem[portfile.RecordOffset(i):])
	if err != nil {
		err = m.damaged("%v: %s", err, remedy)
	}
	return record, live, err
}

// make makes an entry in a free place, or, with none left (free is -1), in the place of one that has
// no port in use. The directory is locked.
func (m *mapping) make(ctx context.Context, free int, record portfile.Record) (int, error) {
	if free >= 0 {
		return free, m.write(free, record)
	}
	for i := range portfile.MaxEntries {
		var idle bool
		err := m.lockEntry(ctx, i, func() error {
			if idle = m.entry(i).idle(bootTime); idle {
				return m.write(i, record)
			}
			return nil
		})
		if err == nil {
			m.unlockEntry(i)
		}
		if idle {
			return i, err
		}
		// Otherwise it is in use, so also if it is locked; or damaged.
	}
	return 0, fmt.Errorf("port file %s has ports in use of %d DVIPAs already: %w", m.path, portfile.MaxEntries, unix.ENOSPC)
}

// write makes an entry in a place that is free or whose entry is locked.
func (m *mapping) write(i int, record portfile.Record) error {
	if err := m.allocate(portfile.ReservedEntry(i)); err != nil {
		return err
	}
	// The directory lets go of the entry before anything of it changes.
	m.recordState(i).Store(portfile.RecordFree)
	portfile.InitEntry(m.entry(i), record)
	record.Encode(m.mem[portfile.RecordOffset(i):])
	m.recordState(i).Store(portfile.RecordLive)
	return nil
}

// recordState is the state of a record of the directory.
func (m *mapping) recordState(i int) *atomic.Uint32 {
	return (*atomic.Uint32)(unsafe.Pointer(&m.mem[portfile.RecordOffset(i)+portfile.RecordStateOffset]))
}

func (m *mapping) learn(dvipa netip.Addr, i int) {
	m.reindex(func(index map[netip.Addr]int) { index[dvipa] = i })
}
func (m *mapping) forget(dvipa netip.Addr) {
	m.reindex(func(index map[netip.Addr]int) { delete(index, dvipa) })
}

func (m *mapping) reindex(change func(map[netip.Addr]int)) {
	for {
		old := m.index.Load()
		next := maps.Clone(*old)
		change(next)
		if m.index.CompareAndSwap(old, &next) {
			return
		}
	}
}

// lockEntry locks an entry, checks that it is the one that the directory says, completes what a
// holder before was killed in, and runs f, which may touch the entry. If all that succeeds, the
// entry stays locked until unlockEntry. It fails with errNoEntry for an entry that is free.
func (m *mapping) lockEntry(ctx context.Context, i int, f func() error) error {
	shared := &m.entries[i]
	if !shared.mutex.try() {
		if err := shared.mutex.lock(ctx, m.deadline(ctx)); err != nil {
			return m.busy(err, i)
		}
	}
	if err := shared.lock.lock(ctx, m.locks, portfile.EntryOffset(i), func() time.Time { return m.deadline(ctx) }); err != nil {
		shared.mutex.unlock()
		return m.busy(err, i)
	}
	err := m.whole()
	if err == nil {
		err = m.safely(func() error {
			if err := m.begin(i); err != nil {
				return err
			}
			return f()
		})
	}
	if err != nil {
		m.unlockEntry(i)
	}
	if errors.As(err, new(*DamagedError)) {
		// What is wrong with the file as a whole says more.
		if _, whole := m.stat(); whole != nil {
			return whole
		}
	}
	return err
}

// begin is the first thing to do with a locked entry.
func (m *mapping) begin(i int) error {
	if string(m.mem[:len(portfile.Magic)]) != portfile.Magic || binary.LittleEndian.Uint32(m.mem[len(portfile.Magic):]) != portfile.Version {
		_, err := m.header()
		return err
	}
	e, shared := m.entry(i), &m.entries[i]
	if !bytes.Equal(e[:portfile.RecordSize], shared.bytes[:]) || !bytes.Equal(m.mem[portfile.RecordOffset(i):][:portfile.RecordSize], shared.bytes[:]) {
		if err := m.know(i); err != nil {
			return err
		}
	}
	e.store(portfile.Store{Offset: portfile.HolderOffset, Value: uint64(portfile.NewHolder(m.slot, m.pid))})
	if err := e.repair(); err != nil {
		return m.damagedEntry(i, err)
	}
	if shared.stale.Load() {
		if err := m.inherit(i); err != nil {
			return err
		}
		shared.stale.Store(false)
	}
	return nil
}

// inherit takes back what the incarnation before this one had of an entry, apart from what sockets still use.
func (m *mapping) inherit(i int) error {
	e, shared := m.entry(i), &m.entries[i]
	left := m.inUse[shared.record.DVIPA]
	if len(left) > 0 {
		if err := m.prepare(i, m.slot); err != nil {
			return err
		}
	}
	e.reclaim(m.slot, portfile.RestUntil(bootTime(), m.rest), left...)
	for _, port := range left {
		if portfile.Available(e).Has(port) {
			shared.held.interrupted.note(e, port)
			e.take(port, m.slot, Shared)
		}
		if portfile.HeldBy(e, port, m.slot) {
			shared.held.add(port, useOf(e, port))
			m.book.inherit(shared.record.DVIPA, port)
		}
	}
	return nil
}

// know reads what the entry begins with.
func (m *mapping) know(i int) error {
	record, live, err := m.record(i)
	if err != nil {
		return err
	}
	if !live {
		return errNoEntry
	}
	e := m.entry(i)
	decoded, err := portfile.DecodeEntry(e)
	if err != nil {
		return m.damagedEntry(i, err)
	}
	if decoded.Record != record {
		return m.damagedEntry(i, fmt.Errorf("entry: it is one of %s", decoded.DVIPA))
	}
	m.entries[i].record = record
	copy(m.entries[i].bytes[:], e)
	m.entries[i].held = m.book.of(record.DVIPA)
	return nil
}

func (m *mapping) damagedEntry(i int, err error) error {
	record, _, _ := m.record(i)
	return m.damaged("entry of %s: %v: its ports cannot be given out; %s", record.DVIPA, err, remedy)
}

// unlockEntry lets go of an entry. Its page may be gone.
func (m *mapping) unlockEntry(i int) {
	_ = m.safely(func() error {
		m.entry(i).store(portfile.Store{Offset: portfile.HolderOffset})
		return nil
	})
	_ = unlock(m.locks.fd, portfile.EntryOffset(i)) // fails for a bad descriptor alone
	m.entries[i].mutex.unlock()
}

// busy makes err, the outcome of waiting for the lock of an entry, one that names who has it.
func (m *mapping) busy(err error, i int) error {
	busy := &BusyError{What: "the entry", Holder: "another process"}
	_ = m.safely(func() error {
		record, _, _ := m.record(i)
		busy.What = "the entry of " + record.DVIPA.String()
		holder := portfile.Holder(binary.LittleEndian.Uint64(m.entry(i)[portfile.HolderOffset:]))
		if holder.PID() != 0 {
			busy.Holder = fmt.Sprintf("%s, process %d", m.stack(holder.Slot()), holder.PID())
		}
		return nil
	})
	return locked(err, busy)
}

// prepare reserves room for what a slot uses of an entry, which is locked.
func (m *mapping) prepare(i, slot int) error {
	e := m.entry(i)
	if portfile.Prepared(e, slot) {
		return nil
	}
	if err := m.allocate(portfile.ReservedUsage(i, slot)); err != nil {
		return err
	}
	e.store(portfile.Prepare(e, slot))
	return nil
}
