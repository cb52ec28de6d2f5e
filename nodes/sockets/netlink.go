package sockets

import (
	"fmt"
	"net"
	"unsafe"

	"golang.org/x/sys/unix"
)

// netlinkSocket is a sock_diag socket of one network namespace, the one of the thread that
// opened it. Reading never waits: the kernel has answered by the time that a request is sent.
// It is kept from the runtime's poller, which would wake a thread for every single datagram.
type netlinkSocket int

// closedSocket is what a socket becomes by being closed.
const closedSocket netlinkSocket = -1

func dialSockDiag() (netlinkSocket, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_SOCK_DIAG)
	if err != nil {
		return closedSocket, fmt.Errorf("open sock_diag: %w", err)
	}
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		unix.Close(fd)
		return closedSocket, fmt.Errorf("bind sock_diag: %w", err)
	}
	return netlinkSocket(fd), nil
}

// close must not be called while another call uses the socket.
func (s *netlinkSocket) close() {
	if *s != closedSocket {
		unix.Close(int(*s))
		*s = closedSocket
	}
}

func (s netlinkSocket) send(message []byte) error {
	if s == closedSocket {
		return net.ErrClosed
	}
	return uninterrupted(func() error {
		_, err := s.quick(unix.SYS_WRITE, message)
		return err
	})
}

// quick is write(2) or read(2), which for these sockets are over at once: too soon for the scheduler to be told, which
// would wake the runtime's monitor thread.
func (s netlinkSocket) quick(call uintptr, b []byte) (int, error) {
	n, _, errno := unix.RawSyscall(call, uintptr(s), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)))
	return int(n), errnoError(errno)
}

// receive reads one datagram into b. It fails with EAGAIN where there is none, and with ENOBUFS
// once after the kernel had to drop some.
func (s netlinkSocket) receive(b []byte) ([]byte, error) {
	var n int
	err := uninterrupted(func() (err error) {
		n, err = s.quick(unix.SYS_READ, b)
		return err
	})
	if err != nil {
		n = 0
	}
	return b[:n], err
}

const (
	// sheafLength datagrams are read at a time.
	sheafLength = 64
	// maxShort is longer than what the kernel tells of a single socket: struct inet_diag_msg,
	// struct tcp_info and a few small attributes.
	maxShort = 1 << 10
)

// sheaf has room for short datagrams, which one system call reads together.
type sheaf struct {
	headers  [sheafLength]mmsghdr
	vectors  [sheafLength]unix.Iovec
	contents [sheafLength][maxShort]byte
}

// mmsghdr is struct mmsghdr of recvmmsg(2).
type mmsghdr struct {
	header unix.Msghdr
	length uint32
}

func newSheaf() *sheaf {
	s := new(sheaf)
	for i := range s.headers {
		s.vectors[i].Base = &s.contents[i][0]
		s.vectors[i].SetLen(maxShort)
		s.headers[i].header.Iov = &s.vectors[i]
		s.headers[i].header.SetIovlen(1)
	}
	return s
}

// receive reads at least one datagram, or fails as netlinkSocket.receive does, and calls visit
// for every message.
func (s *sheaf) receive(from netlinkSocket, visit func(kind uint16, sequence uint32, payload []byte) error) error {
	var n uintptr
	err := uninterrupted(func() error {
		var errno unix.Errno
		// As quick.
		n, _, errno = unix.RawSyscall6(unix.SYS_RECVMMSG, uintptr(from), uintptr(unsafe.Pointer(&s.headers)), sheafLength, 0, 0, 0)
		return errnoError(errno)
	})
	if err != nil {
		return err
	}
	for i := range n {
		if err := eachMessage(s.contents[i][:s.headers[i].length], visit); err != nil {
			return err
		}
	}
	return nil
}
