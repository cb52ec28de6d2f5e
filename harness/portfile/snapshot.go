package portfile

import (
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"github.com/plexlab-dev/plexlab/nodes/contract"
	layout "github.com/plexlab-dev/plexlab/nodes/contract/portfile"
)

// Member is a stack that has a slot.
type Member struct {
	Slot int
	layout.Member
	// Alive: another than this File has the lock of the slot.
	Alive bool
}

// Members are the stacks that have slots, in their order.
func (f *File) Members() ([]Member, error) {
	slots, err := f.read(layout.SlotsOffset, layout.MaxMembers*layout.SlotSize)
	if err != nil {
		return nil, err
	}
	var members []Member
	for slot := range layout.MaxMembers {
		member, err := layout.DecodeMember(slots[slot*layout.SlotSize:])
		if err != nil {
			return nil, err
		}
		if member.State == layout.SlotFree {
			continue
		}
		alive, err := f.locked(layout.SlotOffset(slot))
		if err != nil {
			return nil, err
		}
		members = append(members, Member{slot, member, alive})
	}
	return members, nil
}

// Snapshot is an entry at one moment.
type Snapshot struct {
	DVIPA netip.Addr
	Pool  contract.PortRange
	// Ports are those that are used or rest, in order.
	Ports []Port
	// Available is the number of ports of the pool that are available, those that rest included.
	Available int
	// Findings are what does not fit together; Conflicts among them are no defect.
	Findings []layout.Finding
	// Updates is how often the entry was changed.
	Updates uint64
}

// Port is a port that is used or rests.
type Port struct {
	Port   uint16
	Unique bool
	// Holders are the XCF addresses of the stacks that use it, by slot; not valid for one that is
	// no member.
	Holders []netip.Addr
	// Rest is how long it still rests.
	Rest time.Duration
}

// Port returns what the snapshot says of a port; false if it is neither used nor rests.
func (s Snapshot) Port(port uint16) (Port, bool) {
	for _, p := range s.Ports {
		if p.Port == port {
			return p, true
		}
	}
	return Port{}, false
}

// Snapshot locks the entry of a DVIPA, completes what was interrupted there, and says what it is.
func (f *File) Snapshot(dvipa netip.Addr) (Snapshot, error) {
	bySlot := map[int]netip.Addr{}
	if err := f.members(bySlot); err != nil {
		return Snapshot{}, err
	}
	var b []byte
	if err := f.withEntry(dvipa, func(_ int, entry []byte) error { b = entry; return nil }); err != nil {
		return Snapshot{}, err
	}
	// A stack that joined meanwhile is a member, and so is one that left meanwhile.
	if err := f.members(bySlot); err != nil {
		return Snapshot{}, err
	}
	decoded, err := layout.DecodeEntry(b)
	if err != nil {
		return Snapshot{}, err
	}
	s := Snapshot{
		DVIPA: dvipa, Pool: contract.PortRange{First: decoded.Pool.First, Last: decoded.Pool.Last}, Updates: decoded.Updates,
		Available: layout.Available(b).CountIn(decoded.Pool),
		Findings:  layout.Audit(b, func(slot int) bool { return bySlot[slot].IsValid() }),
	}
	for _, use := range layout.InUse(b, bootTime()) {
		port := Port{Port: use.Port, Unique: use.Unique, Rest: use.Rest}
		for _, slot := range use.Slots {
			port.Holders = append(port.Holders, bySlot[slot])
		}
		s.Ports = append(s.Ports, port)
	}
	return s, nil
}

// Glance reads the header of a DVIPA's entry without its lock: what the last holder left there,
// where nobody has taken the lock since.
func (f *File) Glance(dvipa netip.Addr) (layout.Entry, error) {
	entry, err := f.find(dvipa)
	if err != nil {
		return layout.Entry{}, err
	}
	b, err := f.read(layout.EntryOffset(entry), layout.EntryHeaderSize)
	if err != nil {
		return layout.Entry{}, err
	}
	return layout.DecodeEntry(b)
}

// members adds the XCF addresses of the members by slot.
func (f *File) members(bySlot map[int]netip.Addr) error {
	members, err := f.Members()
	for _, m := range members {
		bySlot[m.Slot] = m.XCF
	}
	return err
}

// Audit audits the whole file: every entry, by its DVIPA, that has findings other than conflicts.
func (f *File) Audit() (map[netip.Addr][]layout.Finding, error) {
	dvipas, err := f.DVIPAs()
	if err != nil {
		return nil, err
	}
	defects := map[netip.Addr][]layout.Finding{}
	for _, dvipa := range dvipas {
		s, err := f.Snapshot(dvipa)
		if err != nil {
			return nil, err
		}
		for _, finding := range s.Findings {
			if !finding.Conflict {
				defects[dvipa] = append(defects[dvipa], finding)
			}
		}
	}
	return defects, nil
}

func bootTime() time.Duration {
	var now unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_BOOTTIME, &now)
	return time.Duration(now.Nano())
}
