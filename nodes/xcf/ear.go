package xcf

import (
	"net"
	"net/netip"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/plexlab-dev/plexlab/nodes/contract"
)

// ear is the socket that hears HELLOs. It is read only when it is time to (see heartbeat),
// and kept away from the runtime's poller, which would wake the process for every datagram
// of every partner: 1.2 % of a core in a plex of five, against 0.6 % this way (BenchmarkStandingPlex).
type ear struct {
	fd int
	// What is read together.
	headers  [earful]mmsghdr
	vectors  [earful]unix.Iovec
	sources  [earful]unix.RawSockaddrInet6       // room for both families
	contents [earful][contract.MaxHello + 1]byte // one byte more, to tell an oversized datagram
}

// earful is how many datagrams are read together.
const earful = 8

// mmsghdr is struct mmsghdr of recvmmsg(2).
type mmsghdr struct {
	header unix.Msghdr
	length uint32
}

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
	e := &ear{fd: fd}
	for i := range e.headers {
		e.vectors[i].Base = &e.contents[i][0]
		e.vectors[i].SetLen(len(e.contents[i]))
		e.headers[i].header.Iov = &e.vectors[i]
		e.headers[i].header.SetIovlen(1)
		e.headers[i].header.Name = (*byte)(unsafe.Pointer(&e.sources[i]))
	}
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

// hear reads datagrams that wait, and returns how many.
func (e *ear) hear() (int, error) {
	for {
		for i := range e.headers {
			e.headers[i].header.Namelen = unix.SizeofSockaddrInet6
		}
		// Raw, as it does not wait: else it wakes the runtime's monitor thread.
		n, _, errno := unix.RawSyscall6(unix.SYS_RECVMMSG, uintptr(e.fd), uintptr(unsafe.Pointer(&e.headers)), earful, unix.MSG_DONTWAIT, 0, 0)
		switch errno {
		case 0:
			return int(n), nil
		case unix.EINTR:
		case unix.EAGAIN:
			return 0, nil
		default:
			return 0, os.NewSyscallError("recvmmsg", errno)
		}
	}
}

// datagram is one of those that were read last, valid until the next are, and its source.
func (e *ear) datagram(i int) (content []byte, source netip.Addr) {
	switch from := &e.sources[i]; from.Family {
	case unix.AF_INET:
		source = netip.AddrFrom4((*unix.RawSockaddrInet4)(unsafe.Pointer(from)).Addr)
	case unix.AF_INET6:
		source = netip.AddrFrom16(from.Addr)
	}
	return e.contents[i][:e.headers[i].length], source
}

func (e *ear) close() { _ = unix.Close(e.fd) }
