package datapath

import (
	"net/netip"

	"github.com/google/nftables"
	"golang.org/x/sys/unix"
)

// A family is what differs between IP versions in a rule: where a header field lies and how
// wide an address is. Offsets are in bytes from the network header.
type family struct {
	address     nftables.SetDatatype
	etherType   uint16
	nfproto     uint8 // of the fwd expression
	source      uint32
	destination uint32
	icmp        icmpFamily
}

// icmpFamily is what differs in errors, which carry the header they are about.
type icmpFamily struct {
	protocol byte
	typ      nftables.SetDatatype
	// errors are the types that concern a connection.
	errors []byte
	// header begins the header of IP without options, which alone is understood.
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
	icmp: icmpFamily{
		protocol: unix.IPPROTO_ICMP,
		typ:      nftables.TypeICMPType,
		errors:   []byte{3, 11, 12}, // destination unreachable, time exceeded, parameter problem (RFC 792)
		header:   0x45,
		next:     9,
		length:   20,
	},
}

// holds says whether the address is one of the family.
func (f family) holds(a netip.Addr) bool {
	return a.IsValid() && a.BitLen() == int(f.address.Bytes)*8
}

// beside is the register where nft puts a value that goes with a key of the CRT: the next
// multiple of four behind it.
func (f family) beside() uint32 {
	words := 2 * (f.address.Bytes/4 + 1)
	return register((words + 3) / 4 * 4)
}
