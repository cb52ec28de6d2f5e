package portfile

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	layout "github.com/plexlab-dev/plexlab/nodes/contract/portfile"
)

// File is a port file, opened. Locks that it takes are its own: another File of the same path has
// others, in the same process too. It is not safe for concurrent use.
type File struct {
	path string
	file *os.File
}

// Create makes a port file for a plex, settled and empty, where there is none (fs.ErrExist), as the
// first stack would.
func Create(path, plex string) error {
	file, err := os.OpenFile(filepath.Dir(path), unix.O_TMPFILE|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("make port file: %w", err)
	}
	defer file.Close()
	head := make([]byte, layout.EntriesOffset)
	layout.Header{Plex: plex, ID: [16]byte(binary.LittleEndian.AppendUint64(make([]byte, 8), uint64(time.Now().UnixNano()))), State: layout.Settled}.Encode(head)
	if err := file.Truncate(layout.FileSize); err != nil {
		return fmt.Errorf("make port file: %w", err)
	}
	if _, err := file.WriteAt(head, 0); err != nil {
		return fmt.Errorf("make port file: %w", err)
	}
	err = unix.Linkat(unix.AT_FDCWD, fmt.Sprintf("/proc/self/fd/%d", file.Fd()), unix.AT_FDCWD, path, unix.AT_SYMLINK_FOLLOW)
	if err != nil {
		return &os.LinkError{Op: "link", Old: "port file", New: path, Err: err}
	}
	return nil
}

// Open opens a port file, whatever is in it.
func Open(path string) (*File, error) {
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return nil, fmt.Errorf("open port file: %w", err)
	}
	return &File{path, file}, nil
}

// Close gives the file back, and every lock that was taken by it.
func (f *File) Close() error { return f.file.Close() }

// Path is where it was opened.
func (f *File) Path() string { return f.path }

// Header reads and checks the header; a *portfile.FormatError of the contract says what is wrong.
func (f *File) Header() (layout.Header, error) {
	b, err := f.read(0, layout.HeaderSize)
	if err != nil {
		return layout.Header{}, err
	}
	return layout.DecodeHeader(b)
}

// read reads a part of the file.
func (f *File) read(offset int64, length int) ([]byte, error) {
	b := make([]byte, length)
	if _, err := f.file.ReadAt(b, offset); err != nil {
		if errors.Is(err, io.EOF) {
			err = fmt.Errorf("it ends before byte %d", offset+int64(length))
		}
		return nil, fmt.Errorf("read port file %s: %w", f.path, err)
	}
	return b, nil
}

// write writes a part of the file.
func (f *File) write(offset int64, b []byte) error {
	if _, err := f.file.WriteAt(b, offset); err != nil {
		return fmt.Errorf("write port file: %w", err)
	}
	return nil
}

// store makes the stores of an update, in order, to an entry.
func (f *File) store(entry int, stores ...layout.Store) error {
	for _, s := range stores {
		if err := f.write(layout.EntryOffset(entry)+int64(s.Offset), binary.LittleEndian.AppendUint64(nil, s.Value)); err != nil {
			return err
		}
	}
	return nil
}

func (f *File) allocate(part layout.Range) error {
	if err := unix.Fallocate(int(f.file.Fd()), 0, part.Offset, part.Length); err != nil {
		return fmt.Errorf("reserve %d bytes of port file %s: %w", part.Length, f.path, err)
	}
	return nil
}

// lock takes the lock of a byte, trying for Patience.
func (f *File) lock(offset int64) error {
	for deadline := time.Now().Add(Patience); ; {
		err := f.setLock(offset, unix.F_WRLCK)
		if !errors.Is(err, unix.EAGAIN) {
			return err
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("byte %d of port file %s stays locked by another for %v: %w", offset, f.path, Patience, err)
		}
		time.Sleep(time.Millisecond)
	}
}

func (f *File) unlock(offset int64) error { return f.setLock(offset, unix.F_UNLCK) }

func (f *File) setLock(offset int64, kind int16) error {
	err := unix.FcntlFlock(f.file.Fd(), unix.F_OFD_SETLK, &unix.Flock_t{Type: kind, Whence: io.SeekStart, Start: offset, Len: 1})
	if err != nil {
		return fmt.Errorf("lock byte %d of port file %s: %w", offset, f.path, err)
	}
	return nil
}

// locked says whether another has the lock of a byte.
func (f *File) locked(offset int64) (bool, error) {
	l := unix.Flock_t{Type: unix.F_WRLCK, Whence: io.SeekStart, Start: offset, Len: 1}
	if err := unix.FcntlFlock(f.file.Fd(), unix.F_OFD_GETLK, &l); err != nil {
		return false, fmt.Errorf("ask for the lock of byte %d of port file %s: %w", offset, f.path, err)
	}
	return l.Type != unix.F_UNLCK, nil
}

// ErrNoEntry: the DVIPA has no entry.
var ErrNoEntry = errors.New("the port file has no entry for it")

// DVIPAs are those that have entries, in their order.
func (f *File) DVIPAs() ([]netip.Addr, error) {
	var dvipas []netip.Addr
	err := f.records(func(_ int, record layout.Record, live bool) bool {
		if live {
			dvipas = append(dvipas, record.DVIPA)
		}
		return true
	})
	return dvipas, err
}

// records reads the directory until yield says false.
func (f *File) records(yield func(entry int, record layout.Record, live bool) bool) error {
	directory, err := f.read(layout.DirectoryOffset, layout.EntriesOffset-layout.DirectoryOffset)
	if err != nil {
		return err
	}
	for i := range layout.MaxEntries {
		record, live, err := layout.DecodeRecord(directory[i*layout.RecordSize:])
		if err != nil {
			return err
		}
		if !yield(i, record, live) {
			return nil
		}
	}
	return nil
}

// LockOf is the byte of the file whose lock is that of a DVIPA's entry.
func (f *File) LockOf(dvipa netip.Addr) (offset int64, err error) {
	entry, err := f.find(dvipa)
	return layout.EntryOffset(entry), err
}

// find is the number of a DVIPA's entry.
func (f *File) find(dvipa netip.Addr) (int, error) {
	found := -1
	err := f.records(func(entry int, record layout.Record, live bool) bool {
		if live && record.DVIPA == dvipa {
			found = entry
		}
		return found < 0
	})
	if err == nil && found < 0 {
		err = fmt.Errorf("%s: %w", dvipa, ErrNoEntry)
	}
	return found, err
}

// withEntry runs function with the entry of a DVIPA locked and repaired; b are its bytes.
func (f *File) withEntry(dvipa netip.Addr, function func(entry int, b []byte) error) error {
	entry, err := f.find(dvipa)
	if err != nil {
		return err
	}
	if err := f.lock(layout.EntryOffset(entry)); err != nil {
		return err
	}
	b, err := f.repaired(entry)
	if err == nil {
		err = function(entry, b)
	}
	return errors.Join(err, f.unlock(layout.EntryOffset(entry)))
}

// repaired reads an entry that is locked and completes what was interrupted there, as whoever gets
// the lock has to.
func (f *File) repaired(entry int) ([]byte, error) {
	b, err := f.read(layout.EntryOffset(entry), layout.EntrySize)
	if err != nil {
		return nil, err
	}
	if _, err := layout.DecodeEntry(b); err != nil {
		return nil, err
	}
	redo, err := layout.Redo(b)
	if err != nil {
		return nil, err
	}
	for _, s := range redo.Stores() {
		s.Apply(b)
	}
	return b, f.store(entry, redo.Stores()...)
}
