package sockets

import (
	"bytes"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// A caller is the thread that waits in a system call for the broker's answer.
type caller struct {
	notification
	pidfd int
}

// openCaller holds on to the thread, so that its number cannot come to mean another. Until
// the notification is found valid afterwards, it may be another already.
func openCaller(n notification) (*caller, error) {
	if n.TID == 0 {
		return nil, fmt.Errorf("caller is in a PID namespace that the broker does not see: %w", unix.EPERM)
	}
	// A thread may have a descriptor table of its own (CLONE_FILES, unshare(2)).
	pidfd, err := unix.PidfdOpen(int(n.TID), unix.PIDFD_THREAD)
	if err == unix.EINVAL { // before Linux 6.9
		who, statusErr := readStatus(int(n.TID))
		if statusErr != nil {
			return nil, statusErr
		}
		pidfd, err = unix.PidfdOpen(who.pid, 0)
	}
	if err != nil {
		return nil, fmt.Errorf("open thread %d: %w", n.TID, err)
	}
	return &caller{notification: n, pidfd: pidfd}, nil
}

func (c *caller) close() { unix.Close(c.pidfd) }

// fetch duplicates a descriptor of the caller: EBADF if it has none of that number, EPERM
// where the kernel does not let the broker look into the process.
func (c *caller) fetch(fd int) (int, error) {
	own, err := unix.PidfdGetfd(c.pidfd, fd, 0)
	if err != nil {
		return -1, fmt.Errorf("fetch descriptor %d of thread %d: %w", fd, c.TID, err)
	}
	return own, nil
}

// read fills b from the caller's memory; EFAULT if not all of it is there.
func (c *caller) read(address uintptr, b []byte) error {
	if len(b) == 0 {
		return nil
	}
	local := []unix.Iovec{{Base: &b[0]}}
	local[0].SetLen(len(b))
	remote := []unix.RemoteIovec{{Base: address, Len: len(b)}}
	n, err := unix.ProcessVMReadv(int(c.TID), local, remote, 0)
	switch {
	case err != nil:
		return fmt.Errorf("read memory of thread %d: %w", c.TID, err)
	case n != len(b):
		return fmt.Errorf("read memory of thread %d: %w", c.TID, unix.EFAULT)
	}
	return nil
}

func (c *caller) status() (status, error) { return readStatus(int(c.TID)) }

// status is what the broker reads of /proc/TID/status.
type status struct {
	tid          int
	pid          int    // of its process
	capabilities uint64 // effective ones, in the thread's own user namespace
}

func readStatus(tid int) (status, error) {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(tid) + "/status")
	if err != nil {
		return status{}, fmt.Errorf("read status of thread %d: %w", tid, err)
	}
	s := status{tid: tid}
	if s.pid, err = strconv.Atoi(statusField(b, "Tgid")); err != nil {
		return status{}, fmt.Errorf("status of thread %d: process: %w", tid, err)
	}
	if s.capabilities, err = strconv.ParseUint(statusField(b, "CapEff"), 16, 64); err != nil {
		return status{}, fmt.Errorf("status of thread %d: effective capabilities: %w", tid, err)
	}
	return s, nil
}

func statusField(b []byte, name string) string {
	_, rest, _ := bytes.Cut(b, []byte("\n"+name+":"))
	value, _, _ := bytes.Cut(rest, []byte("\n"))
	return string(bytes.TrimSpace(value))
}
