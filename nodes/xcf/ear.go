package xcf

import (
	"net"
	"net/netip"
	"os"
	"unsafe"

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
		var source unix.RawSockaddrAny
		size := uint32(unix.SizeofSockaddrAny)
		// Raw, as it does not wait: else it wakes the runtime's monitor thread.
		n, _, errno := unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(e.fd), uintptr(unsafe.Pointer(unsafe.SliceData(buffer))), uintptr(len(buffer)),
			unix.MSG_DONTWAIT, uintptr(unsafe.Pointer(&source)), uintptr(unsafe.Pointer(&size)))
		switch errno {
		case 0:
		case unix.EINTR:
			continue
		case unix.EAGAIN:
			return 0, from, false, nil
		default:
			return 0, from, false, os.NewSyscallError("recvfrom", errno)
		}
		switch source.Addr.Family {
		case unix.AF_INET:
			from = netip.AddrFrom4((*unix.RawSockaddrInet4)(unsafe.Pointer(&source)).Addr)
		case unix.AF_INET6:
			from = netip.AddrFrom16((*unix.RawSockaddrInet6)(unsafe.Pointer(&source)).Addr)
		}
		return int(n), from, true, nil
	}
}

func (e *ear) close() { _ = unix.Close(e.fd) }
