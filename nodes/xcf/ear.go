package xcf

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/plexlab-dev/plexlab/nodes/contract"
)

// ear is the socket that hears HELLOs. It is read only when it is time to (see Group.beat),
// and kept away from the runtime's poller, which would wake the process for every datagram
// of every partner: 1.2 % of a core in a plex of five, against 0.6 % this way (BenchmarkStandingPlex).
type ear struct{ fd int }

// earBuffer holds the HELLOs of 127 partners for as long as they may have to wait.
const earBuffer = 1 << 20

// openEar opens the socket on HelloPort of the link.
func openEar(own netip.Addr, link *net.Interface) (_ *ear, err error) {
	family := unix.AF_INET
	if own.Is6() {
		family = unix.AF_INET6
	}
	fd, err := unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	e := &ear{fd}
	defer func() {
		if err != nil {
			e.close()
		}
	}()
	if err := unix.BindToDevice(fd, link.Name); err != nil {
		return nil, os.NewSyscallError("SO_BINDTODEVICE", err)
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, earBuffer); err != nil {
		return nil, os.NewSyscallError("SO_RCVBUF", err)
	}
	if own.Is4() {
		return e, os.NewSyscallError("bind", unix.Bind(fd, &unix.SockaddrInet4{Port: contract.HelloPort}))
	}
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 1); err != nil {
		return nil, os.NewSyscallError("IPV6_V6ONLY", err)
	}
	group := &unix.IPv6Mreq{Multiaddr: contract.HelloMulticast.As16(), Interface: uint32(link.Index)}
	if err := unix.SetsockoptIPv6Mreq(fd, unix.IPPROTO_IPV6, unix.IPV6_JOIN_GROUP, group); err != nil {
		return nil, os.NewSyscallError("IPV6_JOIN_GROUP", err)
	}
	return e, os.NewSyscallError("bind", unix.Bind(fd, &unix.SockaddrInet6{Port: contract.HelloPort}))
}

// hear returns the next datagram that waits, its length and source. It returns false where
// none waits.
func (e *ear) hear(buffer []byte) (n int, from netip.Addr, ok bool, err error) {
	for {
		// Not unix.Recvfrom, which asks the kernel for the protocol each time.
		n, source, err := syscall.Recvfrom(e.fd, buffer, syscall.MSG_DONTWAIT)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case errors.Is(err, unix.EAGAIN):
			return 0, from, false, nil
		case err != nil:
			return 0, from, false, os.NewSyscallError("recvfrom", err)
		}
		switch source := source.(type) {
		case *syscall.SockaddrInet4:
			from = netip.AddrFrom4(source.Addr)
		case *syscall.SockaddrInet6:
			from = netip.AddrFrom16(source.Addr)
		}
		return n, from, true, nil
	}
}

func (e *ear) close() { _ = unix.Close(e.fd) }
