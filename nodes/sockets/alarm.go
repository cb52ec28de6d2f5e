package sockets

import (
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// alarm tells that there is something to read at a socket, once each time that it is set. The
// socket is kept from the runtime's poller, which would wake a thread for every datagram; what
// the poller watches is an epoll instance with the socket in it (EPOLLONESHOT).
type alarm struct {
	socket netlinkSocket
	epoll  *os.File
	raw    syscall.RawConn
}

// newAlarm is set from the beginning.
func newAlarm(socket netlinkSocket) (_ *alarm, err error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("create epoll instance: %w", err)
	}
	if err := unix.SetNonblock(fd, true); err != nil { // else os.NewFile keeps it from the poller
		unix.Close(fd)
		return nil, fmt.Errorf("set epoll instance nonblocking: %w", err)
	}
	a := &alarm{socket: socket, epoll: os.NewFile(uintptr(fd), "epoll")}
	defer func() {
		if err != nil {
			a.close()
		}
	}()
	if a.raw, err = a.epoll.SyscallConn(); err != nil {
		return nil, err
	}
	return a, a.control(unix.EPOLL_CTL_ADD)
}

func (a *alarm) set() error { return a.control(unix.EPOLL_CTL_MOD) }

func (a *alarm) control(operation int) error {
	var err error
	closed := a.raw.Control(func(fd uintptr) {
		err = unix.EpollCtl(int(fd), operation, int(a.socket), &unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLONESHOT})
	})
	if closed != nil {
		return closed
	}
	if err != nil {
		return fmt.Errorf("watch socket: %w", err)
	}
	return nil
}

// wait returns when the alarm has gone off, or with an error once it is closed.
func (a *alarm) wait() error {
	return a.raw.Read(func(fd uintptr) bool {
		var events [1]unix.EpollEvent
		n, err := unix.EpollWait(int(fd), events[:], 0)
		return err == nil && n > 0
	})
}

func (a *alarm) close() { a.epoll.Close() }
