package probe

import (
	"fmt"
	"io"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/plexlab-dev/plexlab/harness/portfile"
	"github.com/plexlab-dev/plexlab/nodes/contract/claimer"
)

// Locker is a claimer (nodes/contract/claimer) that claims nothing: its cycle locks the byte of the
// DVIPA's entry in a port file and unlocks it, which is one operation: it is what no claim can do
// without. It is as fast as can be: by raw system calls, for which the runtime does not make
// room for others.
func Locker(path string, in io.Reader, out io.Writer) error {
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer file.Close()
	descriptor := file.Fd()
	return claimer.Serve(in, out, func(job claimer.Job) (claimer.Answer, error) {
		if job.Do != claimer.Cycle {
			return claimer.Answer{}, fmt.Errorf("job %q: a locker can cycle only", job.Do)
		}
		entry, err := portfile.Open(path)
		if err != nil {
			return claimer.Answer{}, err
		}
		offset, err := entry.LockOf(job.DVIPA)
		entry.Close()
		if err != nil {
			return claimer.Answer{}, err
		}
		return claimer.Repeat(job.For, 1, func() error {
			errno := setLock(descriptor, unix.F_OFD_SETLK, unix.F_WRLCK, offset)
			if errno == unix.EAGAIN {
				errno = setLock(descriptor, unix.F_OFD_SETLKW, unix.F_WRLCK, offset)
			}
			if errno == 0 {
				errno = setLock(descriptor, unix.F_OFD_SETLK, unix.F_UNLCK, offset)
			}
			if errno != 0 {
				return fmt.Errorf("lock byte %d of %s: %w", offset, path, errno)
			}
			return nil
		})
	})
}

func setLock(descriptor uintptr, command int, kind int16, offset int64) unix.Errno {
	l := unix.Flock_t{Type: kind, Whence: io.SeekStart, Start: offset, Len: 1}
	_, _, errno := unix.RawSyscall(unix.SYS_FCNTL, descriptor, uintptr(command), uintptr(unsafe.Pointer(&l)))
	return errno
}
