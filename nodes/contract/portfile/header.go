package portfile

import (
	"bytes"
	"hash/crc32"
)

// Where the fields of the header are.
const (
	offMagic       = 0  // 8 bytes
	offVersion     = 8  // 4
	offHeaderSize  = 12 // 4
	offMembers     = 16 // 4
	offEntries     = 20 // 4
	offSlotSize    = 24 // 4
	offEntrySize   = 28 // 4
	offFileSize    = 32 // 8
	offID          = 40 // 16
	offPlex        = 56 // 32
	offHeaderCheck = 88 // 4: CRC-32 (IEEE) of the bytes before it

	// StateOffset is where the state of the file stands, 8 bytes; it changes under the
	// directory lock, with all that follows.
	StateOffset = 96
	// SettleOffset is where Header.Settle stands, 8 bytes.
	SettleOffset = 104
	// GiveUpOffset is where Header.GiveUp stands, 8 bytes.
	GiveUpOffset = 112
)

// FileState says whether the file is complete.
type FileState uint64

const (
	// Filling: the file was made in place of another, and stacks that hold ports have yet to
	// register them; no port is given out.
	Filling FileState = 1
	// Settled: the file tells all.
	Settled FileState = 2
)

func (s FileState) String() string {
	switch s {
	case Filling:
		return "filling"
	case Settled:
		return "settled"
	}
	return "invalid"
}

// Header is the beginning of the file.
type Header struct {
	Plex string
	ID   [16]byte // random: tells a file from one made anew

	// The rest changes. Times are nanoseconds of CLOCK_BOOTTIME.

	State FileState
	// Settle is the time before which a filling file is not settled, so that stacks that hold
	// ports in an earlier file have time to notice and expect one another.
	Settle uint64
	// GiveUp is the time after which nobody waits for expected members any more.
	GiveUp uint64
}

// Encode writes the header into the first HeaderSize bytes of file.
func (h Header) Encode(file []byte) {
	b := file[:HeaderSize]
	clear(b)
	copy(b[offMagic:], Magic)
	le.PutUint32(b[offVersion:], Version)
	le.PutUint32(b[offHeaderSize:], HeaderSize)
	le.PutUint32(b[offMembers:], MaxMembers)
	le.PutUint32(b[offEntries:], MaxEntries)
	le.PutUint32(b[offSlotSize:], SlotSize)
	le.PutUint32(b[offEntrySize:], EntrySize)
	le.PutUint64(b[offFileSize:], FileSize)
	copy(b[offID:], h.ID[:])
	putName(b[offPlex:], h.Plex)
	le.PutUint32(b[offHeaderCheck:], crc32.ChecksumIEEE(b[:offHeaderCheck]))
	le.PutUint64(b[StateOffset:], uint64(h.State))
	le.PutUint64(b[SettleOffset:], h.Settle)
	le.PutUint64(b[GiveUpOffset:], h.GiveUp)
}

// DecodeHeader reads and checks the header; a *FormatError says what is wrong with it.
func DecodeHeader(file []byte) (Header, error) {
	const part = "header"
	if len(file) < HeaderSize {
		return Header{}, malformed(part, "%d bytes, want %d", len(file), HeaderSize)
	}
	b := file[:HeaderSize]
	if !bytes.Equal(b[offMagic:offMagic+len(Magic)], []byte(Magic)) {
		return Header{}, malformed(part, "begins with %q, want %q: this is no port file", b[:len(Magic)], Magic)
	}
	if version := le.Uint32(b[offVersion:]); version != Version {
		return Header{}, malformed(part, "version %d, want %d: another layout", version, Version)
	}
	if check := crc32.ChecksumIEEE(b[:offHeaderCheck]); check != le.Uint32(b[offHeaderCheck:]) {
		return Header{}, malformed(part, "checksum %08x, want %08x", le.Uint32(b[offHeaderCheck:]), check)
	}
	for _, field := range []struct {
		name      string
		got, want uint64
	}{
		{"header size", uint64(le.Uint32(b[offHeaderSize:])), HeaderSize},
		{"member slots", uint64(le.Uint32(b[offMembers:])), MaxMembers},
		{"entries", uint64(le.Uint32(b[offEntries:])), MaxEntries},
		{"slot size", uint64(le.Uint32(b[offSlotSize:])), SlotSize},
		{"entry size", uint64(le.Uint32(b[offEntrySize:])), EntrySize},
		{"file size", le.Uint64(b[offFileSize:]), FileSize},
	} {
		if field.got != field.want {
			return Header{}, malformed(part, "%s %d, want %d", field.name, field.got, field.want)
		}
	}
	h := Header{
		ID: [16]byte(b[offID:]), State: FileState(le.Uint64(b[StateOffset:])),
		Settle: le.Uint64(b[SettleOffset:]), GiveUp: le.Uint64(b[GiveUpOffset:]),
	}
	if h.State != Filling && h.State != Settled {
		return Header{}, malformed(part, "state %d, want %d or %d", h.State, Filling, Settled)
	}
	var err error
	h.Plex, err = getName(part, b[offPlex:])
	return h, err
}
