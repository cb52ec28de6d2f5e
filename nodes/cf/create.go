package cf

import (
	"crypto/rand"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/plexlab-dev/plexlab/nodes/contract/portfile"
)

// settleAfter is how many of its periodic checks a stack that holds ports has to notice that the
// file was made anew, before ports are given out of it.
const settleAfter = 2.5

// createFile makes the port file at the path, whole at once: nobody ever sees half of it, and nothing
// is left behind if the process is killed. If another was faster, that one stays. The members are
// expected to register what they hold, each in the slot that is its index.
func createFile(c *Config, members map[int]portfile.Member) (err error) {
	fd, err := unix.Open(filepath.Dir(c.Path), unix.O_TMPFILE|unix.O_RDWR|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return &DamagedError{Path: c.Path, Problem: fmt.Sprintf("it cannot be made (%v): it takes a directory on tmpfs, ext4 or xfs that this user may write to", err), Full: isFull(err)}
	}
	defer unix.Close(fd)
	if err := unix.Ftruncate(fd, portfile.FileSize); err != nil {
		return &DamagedError{Path: c.Path, Problem: fmt.Sprintf("it cannot be %d bytes long (%v): it takes a larger limit", int64(portfile.FileSize), err), Full: isFull(err)}
	}
	if err := allocate(c.Path, fd, portfile.ReservedHead()); err != nil {
		return err
	}
	head := make([]byte, portfile.EntriesOffset)
	now := bootTime()
	header := portfile.Header{
		Plex: c.Plex, State: portfile.Filling,
		Settle: uint64(now + time.Duration(settleAfter*float64(c.Check))), GiveUp: uint64(now + giveUp),
	}
	_, _ = rand.Read(header.ID[:]) // never fails
	header.Encode(head)
	for slot, member := range members {
		at := head[portfile.SlotOffset(slot):]
		member.Encode(at)
		portfile.Store{Offset: portfile.SlotStateOffset, Value: uint64(portfile.SlotExpected)}.Apply(at)
	}
	if _, err := unix.Pwrite(fd, head, 0); err != nil {
		return &DamagedError{Path: c.Path, Problem: fmt.Sprintf("it cannot be written (%v)", err), Full: isFull(err)}
	}
	err = unix.Linkat(unix.AT_FDCWD, fmt.Sprintf("/proc/self/fd/%d", fd), unix.AT_FDCWD, c.Path, unix.AT_SYMLINK_FOLLOW)
	if err != nil && !errors.Is(err, unix.EEXIST) {
		return &DamagedError{Path: c.Path, Problem: fmt.Sprintf("it cannot be linked to its path (%v)", err), Full: isFull(err)}
	}
	return nil
}

// isFull says whether an error is that there is no room.
func isFull(err error) bool {
	return errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) || errors.Is(err, unix.EFBIG)
}
