package datapath

import (
	"net/netip"

	"github.com/google/nftables"
	"golang.org/x/sys/unix"
)

// A family is what differs between IP versions in a rule: where a header field lies and how
// wide an address is. Offsets are in bytes from the network header.
type family struct {
	// suffix of the names of its chains and sets, none for IPv4.
	suffix      string
	address     nftables.SetDatatype
	etherType   uint16
	nfproto     uint8 // of the fwd expression
	source      uint32
	destination uint32
	// fragment passes packets that are part of a larger one.
	fragment code
	// question loads the address that a neighbour asks for into the first register, and passes no
	// other packets.
	question code
	// answer loads the address that a station tells neighbours it has, and passes no other packets.
	answer code
	icmp   icmpFamily
}

// icmpFamily is what differs in errors, which carry the header they are about.
type icmpFamily struct {
	protocol byte
	typ      nftables.SetDatatype
	// errors are the types that concern a connection.
	errors []byte
	// header is the first byte of the header of IPv4 without options, which alone is understood; 0
	// for IPv6, whose header has none.
	header byte
	// next is the offset of the protocol above IP.
	next uint32
	// length is that of the header.
	length uint32
}

var ipv4 = family{
	address:     nftables.TypeIPAddr,
	etherType:   unix.ETH_P_IP,
	nfproto:     unix.NFPROTO_IPV4,
	source:      12,
	destination: 16,
	fragment:    fragment4(),
	question:    arpRequest(),
	answer:      arpSender(),
	icmp: icmpFamily{
		protocol: unix.IPPROTO_ICMP,
		typ:      nftables.TypeICMPType,
		errors:   []byte{3, 11, 12}, // destination unreachable, time exceeded, parameter problem (RFC 792)
		header:   0x45,
		next:     9,
		length:   20,
	},
}

var ipv6 = family{
	suffix:      "_ip6",
	address:     nftables.TypeIP6Addr,
	etherType:   unix.ETH_P_IPV6,
	nfproto:     unix.NFPROTO_IPV6,
	source:      8,
	destination: 24,
	fragment:    fragment6(),
	question:    neighbourSolicitation(),
	answer:      neighbourAdvertisement(),
	icmp: icmpFamily{
		protocol: unix.IPPROTO_ICMPV6,
		typ:      nftables.TypeICMP6Type,
		errors:   []byte{1, 2, 3, 4}, // destination unreachable, packet too big, time exceeded, parameter problem (RFC 4443)
		next:     6,
		length:   40,
	},
}

// families that can be forwarded on an inter-stack network: of IPv4 both, of IPv6 itself alone.
func families(xcf netip.Addr) []family {
	if xcf.Is4() {
		return []family{ipv4, ipv6}
	}
	return []family{ipv6}
}

// name is that of one of the family's chains or sets.
func (f family) name(of string) string { return of + f.suffix }

// zero is the unspecified address.
func (f family) zero() netip.Addr {
	if f.etherType == unix.ETH_P_IP {
		return netip.IPv4Unspecified()
	}
	return netip.IPv6Unspecified()
}

// holds says whether the address is one of the family.
func (f family) holds(a netip.Addr) bool {
	return a.IsValid() && a.BitLen() == int(f.address.Bytes)*8
}

// beside is the register where nft puts a value that goes with a key of the CRT: the next
// multiple of four behind it. The value of IPv6 ends with the last of the sixteen registers.
func (f family) beside() uint32 {
	words := 2 * (f.address.Bytes/4 + 1)
	return register((words + 3) / 4 * 4)
}
