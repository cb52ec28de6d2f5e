package sockets

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// Launcher says how an application comes under a broker.
type Launcher struct {
	// Broker is the path of the broker's socket; a leading @ stands for the abstract
	// namespace. At most 107 bytes.
	Broker string
	// Application is the name of the application, which its children inherit; at most
	// MaxApplicationName printable ASCII characters without blanks. May be empty.
	Application string
	// Argv is the command and its arguments; a command without a slash is looked for in PATH.
	Argv []string
}

// Launch makes the calling process the application, same process ID, same environment,
// same open descriptors: its exit code is the command's own. It returns only with an
// error. One before the filter was loaded (no such command, no broker, a kernel without
// the feature: errors.ErrUnsupported) has changed nothing; after one of the broker or of
// the exec itself, bind, listen and connect fail with ENOSYS on the calling thread, so the caller
// should end the process.
//
// It needs no privilege: without CAP_SYS_ADMIN the application gets no_new_privs. The
// broker must run as the same user or have CAP_SYS_PTRACE over the application.
func (l Launcher) Launch() error {
	if len(l.Argv) == 0 {
		return errors.New("launch: no command given")
	}
	if err := errors.Join(checkApplication(l.Application), checkPath(l.Broker)); err != nil {
		return fmt.Errorf("launch %s: %w", l.Argv[0], err)
	}
	command, err := exec.LookPath(l.Argv[0])
	if err != nil {
		return fmt.Errorf("launch: %w", err)
	}
	program, err := filter()
	if err != nil {
		return fmt.Errorf("launch %s: assemble seccomp filter: %w", l.Argv[0], err)
	}
	if err := probeSeccomp(); err != nil {
		return fmt.Errorf("launch %s: %w", l.Argv[0], err)
	}

	// The filter belongs to a thread, and the thread that execs becomes the process.
	runtime.LockOSThread()
	broker, err := dialBroker(l.Broker)
	if err != nil {
		runtime.UnlockOSThread()
		return fmt.Errorf("launch %s: %w", l.Argv[0], err)
	}
	defer unix.Close(broker)
	if err := handOver(broker, program, l.Application); err != nil {
		return fmt.Errorf("launch %s: %w", l.Argv[0], err)
	}
	return fmt.Errorf("launch: %w", &os.PathError{
		Op: "exec", Path: command, Err: syscall.Exec(command, l.Argv, os.Environ()),
	})
}

func dialBroker(path string) (int, error) {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("open socket to broker: %w", err)
	}
	wait := unix.NsecToTimeval(helloDeadline.Nanoseconds())
	err = errors.Join(
		unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &wait),
		unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &wait),
	)
	if err == nil {
		err = uninterrupted(func() error { return unix.Connect(fd, &unix.SockaddrUnix{Name: path}) })
	}
	if err != nil {
		unix.Close(fd)
		return -1, fmt.Errorf("connect to broker at %q (is the stack running?): %w", path, err)
	}
	return fd, nil
}

// handOver loads the filter and gives its descriptor to the broker. In between it makes no
// call that the filter traps: nobody could answer it.
func handOver(broker int, program []bpf.RawInstruction, application string) error {
	notify, err := loadFilter(program)
	if err != nil {
		return err
	}
	defer unix.Close(notify)
	err = uninterrupted(func() error {
		return unix.Sendmsg(broker, hello(application), unix.UnixRights(notify), nil, 0)
	})
	if err != nil {
		return fmt.Errorf("hand filter to broker: %w", err)
	}
	answer, n := make([]byte, maxMessage), 0
	err = uninterrupted(func() error {
		n, err = unix.Read(broker, answer)
		return err
	})
	switch {
	case err != nil:
		return fmt.Errorf("wait for broker: %w", err)
	case n == 0:
		return errors.New("broker hung up")
	case string(answer[:n]) != answerOK:
		return fmt.Errorf("broker refuses: %s", answer[:n])
	}
	return nil
}

// uninterrupted repeats a call that a signal interrupted: the runtime sends them, and
// SA_RESTART does not cover sockets with a timeout (signal(7)).
func uninterrupted(call func() error) error {
	for {
		if err := call(); err != unix.EINTR {
			return err
		}
	}
}
