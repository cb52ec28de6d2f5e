package segment

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
)

// NDP is a message of neighbour discovery (RFC 4861): a neighbour solicitation, or an advertisement.
type NDP struct {
	// Advertisement is false for a solicitation.
	Advertisement bool
	// Override says that the advertisement replaces what is known of the target.
	Override bool
	// Src and Dst are the addresses of the IP header. A solicitation without Dst goes to the group of
	// its target (RFC 4291, section 2.7.1).
	Src, Dst netip.Addr
	// Target is the address that is asked for, or told of.
	Target netip.Addr
	// MAC is that of the sender in a solicitation, of the target in an advertisement; nil without.
	MAC net.HardwareAddr
}

// hopLimit of neighbour discovery proves that a message has passed no router.
const hopLimit = 255

// Frame is the message as an Ethernet frame: to its group as a solicitation, to mac as an advertisement.
func (n NDP) Frame(from, mac net.HardwareAddr) ([]byte, error) {
	option := byte(layers.ICMPv6OptSourceAddress)
	kind := layers.CreateICMPv6TypeCode(layers.ICMPv6TypeNeighborSolicitation, 0)
	var flags uint32
	if n.Advertisement {
		option = byte(layers.ICMPv6OptTargetAddress)
		kind = layers.CreateICMPv6TypeCode(layers.ICMPv6TypeNeighborAdvertisement, 0)
		const solicited, override = 1 << 30, 1 << 29
		if !n.Dst.IsMulticast() {
			flags = solicited
		}
		if n.Override {
			flags |= override
		}
	} else if !n.Dst.IsValid() {
		n.Dst = solicitedGroup(n.Target)
		mac = groupMAC(n.Dst)
	}
	ip, err := ipHeader(n.Src, n.Dst, hopLimit, 0, false, layers.IPProtocolICMPv6)
	if err != nil {
		return nil, fmt.Errorf("build %s: %w", n, err)
	}
	icmp := &layers.ICMPv6{TypeCode: kind}
	if err := icmp.SetNetworkLayerForChecksum(ip); err != nil {
		return nil, fmt.Errorf("build %s: %w", n, err)
	}
	body := binary.BigEndian.AppendUint32(nil, flags)
	body = append(body, n.Target.AsSlice()...)
	body = append(append(body, option, 1), n.MAC...)
	packet, err := serialize(ip, icmp, gopacket.Payload(body))
	if err != nil {
		return nil, fmt.Errorf("build %s: %w", n, err)
	}
	return Frame(from, mac, packet)
}

// solicitedGroup is the group on which an address is asked for.
func solicitedGroup(a netip.Addr) netip.Addr {
	b := a.As16()
	return netip.AddrFrom16([16]byte{0: 0xff, 1: 0x02, 11: 0x01, 12: 0xff, 13: b[13], 14: b[14], 15: b[15]})
}

// groupMAC is the hardware address of a group (RFC 2464, section 7).
func groupMAC(group netip.Addr) net.HardwareAddr {
	b := group.As16()
	return net.HardwareAddr{0x33, 0x33, b[12], b[13], b[14], b[15]}
}

// readNDP reads what follows the checksum of an ICMPv6 message.
func (d *Decoded) readNDP(kind uint8, body []byte) {
	const fixed, option = 4 + 16, 2 + 6
	if len(body) < fixed {
		return
	}
	d.Kind = NDPKind
	d.NDP = NDP{
		Advertisement: kind == layers.ICMPv6TypeNeighborAdvertisement, Override: body[0]&0x20 != 0,
		Src: d.SrcIP, Dst: d.DstIP, Target: address(body[4:fixed]),
	}
	for rest := body[fixed:]; len(rest) >= option && rest[1] != 0; rest = rest[min(len(rest), 8*int(rest[1])):] {
		if kind := layers.ICMPv6Opt(rest[0]); kind == layers.ICMPv6OptSourceAddress || kind == layers.ICMPv6OptTargetAddress {
			d.NDP.MAC = net.HardwareAddr(rest[2:option])
		}
	}
}

// String is one line: "NDP who has 2001:db8::9 tell 2001:db8::1".
func (n NDP) String() string {
	if n.Advertisement {
		return fmt.Sprintf("NDP %s is at %s", n.Target, n.MAC)
	}
	return fmt.Sprintf("NDP who has %s tell %s", n.Target, n.Src)
}

// Holder is the address that a frame of address resolution, ARP or NDP, says its sender has; invalid
// where it says none.
func (d Decoded) Holder() netip.Addr {
	switch {
	case d.Kind == ARPKind:
		return d.ARP.SenderIP
	case d.Kind == NDPKind && d.NDP.Advertisement:
		return d.NDP.Target
	case d.Kind == NDPKind:
		return d.NDP.Src
	}
	return netip.Addr{}
}
