package sockets

import (
	"encoding/binary"
	"net/netip"

	"golang.org/x/sys/unix"
)

// Lengths that the kernel asks of an address (net/ipv4/af_inet.c, net/ipv6/af_inet6.c).
const (
	sizeofSockaddr4       = 16
	sizeofSockaddr6       = 28
	sizeofSockaddr6NoZone = 24  // SIN6_LEN_RFC2133, still accepted
	sizeofSockaddrMax     = 128 // struct sockaddr_storage
)

// parseSockaddr reads what an application passed to bind() for a socket of the given
// domain. It reports false for everything that the kernel itself answers best: too short,
// of another family.
func parseSockaddr(domain int, b []byte) (netip.AddrPort, bool) {
	switch domain {
	case unix.AF_INET:
		if len(b) < sizeofSockaddr4 {
			return netip.AddrPort{}, false
		}
		address := netip.AddrFrom4([4]byte(b[4:8]))
		family := binary.NativeEndian.Uint16(b)
		// Old programs leave the family of INADDR_ANY zero, and the kernel lets them.
		if family != unix.AF_INET && (family != unix.AF_UNSPEC || !address.IsUnspecified()) {
			return netip.AddrPort{}, false
		}
		return netip.AddrPortFrom(address, binary.BigEndian.Uint16(b[2:])), true
	case unix.AF_INET6:
		if len(b) < sizeofSockaddr6NoZone || binary.NativeEndian.Uint16(b) != unix.AF_INET6 {
			return netip.AddrPort{}, false
		}
		address := netip.AddrFrom16([16]byte(b[8:24])).Unmap()
		return netip.AddrPortFrom(address, binary.BigEndian.Uint16(b[2:])), true
	}
	return netip.AddrPort{}, false
}

// sockaddr writes an address for a socket of the given domain; IPv4 is mapped for an IPv6
// socket. It reports false where the domain cannot hold the address.
func sockaddr(domain int, a netip.AddrPort) ([]byte, bool) {
	switch {
	case domain == unix.AF_INET && a.Addr().Is4():
		b := make([]byte, sizeofSockaddr4)
		binary.NativeEndian.PutUint16(b, unix.AF_INET)
		binary.BigEndian.PutUint16(b[2:], a.Port())
		copy(b[4:], a.Addr().AsSlice())
		return b, true
	case domain == unix.AF_INET6 && a.IsValid():
		b := make([]byte, sizeofSockaddr6)
		binary.NativeEndian.PutUint16(b, unix.AF_INET6)
		binary.BigEndian.PutUint16(b[2:], a.Port())
		address := a.Addr().As16()
		copy(b[8:], address[:])
		return b, true
	}
	return nil, false
}
