package portfile

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"

	"github.com/plexlab-dev/plexlab/nodes/contract"
	layout "github.com/plexlab-dev/plexlab/nodes/contract/portfile"
)

// Peer is a member of the port file that a script speaks for. It has a slot and its lock until Leave or
// Die, and does what it is told, whether or not a stack would.
type Peer struct {
	file *File // with locks of its own
	slot int
	pid  uint32
}

// Join takes a slot of the port file at a path for a member: the one with its XCF address, of an
// incarnation before, or a free one.
func Join(path string, member contract.Member) (*Peer, error) {
	file, err := Open(path)
	if err != nil {
		return nil, err
	}
	p := &Peer{file: file, slot: -1, pid: uint32(os.Getpid())}
	if err := p.join(member); err != nil {
		return nil, errors.Join(fmt.Errorf("join port file as %s: %w", member.Stack, err), file.Close())
	}
	return p, nil
}

func (p *Peer) join(member contract.Member) error {
	if err := p.file.lock(layout.DirectoryLock); err != nil {
		return err
	}
	members, err := p.file.Members()
	if err != nil {
		return err
	}
	taken := map[int]bool{}
	for _, m := range members {
		taken[m.Slot] = true
		if m.XCF == member.XCF {
			p.slot = m.Slot
		}
	}
	for slot := 0; p.slot < 0 && slot < layout.MaxMembers; slot++ {
		if !taken[slot] {
			p.slot = slot
		}
	}
	if p.slot < 0 {
		return errors.New("no slot is free")
	}
	if err := p.file.lock(layout.SlotOffset(p.slot)); err != nil {
		return err
	}
	slot := make([]byte, layout.SlotSize)
	layout.Member{Incarnation: member.Incarnation, PID: p.pid, XCF: member.XCF, Stack: member.Stack}.Encode(slot)
	if err := p.file.write(layout.SlotOffset(p.slot), slot); err != nil {
		return err
	}
	if err := p.setState(layout.SlotLive); err != nil {
		return err
	}
	return p.file.unlock(layout.DirectoryLock)
}

func (p *Peer) setState(state layout.SlotState) error {
	return p.file.write(layout.SlotOffset(p.slot)+layout.SlotStateOffset, binary.LittleEndian.AppendUint64(nil, uint64(state)))
}

// Slot is the number of its slot.
func (p *Peer) Slot() int { return p.slot }

// Activate makes the entry of a DVIPA, if there is none.
func (p *Peer) Activate(dvipa netip.Addr, pool contract.PortRange) error {
	if err := p.file.lock(layout.DirectoryLock); err != nil {
		return err
	}
	err := p.activate(dvipa, layout.Record{DVIPA: dvipa, Pool: layout.Pool{First: pool.First, Last: pool.Last}})
	return errors.Join(err, p.file.unlock(layout.DirectoryLock))
}

func (p *Peer) activate(dvipa netip.Addr, record layout.Record) error {
	if _, err := p.file.find(dvipa); !errors.Is(err, ErrNoEntry) {
		return err
	}
	free := -1
	err := p.file.records(func(entry int, _ layout.Record, live bool) bool {
		if !live {
			free = entry
		}
		return live
	})
	if err != nil {
		return err
	}
	if free < 0 {
		return errors.New("the port file has no room for another DVIPA")
	}
	if err := p.file.allocate(layout.ReservedEntry(free)); err != nil {
		return err
	}
	b := make([]byte, layout.EntrySize)
	layout.InitEntry(b, record)
	if err := p.file.write(layout.EntryOffset(free), b[:layout.UsageOffset]); err != nil {
		return err
	}
	record.Encode(b)
	binary.LittleEndian.PutUint32(b[layout.RecordStateOffset:], layout.RecordFree)
	if err := p.file.write(layout.RecordOffset(free), b[:layout.RecordSize]); err != nil {
		return err
	}
	return p.file.write(layout.RecordOffset(free)+layout.RecordStateOffset, binary.LittleEndian.AppendUint32(nil, layout.RecordLive))
}

// Take makes a port of a DVIPA the peer's, whoever else holds it.
func (p *Peer) Take(dvipa netip.Addr, port uint16, unique bool) error {
	return p.update(dvipa, func(b []byte) layout.Update { return layout.Take(b, port, p.slot, unique) }, all)
}

// Free gives a port back, to rest until the time given.
func (p *Peer) Free(dvipa netip.Addr, port uint16, rest layout.Rest) error {
	return p.update(dvipa, func(b []byte) layout.Update { return layout.Free(b, port, p.slot, rest) }, all)
}

// Interrupt leaves behind what the peer would if it were killed when it had made so many stores of
// taking a port: an intent and, with more than one, a part of the update. The lock is free again.
func (p *Peer) Interrupt(dvipa netip.Addr, port uint16, unique bool, stores int) error {
	return p.update(dvipa, func(b []byte) layout.Update { return layout.Take(b, port, p.slot, unique) }, stores)
}

// InterruptFree does the same while a port is given back.
func (p *Peer) InterruptFree(dvipa netip.Addr, port uint16, rest layout.Rest, stores int) error {
	return p.update(dvipa, func(b []byte) layout.Update { return layout.Free(b, port, p.slot, rest) }, stores)
}

// all are more stores than an update has.
const all = 1 << 10

// update makes the first stores of an update of the entry of a DVIPA, which it locks.
func (p *Peer) update(dvipa netip.Addr, update func(b []byte) layout.Update, most int) error {
	return p.file.withEntry(dvipa, func(entry int, b []byte) error {
		if err := p.prepare(entry, b); err != nil {
			return err
		}
		u := update(b)
		return p.file.store(entry, u.Stores()[:min(most, len(u.Stores()))]...)
	})
}

func (p *Peer) prepare(entry int, b []byte) error {
	if layout.Prepared(b, p.slot) {
		return nil
	}
	if err := p.file.allocate(layout.ReservedUsage(entry, p.slot)); err != nil {
		return err
	}
	s := layout.Prepare(b, p.slot)
	s.Apply(b)
	return p.file.store(entry, s)
}

// Hold locks the entry of a DVIPA and says so in it, and keeps the lock as a process that is
// frozen would, until release.
func (p *Peer) Hold(dvipa netip.Addr) (release func() error, err error) {
	entry, err := p.file.find(dvipa)
	if err != nil {
		return nil, err
	}
	// A description of its own, so that the peer can go on with other entries.
	held, err := Open(p.file.path)
	if err != nil {
		return nil, err
	}
	if err := held.lock(layout.EntryOffset(entry)); err != nil {
		return nil, errors.Join(err, held.Close())
	}
	holder := layout.Store{Offset: layout.HolderOffset, Value: uint64(layout.NewHolder(p.slot, p.pid))}
	if err := held.store(entry, holder); err != nil {
		return nil, errors.Join(err, held.Close())
	}
	return func() error {
		return errors.Join(held.store(entry, layout.Store{Offset: layout.HolderOffset}), held.Close())
	}, nil
}

// Die ends the peer as a process that is killed ends: its locks are free, what it holds is left.
func (p *Peer) Die() error { return p.file.Close() }

// Leave gives back all that the peer holds, then its slot.
func (p *Peer) Leave() error {
	dvipas, err := p.file.DVIPAs()
	if err != nil {
		return errors.Join(err, p.Die())
	}
	for _, dvipa := range dvipas {
		err = errors.Join(err, p.file.withEntry(dvipa, func(entry int, b []byte) error {
			if !layout.Prepared(b, p.slot) {
				return nil
			}
			for port := range layout.Usage(b, p.slot).Ports {
				u := layout.Free(b, port, p.slot, 0)
				for _, s := range u.Stores() {
					s.Apply(b)
				}
				if err := p.file.store(entry, u.Stores()...); err != nil {
					return err
				}
			}
			return nil
		}))
	}
	if err == nil {
		err = p.setState(layout.SlotFree)
	}
	return errors.Join(err, p.Die())
}
