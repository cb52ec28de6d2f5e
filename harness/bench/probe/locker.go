package probe

import (
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"

	"github.com/plexlab-dev/plexlab/harness/portfile"
	"github.com/plexlab-dev/plexlab/nodes/contract/claimer"
)

// Locker is a claimer (nodes/contract/claimer) that claims nothing: its cycle locks the byte of the
// DVIPA's entry in a port file and unlocks it, waiting in the kernel for whoever has it, which is
// one operation. It is what no claim can do without.
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
		lock := unix.Flock_t{Type: unix.F_WRLCK, Whence: io.SeekStart, Start: offset, Len: 1}
		unlock := lock
		unlock.Type = unix.F_UNLCK
		return claimer.Repeat(job.For, 1, func() error {
			if err := unix.FcntlFlock(descriptor, unix.F_OFD_SETLKW, &lock); err != nil {
				return err
			}
			return unix.FcntlFlock(descriptor, unix.F_OFD_SETLKW, &unlock)
		})
	})
}
