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
	*thread
}

// thread is a thread of an application, held by a descriptor so that its number cannot come to
// mean another as long as the descriptor answers.
type thread struct {
	tid, pid int // of itself and of its process
	pidfd    int
}

// openThread holds on to the thread of that number, whichever that is now.
func openThread(tid int) (*thread, error) {
	who, err := readStatus(tid)
	if err != nil {
		return nil, err
	}
	// A thread may have a descriptor table of its own (CLONE_FILES, unshare(2)).
	pidfd, err := unix.PidfdOpen(tid, unix.PIDFD_THREAD)
	if err == unix.EINVAL { // before Linux 6.9
		pidfd, err = unix.PidfdOpen(who.pid, 0)
	}
	if err != nil {
		return nil, fmt.Errorf("open thread %d: %w", tid, err)
	}
	return &thread{tid: tid, pid: who.pid, pidfd: pidfd}, nil
}

func (t *thread) close() { unix.Close(t.pidfd) }

// fetch duplicates a descriptor of the thread: EBADF if it has none of that number, EPERM
// where the kernel does not let the broker look into the process.
func (t *thread) fetch(fd int) (int, error) {
	own, err := unix.PidfdGetfd(t.pidfd, fd, 0)
	if err != nil {
		return -1, fmt.Errorf("fetch descriptor %d of thread %d: %w", fd, t.tid, err)
	}
	return own, nil
}

// read fills b from the thread's memory; EFAULT if not all of it is there.
func (t *thread) read(address uintptr, b []byte) error {
	if len(b) == 0 {
		return nil
	}
	local := []unix.Iovec{{Base: &b[0]}}
	local[0].SetLen(len(b))
	remote := []unix.RemoteIovec{{Base: address, Len: len(b)}}
	n, err := unix.ProcessVMReadv(t.tid, local, remote, 0)
	switch {
	case err != nil:
		return fmt.Errorf("read memory of thread %d: %w", t.tid, err)
	case n != len(b):
		return fmt.Errorf("read memory of thread %d: %w", t.tid, unix.EFAULT)
	}
	return nil
}

// status is what the broker reads of /proc/TID/status.
type status struct {
	pid          int    // of its process
	capabilities uint64 // effective ones, in the thread's own user namespace
}

func readStatus(tid int) (status, error) {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(tid) + "/status")
	if err != nil {
		return status{}, fmt.Errorf("read status of thread %d: %w", tid, err)
	}
	var s status
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
