package load

import (
	"fmt"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"
)

// Dial opens a connection from source to target and returns its descriptor, blocking, with timeout
// for each call. The kernel chooses what source leaves open: the address where it is the zero
// AddrPort; the port where that is 0, at connect and by the whole 4-tuple (IP_BIND_ADDRESS_NO_PORT), so
// that sources share the port range.
func Dial(source, target netip.AddrPort, timeout time.Duration) (fd int, err error) {
	family := unix.AF_INET
	if target.Addr().Is6() {
		family = unix.AF_INET6
	}
	fd, err = unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, unix.IPPROTO_TCP)
	if err != nil {
		return -1, fmt.Errorf("socket: %w", err)
	}
	defer func() {
		if err != nil {
			unix.Close(fd)
			fd = -1
		}
	}()
	limit := unix.NsecToTimeval(int64(timeout))
	for _, option := range []int{unix.SO_RCVTIMEO, unix.SO_SNDTIMEO} { // the latter limits connect too
		if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, option, &limit); err != nil {
			return fd, fmt.Errorf("setsockopt timeout: %w", err)
		}
	}
	if source.IsValid() {
		if source.Port() == 0 {
			if err := unix.SetsockoptInt(fd, unix.SOL_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1); err != nil {
				return fd, fmt.Errorf("setsockopt IP_BIND_ADDRESS_NO_PORT: %w", err)
			}
		}
		if err := unix.Bind(fd, Sockaddr(source)); err != nil {
			return fd, fmt.Errorf("bind %s: %w", source, err)
		}
	}
	// A second connect of a socket that connects already goes on waiting.
	if err := uninterrupted(func() error { return unix.Connect(fd, Sockaddr(target)) }); err != nil {
		if err == unix.EINPROGRESS { // what SO_SNDTIMEO answers when its time is over
			err = unix.ETIMEDOUT
		}
		return fd, fmt.Errorf("connect: %w", err)
	}
	return fd, nil
}

// Sockaddr is ap as the system calls take it; its family is that of the address.
func Sockaddr(ap netip.AddrPort) unix.Sockaddr {
	if ap.Addr().Is4() {
		return &unix.SockaddrInet4{Port: int(ap.Port()), Addr: ap.Addr().As4()}
	}
	return &unix.SockaddrInet6{Port: int(ap.Port()), Addr: ap.Addr().As16()}
}

// uninterrupted repeats a system call that a signal ended: the Go runtime sends its threads
// signals, and a call with a timeout (SO_RCVTIMEO, SO_SNDTIMEO) is not restarted by the kernel.
func uninterrupted(call func() error) error {
	for {
		if err := call(); err != unix.EINTR {
			return err
		}
	}
}
