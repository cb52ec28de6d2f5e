package portfile

import (
	"hash/crc32"
	"net/netip"
)

// Where the fields of a record are.
const (
	// RecordStateOffset is where the state of a record stands, 4 bytes: RecordFree or
	// RecordLive. It is the last to be written when an entry is made, and the first when it is
	// made over for another DVIPA.
	RecordStateOffset = 0
	offCheck          = 4  // 4 bytes: CRC-32 (IEEE) of the bytes after it
	offDVIPA          = 8  // 17
	offPoolFirst      = 26 // 2
	offPoolLast       = 28 // 2
)

// The states of a record.
const (
	RecordFree uint32 = 0
	RecordLive uint32 = 0x31544e45 // "ENT1"
)

// Pool is the range of ports that port 0 is answered from, inclusive, 1 <= First <= Last.
type Pool struct{ First, Last uint16 }

// Size is the number of ports.
func (p Pool) Size() int { return int(p.Last) - int(p.First) + 1 }

// Contains says whether port is in the pool.
func (p Pool) Contains(port uint16) bool { return p.First <= port && port <= p.Last }

// Record says what an entry is for. It stands in the directory, by which entries are found, and
// at the beginning of the entry itself, so that damage to either shows.
type Record struct {
	DVIPA netip.Addr
	Pool  Pool
}

// Encode writes the record into b, all but the state: that is one store of 4 bytes at
// RecordStateOffset, RecordFree before and RecordLive after.
func (r Record) Encode(b []byte) {
	b = b[:RecordSize]
	clear(b[offCheck:])
	putAddress(b[offDVIPA:], r.DVIPA)
	le.PutUint16(b[offPoolFirst:], r.Pool.First)
	le.PutUint16(b[offPoolLast:], r.Pool.Last)
	le.PutUint32(b[offCheck:], crc32.ChecksumIEEE(b[offDVIPA:]))
}

// DecodeRecord reads and checks a record of the directory; false says that the entry is free.
// A *FormatError says what is wrong with it.
func DecodeRecord(b []byte) (Record, bool, error) { return decodeRecord("directory", b) }

func decodeRecord(part string, b []byte) (Record, bool, error) {
	if len(b) < RecordSize {
		return Record{}, false, malformed(part, "record of %d bytes, want %d", len(b), RecordSize)
	}
	b = b[:RecordSize]
	switch state := le.Uint32(b[RecordStateOffset:]); state {
	case RecordFree:
		return Record{}, false, nil
	case RecordLive:
	default:
		return Record{}, false, malformed(part, "state %#x, want %#x or %#x", state, RecordFree, RecordLive)
	}
	if check := crc32.ChecksumIEEE(b[offDVIPA:]); check != le.Uint32(b[offCheck:]) {
		return Record{}, false, malformed(part, "checksum %08x, want %08x", le.Uint32(b[offCheck:]), check)
	}
	r := Record{Pool: Pool{le.Uint16(b[offPoolFirst:]), le.Uint16(b[offPoolLast:])}}
	if r.Pool.First == 0 || r.Pool.First > r.Pool.Last {
		return Record{}, false, malformed(part, "pool %d to %d", r.Pool.First, r.Pool.Last)
	}
	var err error
	r.DVIPA, err = getAddress(part, b[offDVIPA:])
	return r, true, err
}
