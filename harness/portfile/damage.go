package portfile

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"os"

	layout "github.com/plexlab-dev/plexlab/nodes/contract/portfile"
)

// Truncate cuts the file to a length.
func (f *File) Truncate(length int64) error {
	if err := f.file.Truncate(length); err != nil {
		return fmt.Errorf("damage port file: %w", err)
	}
	return nil
}

// Unlink removes the file from its path.
func (f *File) Unlink() error {
	if err := os.Remove(f.path); err != nil {
		return fmt.Errorf("remove port file: %w", err)
	}
	return nil
}

// SetVersion makes it a file of another version of the layout.
func (f *File) SetVersion(version uint32) error {
	return f.write(int64(len(layout.Magic)), binary.LittleEndian.AppendUint32(nil, version))
}

// CorruptHeader writes over the part of the header that never changes.
func (f *File) CorruptHeader() error { return f.garbage(16, 64) }

// CorruptEntry writes over the beginning of a DVIPA's entry, not over the directory.
func (f *File) CorruptEntry(dvipa netip.Addr) error {
	entry, err := f.find(dvipa)
	if err != nil {
		return err
	}
	return f.garbage(layout.EntryOffset(entry), layout.RecordSize)
}

// CorruptAvailability writes over the availability of 64 ports of a DVIPA, those from port on.
func (f *File) CorruptAvailability(dvipa netip.Addr, port uint16) error {
	entry, err := f.find(dvipa)
	if err != nil {
		return err
	}
	offset := layout.EntryOffset(entry) + layout.AvailableOffset + int64(port)/64*8
	b, err := f.read(offset, 8)
	if err != nil {
		return err
	}
	for i := range b {
		b[i] ^= 0xff
	}
	return f.write(offset, b)
}

// garbage writes bytes that are nothing.
func (f *File) garbage(offset int64, length int) error {
	b := make([]byte, length)
	for i := range b {
		b[i] = 0xa5
	}
	return f.write(offset, b)
}
