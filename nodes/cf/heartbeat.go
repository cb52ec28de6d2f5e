package cf

import (
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/plexlab-dev/plexlab/nodes/contract"
	"github.com/plexlab-dev/plexlab/nodes/contract/portfile"
)

// monotonicTime is that of CLOCK_MONOTONIC, by which beats are.
func monotonicTime() time.Duration {
	var now unix.Timespec
	// It fails for an invalid clock alone.
	_, _, _ = unix.RawSyscall(unix.SYS_CLOCK_GETTIME, unix.CLOCK_MONOTONIC, uintptr(unsafe.Pointer(&now)), 0)
	return time.Duration(now.Nano())
}

// Beat says that this stack runs, and what it sees: how many other members it hears on XCF, and
// whether a link to the outside is up. It is to be called each portfile.BeatInterval by the thread that renews
// leases, before it does. It never waits; while the file is lost or damaged it does nothing.
func (f *File) Beat(sees int, outside bool) {
	if f.current.Load() == nil {
		return
	}
	m, err := f.use()
	if err != nil {
		return
	}
	defer m.leave()
	sight := portfile.Heartbeat{Sees: uint32(sees), Outside: outside}.Sight()
	_ = m.safely(func() error { // the watcher finds out what is wrong
		beat, seen := m.heartbeat(m.slot)
		seen.Store(sight)
		beat.Store(uint64(monotonicTime()))
		return nil
	})
}

// heartbeat is the words of a slot's heartbeat.
func (m *mapping) heartbeat(slot int) (beat, sight *atomic.Uint64) {
	at := int(portfile.SlotOffset(slot))
	return m.word(at + portfile.BeatOffset), m.word(at + portfile.SightOffset)
}

// Peer is another stack as its slot of the port file shows it.
type Peer struct {
	contract.Member
	// PID is that of its process, 0 if it is not known.
	PID int
	// Alive: its process has the lock of its slot. A frozen one has.
	Alive bool
	// Beats: it has said at least once that it runs. Without, the rest is zero: it is starting, or an
	// implementation that does not.
	Beats bool
	// Age is how long ago it said so last: more than a few portfile.BeatInterval, and it is
	// frozen, or the machine is very busy.
	Age time.Duration
	// Sees is how many other members it hears on XCF.
	Sees int
}

// Peers are the other stacks that have slots, in the order of slots; Member.Outside tells
// whether a link to the outside is up. A stack whose process ended is among them until its ports are
// taken back. It asks for one lock a stack and never waits. It fails while the file is lost, damaged or filling, when
// a stack that lives may not be in it.
func (f *File) Peers() ([]Peer, error) {
	m, err := f.use()
	if err != nil {
		return nil, err
	}
	defer m.leave()
	if !f.isSettled(m) {
		return nil, &FillingError{Path: f.config.Path}
	}
	var peers []Peer
	for slot := range portfile.MaxMembers {
		if slot == m.slot {
			continue
		}
		peer, there, err := m.peer(slot)
		if err != nil {
			return nil, f.explain(err)
		}
		if there {
			peers = append(peers, peer)
		}
	}
	return peers, nil
}

func (m *mapping) peer(slot int) (Peer, bool, error) {
	var free bool
	err := m.safely(func() error {
		free = m.slotState(slot).Load() == uint64(portfile.SlotFree)
		return nil
	})
	if err != nil || free {
		return Peer{}, false, err
	}
	member, err := m.member(slot)
	if err != nil || member.State == portfile.SlotFree {
		return Peer{}, false, err
	}
	held, err := lockedByOther(m.fd, portfile.SlotOffset(slot))
	if err != nil {
		return Peer{}, false, err
	}
	var beat portfile.Heartbeat
	err = m.safely(func() error {
		at, sight := m.heartbeat(slot)
		word := at.Load()
		beat = portfile.HeartbeatOf(word, sight.Load())
		return nil
	})
	if err != nil {
		return Peer{}, false, err
	}
	peer := Peer{
		Member: contract.Member{Stack: member.Stack, XCF: member.XCF, Incarnation: member.Incarnation, Outside: beat.Outside},
		PID:    int(member.PID),
		// Whoever takes back what a dead one held has the lock as well.
		Alive: held && member.State != portfile.SlotEnding,
		Beats: beat.Beat != 0, Sees: int(beat.Sees),
	}
	if peer.Beats {
		peer.Age = max(0, monotonicTime()-beat.Beat)
	}
	return peer, true, nil
}
