package cf

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/plexlab-dev/plexlab/nodes/contract/portfile"
)

// A mapping is one port file, open and mapped, with what this process knows of it. A file that is
// made anew is another mapping.
type mapping struct {
	path    string
	fd      int
	locks   *lockFile // of entries
	device  uint64
	inode   uint64
	id      [16]byte
	mem     memory
	timeout time.Duration // of locks
	rest    time.Duration // of the unique ports of a stack that is gone
	pid     uint32
	book    *book

	// slot is this stack's, once it has joined.
	slot int
	// inUse are ports that sockets had before the stack was started, of the entries that there were when it joined.
	inUse map[netip.Addr][]uint16

	// The locks of the file belong to fd, so among goroutines these come first.
	directory  mutex
	reclaiming mutex
	entries    [portfile.MaxEntries]sharedEntry

	// index finds entries; a map is never changed, but replaced.
	index atomic.Pointer[map[netip.Addr]int]
	// tidy: no entry is stale.
	tidy   atomic.Bool
	opened time.Time
	looked atomic.Int64 // when the file was last looked at, since opened
	// users counts those that may touch the memory.
	users atomic.Int64
}

// sharedEntry is what this process knows of an entry; all but the mutex under the entry's lock.
type sharedEntry struct {
	mutex mutex
	// stale: this stack's slot has ports there of an incarnation before it.
	stale atomic.Bool
	lock  entryLock
	// held is what this stack holds of the DVIPA.
	held *holding
	// bytes are what the entry is known to begin with, which is this record.
	bytes  [portfile.RecordSize]byte
	record portfile.Record
}

// openMapping opens and checks the file. fs.ErrNotExist says that there is none; a *DamagedError
// that it cannot be used.
func openMapping(c *Config, b *book) (*mapping, error) {
	m, err := newMapping(c, b)
	if err == nil {
		err = m.open(c.Plex)
	}
	if err != nil && m != nil {
		m.close()
		m = nil
	}
	return m, err
}

func newMapping(c *Config, b *book) (*mapping, error) {
	fd, err := unix.Open(c.Path, unix.O_RDWR|unix.O_CLOEXEC|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open port file", Path: c.Path, Err: err}
	}
	m := &mapping{path: c.Path, fd: fd, timeout: c.LockTimeout, rest: c.Rest, pid: uint32(os.Getpid()), book: b, inUse: map[netip.Addr][]uint16{}, opened: time.Now(), directory: newMutex(), reclaiming: newMutex(), slot: -1}
	// A description of its own, so that the slot is given back even while one is waited for.
	locks, err := unix.Open(fmt.Sprintf("/proc/self/fd/%d", fd), unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		_ = unix.Close(fd)
		return nil, fmt.Errorf("open port file %s again: %w", c.Path, err)
	}
	m.locks = newLockFile(locks)
	for i := range m.entries {
		m.entries[i].mutex = newMutex()
	}
	m.index.Store(&map[netip.Addr]int{})
	return m, nil
}

// open maps and checks the file of a plex.
func (m *mapping) open(plex string) error {
	stat, err := m.stat()
	if err != nil {
		return err
	}
	m.device, m.inode = stat.Dev, stat.Ino
	m.mem, err = unix.Mmap(m.fd, 0, portfile.FileSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return fmt.Errorf("map port file %s: %w", m.path, err)
	}
	header, err := m.header()
	if err != nil {
		return err
	}
	if header.Plex != plex {
		return m.damaged("it is of plex %s, this stack of %s: give each plex a file of its own", header.Plex, plex)
	}
	m.id = header.ID
	return nil
}

// close gives everything back, the stack's slot too. Nobody may use the mapping any more.
func (m *mapping) close() {
	if m.mem != nil {
		_ = unix.Munmap(m.mem) // fails for a range that is not mapped alone
		m.mem = nil
	}
	m.locks.close()
	_ = unix.Close(m.fd)
}

// leave ends a use of the mapping.
func (m *mapping) leave() { m.users.Add(-1) }

// remedy is what a person can do about a damaged file.
const remedy = "remove the file, and the stacks make it anew"

func (m *mapping) damaged(format string, args ...any) *DamagedError {
	return &DamagedError{Path: m.path, Problem: fmt.Sprintf(format, args...)}
}

// removed is the error for a file that is not at its path any more.
var errRemoved = errors.New("removed")

// statEvery is how often the file is looked at, at most. What is done in the meantime to a file that
// was removed is registered in the next one, as everything is that this stack holds.
const statEvery = time.Millisecond

// whole finds out, after a lock was taken, whether the file is still linked and whole.
func (m *mapping) whole() error {
	now := time.Since(m.opened)
	if last := time.Duration(m.looked.Load()); last != 0 && now-last < statEvery {
		return nil
	}
	_, err := m.stat()
	if err == nil {
		m.looked.Store(int64(now))
	}
	return err
}

// stat finds out whether the file is still linked and whole, by a raw system call, which does not
// wait. It fails with errRemoved or a *DamagedError.
func (m *mapping) stat() (unix.Stat_t, error) {
	var stat unix.Stat_t
	if _, _, errno := unix.RawSyscall(unix.SYS_FSTAT, uintptr(m.fd), uintptr(unsafe.Pointer(&stat)), 0); errno != 0 {
		return stat, fmt.Errorf("inspect port file %s: %w", m.path, errno)
	}
	switch {
	case stat.Nlink == 0:
		return stat, errRemoved
	case stat.Mode&unix.S_IFMT != unix.S_IFREG:
		return stat, m.damaged("it is no regular file: %s", remedy)
	case stat.Size != portfile.FileSize:
		return stat, m.damaged("it is %d bytes long, want %d: %s", stat.Size, int64(portfile.FileSize), remedy)
	}
	return stat, nil
}

// quickStat is stat(2) as a raw system call, as it does not wait: else it wakes the runtime's monitor thread.
func quickStat(path string) (stat unix.Stat_t, err error) {
	name, err := unix.BytePtrFromString(path)
	if err != nil {
		return stat, err
	}
	at := unix.AT_FDCWD
	_, _, errno := unix.RawSyscall6(unix.SYS_NEWFSTATAT, uintptr(at), uintptr(unsafe.Pointer(name)), uintptr(unsafe.Pointer(&stat)), 0, 0, 0)
	if errno != 0 {
		return stat, fmt.Errorf("inspect port file %s: %w", path, errno)
	}
	return stat, nil
}

// header reads and checks the header, whole.
func (m *mapping) header() (h portfile.Header, err error) {
	err = m.mem.safely(func() (err error) { h, err = portfile.DecodeHeader(m.mem); return err })
	if err != nil {
		err = m.damaged("%v: %s", err, remedy)
	}
	return h, err
}

// check finds out whether the mapping can still be used: the file is at its path and whole, and
// this stack's slot is as it was left.
func (m *mapping) check(self portfile.Member) error {
	if _, err := m.stat(); err != nil {
		return err
	}
	at, err := quickStat(m.path)
	switch {
	case errors.Is(err, unix.ENOENT), err == nil && (at.Ino != m.inode || at.Dev != m.device):
		return errRemoved
	case err != nil:
		return m.damaged("%v", err)
	}
	header, err := m.header()
	if err != nil {
		return err
	}
	if header.ID != m.id {
		return m.damaged("another one was written over it: %s", remedy)
	}
	found, err := m.member(m.slot)
	found.State, self.State = 0, 0
	if err != nil || found != self {
		return m.damaged("the slot of this stack was written over: %s", remedy)
	}
	return nil
}

// allocate reserves room for a part of the file, so that writing to the mapping cannot fail.
func (m *mapping) allocate(part portfile.Range) error { return allocate(m.path, m.fd, part) }

func allocate(path string, fd int, part portfile.Range) error {
	for {
		switch err := unix.Fallocate(fd, 0, part.Offset, part.Length); {
		case err == nil:
			return nil
		case errors.Is(err, unix.EINTR):
		case isFull(err):
			return &DamagedError{Path: path, Problem: fmt.Sprintf("no room for %d bytes more (%v): make room", part.Length, err), Full: true}
		default:
			return &DamagedError{Path: path, Problem: fmt.Sprintf("its file system reserves no room (%v): put it on tmpfs, ext4 or xfs", err)}
		}
	}
}

func (m *mapping) deadline(ctx context.Context) time.Time {
	deadline := time.Now().Add(m.timeout)
	if until, ok := ctx.Deadline(); ok && until.Before(deadline) {
		return until
	}
	return deadline
}

// withDirectory runs f with the directory locked. f may be interrupted by a fault.
func (m *mapping) withDirectory(ctx context.Context, f func() error) error {
	deadline := m.deadline(ctx)
	busy := &BusyError{What: "the directory of port file " + m.path, Holder: "another process"}
	if err := m.directory.lock(ctx, deadline); err != nil {
		return locked(err, busy)
	}
	defer m.directory.unlock()
	if err := lockUntil(ctx, m.fd, portfile.DirectoryLock, deadline); err != nil {
		return locked(err, busy)
	}
	defer unlock(m.fd, portfile.DirectoryLock)
	if _, err := m.stat(); err != nil {
		return err
	}
	return m.safely(f)
}

// locked makes err, the outcome of waiting for a lock, one that names who has it.
func locked(err error, busy *BusyError) error {
	if errors.Is(err, errLocked) {
		return busy
	}
	return err
}

// safely runs f, which touches the file's memory, and returns a *DamagedError if a part of it is gone.
func (m *mapping) safely(f func() error) error {
	err := m.mem.safely(f)
	if errors.Is(err, errFault) {
		return m.damaged("%v: %s", err, remedy)
	}
	return err
}
