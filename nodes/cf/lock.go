package cf

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Bytes of the port file are locked by open-file-description locks (fcntl(2)): the kernel frees
// them when the last descriptor of the description is closed, so when the process ends, however
// it does. Taking one never waits in the kernel, where nothing but a signal ends the wait: a
// frozen holder keeps its lock.

// Waiting for a lock: first the processor is given away a few times, for a holder that runs and is
// about to unlock; then pauses grow up to the longest, for one that does not run.
const (
	lockYields     = 4
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
	if err := unix.FcntlFlock(uintptr(fd), unix.F_OFD_GETLK, &l); err != nil {
		return false, fmt.Errorf("ask for the lock of byte %d of the port file: %w", offset, err)
	}
	return l.Type != unix.F_UNLCK, nil
}

// lockUntil takes the lock of a byte, trying until the deadline or the end of ctx; then it fails with
// errLocked or the context's error.
func lockUntil(ctx context.Context, fd int, offset int64, deadline time.Time) error {
	pause := lockFirstPause
	for try := 0; ; try++ {
		if err := tryLock(fd, offset); !errors.Is(err, errLocked) {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		left := time.Until(deadline)
		switch {
		case left <= 0:
			return errLocked
		case try < lockYields:
			unix.RawSyscall(unix.SYS_SCHED_YIELD, 0, 0, 0)
		default:
			nap(min(pause, left))
			pause = min(2*pause, lockLastPause)
		}
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
