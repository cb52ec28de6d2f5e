package sockets

import (
	"errors"
	"fmt"
	"unsafe"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// filterFlags: hand out a descriptor for the notifications (Linux 5.0), and once a
// notification was received, let only fatal signals interrupt its call (Linux 5.19).
// Without the latter a Go program, whose runtime sends SIGURG to itself, starts its calls
// over and over.
const filterFlags = unix.SECCOMP_FILTER_FLAG_NEW_LISTENER | unix.SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV

// seccompData is struct seccomp_data: the call as the filter saw it.
type seccompData struct {
	Call               int32
	Arch               uint32
	InstructionPointer uint64
	Args               [6]uint64
}

// notification is struct seccomp_notif.
type notification struct {
	ID    uint64
	TID   uint32 // of the calling thread; 0 if the receiver's PID namespace cannot name it
	Flags uint32
	Data  seccompData
}

// response is struct seccomp_notif_resp.
type response struct {
	ID    uint64
	Value int64
	Error int32 // 0 or a negative errno
	Flags uint32
}

// probeSeccomp says what the kernel lacks of what the filter needs; nothing is loaded.
func probeSeccomp() error {
	action := uint32(unix.SECCOMP_RET_USER_NOTIF)
	if _, errno := seccomp(unix.SECCOMP_GET_ACTION_AVAIL, 0, unsafe.Pointer(&action)); errno != 0 {
		return fmt.Errorf("kernel lacks seccomp user notification (SECCOMP_RET_USER_NOTIF, Linux 5.0 with CONFIG_SECCOMP_FILTER): %w",
			errors.Join(errors.ErrUnsupported, errno))
	}
	// The kernel checks the flags before it looks at the program.
	if _, errno := seccomp(unix.SECCOMP_SET_MODE_FILTER, filterFlags, nil); errno != unix.EFAULT {
		return fmt.Errorf("kernel lacks SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV (Linux 5.19): %w",
			errors.Join(errors.ErrUnsupported, errno))
	}
	return nil
}

// loadFilter puts the program on the calling thread and returns the descriptor of its
// notifications, close-on-exec.
func loadFilter(program []bpf.RawInstruction) (int, error) {
	fprog := socketFilter(program)

	fd, errno := seccomp(unix.SECCOMP_SET_MODE_FILTER, filterFlags, unsafe.Pointer(&fprog))
	if errno == unix.EACCES {
		// Without CAP_SYS_ADMIN the kernel asks for no_new_privs: programs that the
		// application starts then gain nothing by set-user-ID.
		if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
			return -1, fmt.Errorf("set no_new_privs: %w", err)
		}
		fd, errno = seccomp(unix.SECCOMP_SET_MODE_FILTER, filterFlags, unsafe.Pointer(&fprog))
	}
	switch errno {
	case 0:
		return int(fd), nil
	case unix.EBUSY:
		return -1, fmt.Errorf("load seccomp filter: this process is already under a broker or another seccomp supervisor: %w", errno)
	}
	return -1, fmt.Errorf("load seccomp filter: %w", errno)
}

func seccomp(operation, flags uintptr, args unsafe.Pointer) (uintptr, unix.Errno) {
	r, _, errno := unix.RawSyscall(unix.SYS_SECCOMP, operation, flags, uintptr(args))
	return r, errno
}

// isNotify reports whether fd hands out notifications: the number zero is never valid there,
// and another kind of descriptor does not know the question.
func isNotify(fd int) bool {
	return notificationValid(uintptr(fd), 0) == unix.ENOENT
}

// wakeOnSameProcessor lets each side of a notification wake the other on its own processor
// (SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP, Linux 6.6): as one of them always waits for the other,
// nothing is gained by two, and one that sleeps takes long to wake. A kernel that cannot goes on
// without.
func wakeOnSameProcessor(fd int) error {
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SECCOMP_IOCTL_NOTIF_SET_FLAGS, unix.SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP)
	if errno == unix.EINVAL { // not a command that it knows
		return nil
	}
	return errnoError(errno)
}

// receiveNotification takes the next notification; ENOENT if its caller was killed meanwhile.
func receiveNotification(fd uintptr) (notification, error) {
	var n notification
	for {
		errno := ioctl(fd, unix.SECCOMP_IOCTL_NOTIF_RECV, unsafe.Pointer(&n))
		if errno == unix.EINTR {
			continue
		}
		return n, errnoError(errno)
	}
}

// notificationValid returns nil as long as the caller of that notification waits, else ENOENT.
func notificationValid(fd uintptr, id uint64) error {
	return errnoError(ioctl(fd, unix.SECCOMP_IOCTL_NOTIF_ID_VALID, unsafe.Pointer(&id)))
}

// sendResponse ends the call; ENOENT if its caller does not wait any more.
func sendResponse(fd uintptr, r response) error {
	return errnoError(ioctl(fd, unix.SECCOMP_IOCTL_NOTIF_SEND, unsafe.Pointer(&r)))
}

func ioctl(fd, request uintptr, arg unsafe.Pointer) unix.Errno {
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, fd, request, uintptr(arg))
	return errno
}

// errnoError keeps a zero errno from becoming an error that is not nil.
func errnoError(errno unix.Errno) error {
	if errno == 0 {
		return nil
	}
	return errno
}

// socketFilter is a classic BPF program, of one instruction or more, as system calls take it.
func socketFilter(program []bpf.RawInstruction) unix.SockFprog {
	code := make([]unix.SockFilter, len(program))
	for i, in := range program {
		code[i] = unix.SockFilter{Code: in.Op, Jt: in.Jt, Jf: in.Jf, K: in.K}
	}
	return unix.SockFprog{Len: uint16(len(code)), Filter: &code[0]}
}
