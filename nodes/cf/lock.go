package cf

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Bytes of the port file are locked by open-file-description locks (fcntl(2)): the kernel frees
// them when the last descriptor of the description is closed, so when the process ends, however
// it does. A wait for one in the kernel ends with the lock or the process alone, and a frozen
// holder keeps its lock: whoever has a deadline tries, or lets a goroutine wait (lockFile).

// Between two tries the pauses grow from the first to the last.
const (
	lockFirstPause = 20 * time.Microsecond
	lockLastPause  = time.Millisecond
)

var errLocked = errors.New("locked by another")

// tryLock locks the byte at offset for fd's description, or fails with errLocked.
func tryLock(fd int, offset int64) error { return setLock(fd, offset, unix.F_WRLCK) }

// unlock gives the lock back. On a lock that the description does not have it does nothing.
func unlock(fd int, offset int64) error { return setLock(fd, offset, unix.F_UNLCK) }

// setLock is a raw system call: it does not wait, and two of them are most of what a claim costs.
func setLock(fd int, offset int64, kind int16) error {
	l := unix.Flock_t{Type: kind, Whence: io.SeekStart, Start: offset, Len: 1}
	_, _, errno := unix.RawSyscall(unix.SYS_FCNTL, uintptr(fd), unix.F_OFD_SETLK, uintptr(unsafe.Pointer(&l)))
	switch errno {
	case 0:
		return nil
	case unix.EAGAIN, unix.EACCES:
		return errLocked
	}
	return fmt.Errorf("lock byte %d of the port file: %w", offset, errno)
}

// lockedByOther says whether another description than fd's has the lock of a byte.
func lockedByOther(fd int, offset int64) (bool, error) {
	l := unix.Flock_t{Type: unix.F_WRLCK, Whence: io.SeekStart, Start: offset, Len: 1}
	// Raw, as it does not wait: else it wakes the runtime's monitor thread.
	_, _, errno := unix.RawSyscall(unix.SYS_FCNTL, uintptr(fd), unix.F_OFD_GETLK, uintptr(unsafe.Pointer(&l)))
	if errno != 0 {
		return false, fmt.Errorf("ask for the lock of byte %d of the port file: %w", offset, errno)
	}
	return l.Type != unix.F_UNLCK, nil
}

// lockUntil takes the lock of a byte, trying until the deadline or the end of ctx; then it fails with
// errLocked or the context's error.
func lockUntil(ctx context.Context, fd int, offset int64, deadline time.Time) error {
	for pause := lockFirstPause; ; pause = min(2*pause, lockLastPause) {
		if err := tryLock(fd, offset); !errors.Is(err, errLocked) {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		left := time.Until(deadline)
		if left <= 0 {
			return errLocked
		}
		nap(min(pause, left))
	}
}

// nap blocks the thread. The runtime's timers wake an idle process a millisecond late.
func nap(d time.Duration) {
	t := unix.NsecToTimespec(int64(d))
	_ = unix.Nanosleep(&t, nil) // a signal may end it early
}

// A mutex is held between goroutines of the process, which have one description.
type mutex chan struct{}

func newMutex() mutex { return make(mutex, 1) }

func (m mutex) try() bool {
	select {
	case m <- struct{}{}:
		return true
	default:
		return false
	}
}

// lock fails with errLocked or the context's error.
func (m mutex) lock(ctx context.Context, deadline time.Time) error {
	if m.try() {
		return nil
	}
	timer := time.NewTimer(time.Until(deadline))
	defer timer.Stop()
	select {
	case m <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return errLocked
	}
}

func (m mutex) unlock() { <-m }

// A lockFile is the description that the locks of entries belong to. It is open until nobody
// waits for a lock of it any more: its number must not become another file's meanwhile.
type lockFile struct {
	fd   int
	uses atomic.Int64
}

func newLockFile(fd int) *lockFile {
	f := &lockFile{fd: fd}
	f.uses.Store(1)
	return f
}

// close gives the description back, its locks with it.
func (f *lockFile) close() {
	if f.uses.Add(-1) == 0 {
		_ = unix.Close(f.fd)
	}
}

// An entryLock is the lock of an entry; the goroutines of the process take turns by other means.
type entryLock struct {
	// waiter is the channel of a goroutine that waits in the kernel, where one does. While it
	// does, nobody else may take or give back the lock: to the kernel they are the same.
	waiter chan error
}

// lock takes the lock, which by no means waits longer than until the deadline or the end of ctx; then
// it fails with errLocked or the context's error. The kernel keeps those that wait in order, and
// a lock that many contend for costs no tries.
func (l *entryLock) lock(ctx context.Context, f *lockFile, offset int64, deadline func() time.Time) error {
	var timer *time.Timer
	for {
		if l.waiter == nil {
			if err := tryLock(f.fd, offset); !errors.Is(err, errLocked) {
				return err
			}
			l.waiter = f.wait(offset)
		}
		if timer == nil {
			timer = time.NewTimer(time.Until(deadline()))
			defer timer.Stop()
		}
		select {
		case err, got := <-l.waiter:
			l.waiter = nil
			if got {
				return err
			}
		case <-timer.C:
			return errLocked
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// wait waits for a lock in the kernel. Whoever listens to the channel when the lock is there has
// it; if nobody does, it is given back and the channel closed.
func (f *lockFile) wait(offset int64) chan error {
	got := make(chan error)
	f.uses.Add(1)
	go func() {
		defer f.close()
		l := unix.Flock_t{Type: unix.F_WRLCK, Whence: io.SeekStart, Start: offset, Len: 1}
		err := error(unix.EINTR)
		for errors.Is(err, unix.EINTR) {
			err = unix.FcntlFlock(uintptr(f.fd), unix.F_OFD_SETLKW, &l)
		}
		select {
		case got <- err:
		default:
			_ = unlock(f.fd, offset)
			close(got)
		}
	}()
	return got
}
