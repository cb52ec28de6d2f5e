package portfile

import (
	"hash/crc32"
	"net/netip"
)

// Where the fields of the header of an entry are.
const (
	// EntryStateOffset is where the state of an entry stands, 4 bytes: EntryFree or EntryLive.
	// It is the last to be written when an entry is made.
	EntryStateOffset = 0
	offEntryCheck    = 4  // 4 bytes: CRC-32 (IEEE) of offDVIPA to entryCheckEnd
	offDVIPA         = 8  // 17
	offPoolFirst     = 26 // 2
	offPoolLast      = 28 // 2
	entryCheckEnd    = 32

	// IntentOffset is where the intent stands, 8 bytes, one store.
	IntentOffset = 32
	// HolderOffset is where the Holder stands, 8 bytes, one store.
	HolderOffset = 40
	// UpdatesOffset is where the number of updates stands, 8 bytes; one that was interrupted and
	// completed may count twice.
	UpdatesOffset = 48
	// CursorOffset is where the port stands, in 8 bytes, from which the next search round the
	// pool starts. It is a hint: any value is valid.
	CursorOffset = 56
	// PreparedOffset is where the 128 bits stand that say of which slots the usage bitmap is
	// allocated; slot s is bit s%64 of word s/64. The other bitmaps are holes and must not
	// be looked at in a mapping.
	PreparedOffset = 64

	entryHeaderUsed = 80
)

// The states of an entry.
const (
	EntryFree uint32 = 0
	EntryLive uint32 = 0x31544e45 // "ENT1"
)

// Pool is the range of ports that port 0 is answered from, inclusive, 1 <= First <= Last.
type Pool struct{ First, Last uint16 }

// Size is the number of ports.
func (p Pool) Size() int { return int(p.Last) - int(p.First) + 1 }

// Contains says whether port is in the pool.
func (p Pool) Contains(port uint16) bool { return p.First <= port && port <= p.Last }

// Entry is the header of an entry.
type Entry struct {
	DVIPA    netip.Addr
	Pool     Pool
	Intent   Intent
	Holder   Holder
	Updates  uint64
	Cursor   uint16
	Prepared [MaxMembers / 64]uint64
}

// Holder says who has the lock of an entry, for those that wait for it: a slot in bits 32 to 39
// and the process in bits 0 to 31. Zero while nobody has it.
type Holder uint64

// NewHolder names a process that has the lock; the pid is never 0.
func NewHolder(slot int, pid uint32) Holder { return Holder(uint64(slot)<<32 | uint64(pid)) }

// Slot is that of the stack.
func (h Holder) Slot() int { return int(uint8(h >> 32)) }

// PID is that of the process, 0 for nobody.
func (h Holder) PID() uint32 { return uint32(h) }

// InitEntry makes an entry in which every port is available, over whatever an entry with no
// port in use, or the attempt to make one, has left there. It touches what ReservedEntry
// names and keeps which slots are prepared. The entry is not there before its state is
// written as well, which is left to the caller: EntryLive at EntryStateOffset, one store.
func InitEntry(entry []byte, dvipa netip.Addr, pool Pool) {
	b := entry[:EntryHeaderSize]
	le.PutUint32(b[EntryStateOffset:], EntryFree)
	clear(b[offEntryCheck:PreparedOffset])
	putAddress(b[offDVIPA:], dvipa)
	le.PutUint16(b[offPoolFirst:], pool.First)
	le.PutUint16(b[offPoolLast:], pool.Last)
	le.PutUint32(b[offEntryCheck:], crc32.ChecksumIEEE(b[offDVIPA:entryCheckEnd]))
	le.PutUint64(b[CursorOffset:], uint64(pool.First))
	clear(b[entryHeaderUsed:])
	available := entry[AvailableOffset : AvailableOffset+BitmapSize]
	for i := range available {
		available[i] = 0xff
	}
	available[0] = 0xfe // port 0 is nobody's
	clear(entry[UniqueOffset : UniqueOffset+BitmapSize])
	clear(entry[RestOffset : RestOffset+RestSize])
}

// DecodeEntry reads and checks the header of an entry; false says that it is free. A
// *FormatError says what is wrong with it.
func DecodeEntry(entry []byte) (Entry, bool, error) {
	const part = "entry"
	if len(entry) < EntryHeaderSize {
		return Entry{}, false, malformed(part, "%d bytes, want %d", len(entry), EntryHeaderSize)
	}
	b := entry[:EntryHeaderSize]
	switch state := le.Uint32(b[EntryStateOffset:]); state {
	case EntryFree:
		return Entry{}, false, nil
	case EntryLive:
	default:
		return Entry{}, false, malformed(part, "state %#x, want %#x or %#x", state, EntryFree, EntryLive)
	}
	if check := crc32.ChecksumIEEE(b[offDVIPA:entryCheckEnd]); check != le.Uint32(b[offEntryCheck:]) {
		return Entry{}, false, malformed(part, "checksum %08x, want %08x", le.Uint32(b[offEntryCheck:]), check)
	}
	e := Entry{
		Pool:   Pool{le.Uint16(b[offPoolFirst:]), le.Uint16(b[offPoolLast:])},
		Intent: Intent(le.Uint64(b[IntentOffset:])), Holder: Holder(le.Uint64(b[HolderOffset:])),
		Updates: le.Uint64(b[UpdatesOffset:]), Cursor: uint16(le.Uint64(b[CursorOffset:])),
	}
	for i := range e.Prepared {
		e.Prepared[i] = le.Uint64(b[PreparedOffset+8*i:])
	}
	var err error
	if e.DVIPA, err = getAddress(part, b[offDVIPA:]); err != nil {
		return Entry{}, false, err
	}
	if e.Pool.First == 0 || e.Pool.First > e.Pool.Last {
		return Entry{}, false, malformed(part, "pool %d to %d", e.Pool.First, e.Pool.Last)
	}
	if err := e.Intent.check(); err != nil {
		return Entry{}, false, err
	}
	return e, true, nil
}

// Prepared says whether the usage bitmap of a slot is allocated in an entry.
func Prepared(entry []byte, slot int) bool {
	return le.Uint64(entry[PreparedOffset+slot/64*8:])>>(slot%64)&1 == 1
}

// Prepare is the store that says that the usage bitmap of a slot is allocated and all zero.
func Prepare(entry []byte, slot int) Store {
	offset := PreparedOffset + slot/64*8
	return Store{offset, le.Uint64(entry[offset:]) | 1<<(slot%64)}
}
