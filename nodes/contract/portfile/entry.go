package portfile

// Where the fields of the header of an entry are; its record stands first.
const (
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
)

// Entry is the header of an entry.
type Entry struct {
	Record
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
// names and keeps which slots are prepared. The entry is found once the directory has its record.
func InitEntry(entry []byte, r Record) {
	b := entry[:EntryHeaderSize]
	r.Encode(b)
	le.PutUint32(b[RecordStateOffset:], RecordLive)
	clear(b[RecordSize:PreparedOffset])
	le.PutUint64(b[CursorOffset:], uint64(r.Pool.First))
	clear(b[PreparedOffset+MaxMembers/8:])
	available := entry[AvailableOffset : AvailableOffset+BitmapSize]
	for i := range available {
		available[i] = 0xff
	}
	available[0] = 0xfe // port 0 is nobody's
	clear(entry[UniqueOffset : UniqueOffset+BitmapSize])
	clear(entry[RestOffset : RestOffset+RestSize])
}

// DecodeEntry reads and checks the header of an entry that the directory has a record of. A
// *FormatError says what is wrong with it.
func DecodeEntry(entry []byte) (Entry, error) {
	const part = "entry"
	if len(entry) < EntryHeaderSize {
		return Entry{}, malformed(part, "%d bytes, want %d", len(entry), EntryHeaderSize)
	}
	b := entry[:EntryHeaderSize]
	record, live, err := decodeRecord(part, b)
	if err != nil {
		return Entry{}, err
	}
	if !live {
		return Entry{}, malformed(part, "its state says that it is free, the directory that it is not")
	}
	e := Entry{
		Record: record, Intent: Intent(le.Uint64(b[IntentOffset:])), Holder: Holder(le.Uint64(b[HolderOffset:])),
		Updates: le.Uint64(b[UpdatesOffset:]), Cursor: uint16(le.Uint64(b[CursorOffset:])),
	}
	for i := range e.Prepared {
		e.Prepared[i] = le.Uint64(b[PreparedOffset+8*i:])
	}
	return e, e.Intent.check()
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
