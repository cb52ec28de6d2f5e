package contract

import "net/netip"

// Packets go from one stack to another with their addresses as they are, to a neighbour on the
// inter-stack network; a neighbour's address is of the family of the packet. Where the network is of
// IPv4, a stack has beside its XCF address a link-local one of IPv6, made of it as RFC 5214 (section
// 6.1) has it: fe80::5efe:10.1.0.2 for 10.1.0.2. Nothing of the kind goes the other way, an IPv6 address
// not fitting into one of IPv4: where the network is of IPv6, all DVIPAs are.

// NextHop is the address on the inter-stack network by which packets to destination, a DVIPA, reach
// the stack with an XCF address; the zero Addr where there is none.
func NextHop(destination, xcf netip.Addr) netip.Addr {
	switch {
	case destination.BitLen() == xcf.BitLen():
		return xcf
	case destination.Is6() && xcf.Is4():
		hop := [16]byte{0: 0xfe, 1: 0x80, 10: 0x5e, 11: 0xfe}
		last := xcf.As4()
		copy(hop[12:], last[:])
		return netip.AddrFrom16(hop)
	}
	return netip.Addr{}
}

// XCFAddress undoes NextHop where the inter-stack network is of IPv4.
func XCFAddress(hop netip.Addr) netip.Addr {
	if hop.Is4() {
		return hop
	}
	b := hop.As16()
	return netip.AddrFrom4([4]byte(b[12:]))
}
