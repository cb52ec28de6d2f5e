package sockets

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"unsafe"

	"golang.org/x/sys/unix"
)

// ipLocalPortRange is a range of ports for one socket (IP_LOCAL_PORT_RANGE of
// include/uapi/linux/in.h, Linux 6.3): the lower end in the low half, zero for none.
const ipLocalPortRange = 51

// ephemeral binds sockets to a given port as if the kernel had chosen it. A port that bind()
// names is the socket's until it is closed (SOCK_BINDPORT_LOCK); one that the kernel chose is
// free once the connection has ended or failed (tcp_set_state in net/ipv4/tcp.c).
type ephemeral struct {
	// choice is ip_local_port_range, of which the range of a socket may only be a part
	// (inet_sk_get_local_port_range).
	choice sysctl
}

func openEphemeral() (*ephemeral, error) {
	choice, err := openSysctl("net/ipv4/ip_local_port_range")
	return &ephemeral{choice}, err
}

func (e *ephemeral) close() { e.choice.close() }

// bind binds the socket so where the kernel can, which chosen tells, and else as bind() does. Port 0 is any
// that the kernel chooses, now and not with connect().
func (e *ephemeral) bind(fd, domain int, to netip.AddrPort) (chosen bool, err error) {
	if to.Port() == 0 {
		restore, err := exchange(fd, unix.IP_BIND_ADDRESS_NO_PORT, 0)
		if err != nil {
			return false, err
		}
		err = errors.Join(bindTo(fd, domain, to), restore())
		return err == nil, err
	}
	chosen, err = e.chosen(fd, domain, to)
	if chosen || err != nil {
		return chosen, err
	}
	return false, bindTo(fd, domain, to)
}

// unbind takes the port that the kernel chose from a socket that has not begun to connect. The kernel itself
// does so only where a state ends that is not TCP_CLOSE (tcp_disconnect in net/ipv4/tcp.c), so the socket listens
// for a moment, without a backlog. Where that does not succeed the socket keeps the port.
func unbind(fd int) {
	if unix.Listen(fd, 0) != nil {
		return
	}
	unspecified := binary.NativeEndian.AppendUint16(nil, unix.AF_UNSPEC)
	unspecified = append(unspecified, make([]byte, unix.SizeofSockaddrInet4-len(unspecified))...)
	_, _, _ = unix.RawSyscall(unix.SYS_CONNECT, uintptr(fd), uintptr(unsafe.Pointer(&unspecified[0])), uintptr(len(unspecified)))
}

// chosen reports whether the kernel, left with no choice, chose the port.
func (e *ephemeral) chosen(fd, domain int, to netip.AddrPort) (bool, error) {
	var first, last int
	if err := e.choice.numbers(&first, &last); err != nil {
		return false, err
	}
	port := int(to.Port())
	if port < first || port > last {
		return false, nil
	}
	restoreRange, err := exchange(fd, ipLocalPortRange, port|port<<16)
	if err != nil {
		return false, nil // before Linux 6.3
	}
	restoreDelay, err := exchange(fd, unix.IP_BIND_ADDRESS_NO_PORT, 0) // it would leave the choice to connect()
	if err != nil {
		return false, errors.Join(err, restoreRange())
	}
	bindErr := bindTo(fd, domain, netip.AddrPortFrom(to.Addr(), 0))
	if err := errors.Join(restoreDelay(), restoreRange()); err != nil {
		return false, err
	}
	if bindErr != nil {
		return false, nil // in use or reserved (ip_local_reserved_ports): bind() says what it makes of it
	}
	local, err := localAddress(fd)
	if err == nil && local.Port() != to.Port() {
		err = fmt.Errorf("ip_local_port_range has changed: bound to %v, not to %v: %w", local, to, unix.EADDRNOTAVAIL)
	}
	return true, err
}

// boundAddress is localAddress for a socket that is not connected. The kernel goes on telling a
// port that it has taken back (inet_put_port leaves inet_sport), until the next bind(): so here
// is one that takes no port, and fails with EINVAL where the socket has one.
func boundAddress(fd, domain int) (netip.AddrPort, error) {
	local, err := localAddress(fd)
	if err != nil || local.Port() == 0 {
		return local, err
	}
	restore, err := exchange(fd, unix.IP_BIND_ADDRESS_NO_PORT, 1)
	if err != nil {
		return netip.AddrPort{}, err
	}
	addressAlone := netip.AddrPortFrom(local.Addr(), 0)
	bindErr := bindTo(fd, domain, addressAlone)
	if err := restore(); err != nil {
		return netip.AddrPort{}, err
	}
	if bindErr == nil {
		return addressAlone, nil
	}
	return local, nil
}

// exchange gives an option of IP another value for a while.
func exchange(fd, option, value int) (restore func() error, err error) {
	before, err := unix.GetsockoptInt(fd, unix.SOL_IP, option)
	if err == nil {
		err = unix.SetsockoptInt(fd, unix.SOL_IP, option, value)
	}
	if err != nil {
		return nil, fmt.Errorf("exchange option %d of IP: %w", option, err)
	}
	return func() error {
		if err := unix.SetsockoptInt(fd, unix.SOL_IP, option, before); err != nil {
			return fmt.Errorf("restore option %d of IP: %w", option, err)
		}
		return nil
	}, nil
}
