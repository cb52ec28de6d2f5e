package datapath

import (
	"encoding/binary"
	"slices"

	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// A field is a part of a packet: length bytes at offset from the beginning of a header.
type field struct {
	base   expr.PayloadBase
	offset uint32
	length uint32
}

const (
	network = expr.PayloadBaseNetworkHeader
	segment = expr.PayloadBaseTransportHeader
)

// load puts fields one after the other into the registers from the n-th on.
func load(n uint32, fields ...field) code {
	var loads code
	for _, f := range fields {
		loads = append(loads, nft{&expr.Payload{DestRegister: register(n), Base: f.base, Offset: f.offset, Len: f.length}})
		n += (f.length + 3) / 4
	}
	return loads
}

// fourTuple is the key of the CRT: source address and port, destination address and port.
func (f family) fourTuple() []field {
	return []field{
		{network, f.source, f.address.Bytes},
		{segment, 0, 2},
		{network, f.destination, f.address.Bytes},
		{segment, 2, 2},
	}
}

// service is the key of the DPT: destination address and port.
func (f family) service() []field { return f.fourTuple()[2:] }

// etherType passes packets of one protocol above Ethernet.
func etherType(protocol uint16) code {
	return slices.Concat(
		code{nft{&expr.Meta{Key: expr.MetaKeyPROTOCOL, Register: register(0)}}},
		equal(register(0), binary.BigEndian.AppendUint16(nil, protocol)...),
	)
}

// astray passes packets that are for another station: a switch that has lost the way to it, as when the owner that
// went before is gone, floods them to all.
func astray() code {
	return slices.Concat(
		code{nft{&expr.Meta{Key: expr.MetaKeyPKTTYPE, Register: register(0)}}},
		equal(register(0), unix.PACKET_OTHERHOST),
	)
}

// transport passes packets of one protocol above IP.
func transport(protocol byte) code {
	return slices.Concat(
		code{nft{&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: register(0)}}},
		equal(register(0), protocol),
	)
}

// tcp passes TCP segments and loads fields of theirs into the registers from the n-th on.
func (f family) tcp(n uint32, fields ...field) code {
	return slices.Concat(etherType(f.etherType), transport(unix.IPPROTO_TCP), load(n, fields...))
}

// to passes packets whose destination is in the set.
func (f family) to(s set) code {
	return slices.Concat(
		etherType(f.etherType),
		load(0, field{network, f.destination, f.address.Bytes}),
		in(s, register(0)),
	)
}

// asks passes questions of neighbours for an address in the set.
func (f family) asks(s set) code { return slices.Concat(f.question, in(s, register(0))) }

// tells passes what tells neighbours that this station has an address in the set.
func (f family) tells(s set) code { return slices.Concat(f.answer, in(s, register(0))) }

// connectionRequest passes TCP segments with SYN and without ACK.
func connectionRequest() code {
	const syn, ack = 0x02, 0x10
	return slices.Concat(
		transport(unix.IPPROTO_TCP),
		load(0, field{segment, 13, 1}),
		and(register(0), syn|ack),
		equal(register(0), syn),
	)
}

// fragment4 passes fragments: more follow, or the offset is not zero (RFC 791).
func fragment4() code {
	return slices.Concat(
		etherType(unix.ETH_P_IP),
		load(0, field{network, 6, 2}),
		and(register(0), 0x3f, 0xff),
		unequal(register(0), 0, 0),
	)
}

// fragment6 passes fragments: packets that have a fragment header, wherever it stands among the
// extension headers (RFC 8200, section 4.5).
func fragment6() code {
	const present = 1 // NFT_EXTHDR_F_PRESENT
	return slices.Concat(
		code{nft{&expr.Exthdr{
			DestRegister: register(0), Type: unix.IPPROTO_FRAGMENT, Len: 1,
			Op: expr.ExthdrOpIpv6, Flags: present,
		}}},
		equal(register(0), 1),
	)
}

// arpRequest is the question of IPv4 (RFC 826 over Ethernet).
func arpRequest() code {
	return slices.Concat(
		etherType(unix.ETH_P_ARP),
		load(0, field{network, 6, 2}), equal(register(0), 0, 1),
		load(0, field{network, 24, 4}),
	)
}

// neighbourSolicitation is the question of IPv6 (RFC 4861, section 4.3).
func neighbourSolicitation() code {
	return slices.Concat(
		etherType(unix.ETH_P_IPV6),
		transport(unix.IPPROTO_ICMPV6),
		load(0, field{segment, 0, 1}), equal(register(0), 135),
		load(0, field{segment, 8, 16}),
	)
}

// arpSender is what tells in IPv4 who has an address: questions do as well as replies (RFC 826).
func arpSender() code {
	return slices.Concat(
		etherType(unix.ETH_P_ARP),
		load(0, field{network, 14, 4}),
	)
}

// neighbourAdvertisement is what does in IPv6 (RFC 4861, section 4.4).
func neighbourAdvertisement() code {
	return slices.Concat(
		etherType(unix.ETH_P_IPV6),
		transport(unix.IPPROTO_ICMPV6),
		load(0, field{segment, 0, 1}), equal(register(0), 136),
		load(0, field{segment, 8, 16}),
	)
}
