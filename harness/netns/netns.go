// Package netns holds network namespaces by file descriptor and runs code in them.
//
// A network namespace lives as long as somebody refers to it: a process, a socket, a
// descriptor. A Namespace is such a descriptor and nothing else; there is no name in the file
// system that could stay behind. It is the only package that moves threads between namespaces.
package netns

import (
	"errors"
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// current is the namespace of the calling thread. /proc/self/ns/net would be that of the
// thread group's leader (proc(5)).
const current = "/proc/thread-self/ns/net"

// A Namespace is an open descriptor of a network namespace. It is safe for concurrent use;
// the zero value is not usable.
type Namespace struct {
	file *os.File
	id   ID
}

// An ID tells one living namespace from another: the device and the inode number of its file
// in nsfs, as /proc/PID/ns/net shows them. The kernel may give the number of a namespace that
// is gone to a new one.
type ID struct {
	Device uint64 `json:"device"`
	Inode  uint64 `json:"inode"`
}

// String is the form of readlink /proc/PID/ns/net: net:[4026531840].
func (id ID) String() string { return fmt.Sprintf("net:[%d]", id.Inode) }

// ErrOther is the error of Open where the path leads to something else than a network namespace.
var ErrOther = errors.New("not a network namespace")

// ErrExited is the error of Do when the function ended its goroutine (runtime.Goexit, which
// t.FailNow calls) instead of returning.
var ErrExited = errors.New("the function ended its goroutine")

// New creates an empty network namespace. It needs CAP_SYS_ADMIN in the user namespace of the
// caller, which then owns it. On an error nothing is left behind.
func New() (*Namespace, error) { return create(inThread) }

// New creates an empty network namespace from within n, whose settings say what its children
// start from, net.ipv4.tcp_child_ehash_entries for one. It takes the rights of Do and of the
// function New.
func (n *Namespace) New() (*Namespace, error) { return create(n.Do) }

// create makes a namespace on the thread that within runs its function on.
func create(within func(func() error) error) (*Namespace, error) {
	var created *Namespace
	err := within(func() error {
		switch err := unix.Unshare(unix.CLONE_NEWNET); {
		case errors.Is(err, unix.ENOSPC):
			return fmt.Errorf("create network namespace: the kernel allows no more of them, see sysctl user.max_net_namespaces: %w", err)
		case err != nil:
			return fmt.Errorf("create network namespace: %w", err)
		}
		var err error
		created, err = Open(current)
		return err
	})
	if err != nil {
		if created != nil {
			created.Close()
		}
		return nil, err
	}
	return created, nil
}

// Current opens the namespace that the calling thread is in.
func Current() (*Namespace, error) { return Open(current) }

// Open opens a namespace by the path of its file, such as /proc/PID/ns/net, which takes the
// right to inspect that process (ptrace(2), PTRACE_MODE_READ_FSCREDS). A path of a descriptor,
// /proc/PID/fd/N, may lead elsewhere from one moment to the next: ErrOther.
func Open(path string) (*Namespace, error) {
	// Whatever else it may be, a FIFO for one, does not hold the caller up.
	file, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("open network namespace: %w", err)
	}
	if kind, err := unix.IoctlRetInt(int(file.Fd()), unix.NS_GET_NSTYPE); err != nil || kind != unix.CLONE_NEWNET {
		file.Close()
		return nil, fmt.Errorf("open network namespace %s: %w", path, ErrOther)
	}
	var stat unix.Stat_t
	if err := unix.Fstat(int(file.Fd()), &stat); err != nil {
		file.Close()
		return nil, fmt.Errorf("identify network namespace %s: %w", path, err)
	}
	return &Namespace{file: file, id: ID{Device: stat.Dev, Inode: stat.Ino}}, nil
}

// ID identifies the namespace.
func (n *Namespace) ID() ID { return n.id }

// FD is the descriptor, valid until Close. It stays the Namespace's own.
func (n *Namespace) FD() int { return int(n.file.Fd()) }

// Close gives the descriptor back. The namespace itself ends once nobody refers to it any
// more, and the kernel takes it down some time after that.
func (n *Namespace) Close() error { return n.file.Close() }

// String is that of the ID.
func (n *Namespace) String() string { return n.id.String() }

// Do runs function on a thread that is in the namespace and returns its error. Sockets that
// function opens and processes that it starts belong to the namespace for good; goroutines
// that it starts do not, they run on other threads. It takes CAP_SYS_ADMIN in the user
// namespace that owns the namespace and in the caller's own (setns(2)).
func (n *Namespace) Do(function func() error) error {
	return inThread(func() error {
		if err := unix.Setns(n.FD(), unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("enter network namespace %s: %w", n, err)
		}
		return function()
	})
}

// inThread runs function on a thread of its own and brings that thread back to the namespace
// it came from. The goroutine is always a fresh one: a caller that has locked its thread
// itself keeps it untouched. Where the way back fails, the lock stays, and the thread dies with
// the goroutine instead of going back to the scheduler's pool in a foreign namespace.
func inThread(function func() error) error {
	result := make(chan error, 1)
	go func() {
		err := ErrExited
		// Sent last, so that the thread is back when the caller goes on.
		defer func() { result <- err }()
		runtime.LockOSThread()
		home, openErr := os.Open(current)
		if openErr != nil {
			err = fmt.Errorf("open the thread's network namespace: %w", openErr)
			return
		}
		defer home.Close()
		defer func() {
			if restoreErr := unix.Setns(int(home.Fd()), unix.CLONE_NEWNET); restoreErr == nil {
				runtime.UnlockOSThread()
			}
		}()
		err = function()
	}()
	return <-result
}
