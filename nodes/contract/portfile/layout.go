// Package portfile is the layout of the port file: the memory that the stacks of a plex share
// to give each port of a DVIPA one owner (CLUSTERPORTS). It is data and pure functions over
// bytes: nothing here opens, maps or locks. The chapter "The port file" of the contract's
// README.md says what to do with it, and is enough for an implementation in another language.
//
// All numbers are little-endian, all offsets are multiples of the size of what stands there. The
// functions take regions that begin at the part they speak of and are at least as long as it.
package portfile

// What is where in the file. It is FileSize bytes long and sparse; Reserved says which
// parts have to be allocated before somebody maps and writes them.
const (
	// Magic begins the file.
	Magic = "PLEXPORT"
	// Version is that of the layout. Another one is another layout.
	Version = 1

	// MaxMembers is the number of member slots, one a stack.
	MaxMembers = 128
	// MaxEntries is the number of DVIPAs with CLUSTERPORTS.
	MaxEntries = 1024
	// Ports is the number of port numbers; port 0 is never anybody's.
	Ports = 65536

	// HeaderSize is the length of the header, at offset 0.
	HeaderSize = 4096
	// SlotSize is the length of a member slot; the slots follow the header.
	SlotSize = 128
	// SlotsOffset is where slot 0 begins.
	SlotsOffset = HeaderSize
	// DirectoryOffset is where the directory of the entries begins, a Record each.
	DirectoryOffset = SlotsOffset + MaxMembers*SlotSize
	// RecordSize is the length of a record of the directory.
	RecordSize = 32
	// EntriesOffset is where entry 0 begins.
	EntriesOffset = DirectoryOffset + MaxEntries*RecordSize
	// FileSize is the length of the file.
	FileSize = EntriesOffset + MaxEntries*EntrySize
)

// What is where in an entry.
const (
	// EntryHeaderSize is the length of the header of an entry, at its offset 0.
	EntryHeaderSize = 4096
	// BitmapSize is the length of a bitmap: a bit a port. Port p is bit p%8 of byte p/8,
	// which is also bit p%64 of the 64-bit word p/64.
	BitmapSize = Ports / 8
	// AvailableOffset is the cluster-wide bitmap: 1 = available (I12).
	AvailableOffset = EntryHeaderSize
	// UniqueOffset is the bitmap of the ports that are held as unique (I15).
	UniqueOffset = AvailableOffset + BitmapSize
	// RestOffset is the table of rest times, 4 bytes a port (Resting).
	RestOffset = UniqueOffset + BitmapSize
	// RestSize is the length of the table of rest times.
	RestSize = 4 * Ports
	// UsageOffset is the stack usage structure: a bitmap for each member slot, 1 = that stack
	// uses the port.
	UsageOffset = RestOffset + RestSize
	// EntrySize is the length of an entry.
	EntrySize = UsageOffset + MaxMembers*BitmapSize
)

// DirectoryLock is the byte that is locked while slots or entries are given out and while the
// state of the file changes: the first one of the directory, as the lock of a slot or an entry
// is its first byte.
const DirectoryLock int64 = DirectoryOffset

// SlotOffset is where a member slot begins, slot from 0 to MaxMembers-1.
func SlotOffset(slot int) int64 { return SlotsOffset + int64(slot)*SlotSize }

// RecordOffset is where the directory's record of an entry begins, entry from 0 to MaxEntries-1.
func RecordOffset(entry int) int64 { return DirectoryOffset + int64(entry)*RecordSize }

// EntryOffset is where an entry begins, entry from 0 to MaxEntries-1.
func EntryOffset(entry int) int64 { return EntriesOffset + int64(entry)*EntrySize }

// usageOffset is where the usage bitmap of a slot begins in an entry.
func usageOffset(slot int) int { return UsageOffset + slot*BitmapSize }

// A Range is a part of the file.
type Range struct{ Offset, Length int64 }

// ReservedHead is the part that has to be allocated before the file is linked to its path.
func ReservedHead() Range { return Range{0, EntriesOffset} }

// ReservedEntry is the part of an entry that has to be allocated before it is made.
func ReservedEntry(entry int) Range { return Range{EntryOffset(entry), UsageOffset} }

// ReservedUsage is the part that has to be allocated before a slot is Prepared in an entry.
func ReservedUsage(entry, slot int) Range {
	return Range{EntryOffset(entry) + int64(usageOffset(slot)), BitmapSize}
}
