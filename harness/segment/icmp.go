package segment

import (
	"encoding/binary"
	"fmt"
	"net/netip"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
)

// TooBig is the ICMP error by which the router at reporter says that s, which it met on its way,
// is too big for a link with that MTU: "fragmentation needed" (RFC 1191, section 4), in IPv6
// "packet too big" (RFC 4443, section 3.2). It goes to the source of s and quotes its headers.
func (s Segment) TooBig(reporter netip.Addr, mtu uint16) ([]byte, error) {
	packet, err := s.Packet()
	if err != nil {
		return nil, err
	}
	var ip ipLayer
	if reporter.Is4() {
		ip, err = ipHeader(reporter, s.Src.Addr(), DefaultTTL, 0, false, layers.IPProtocolICMPv4)
	} else {
		ip, err = ipHeader(reporter, s.Src.Addr(), DefaultTTL, 0, false, layers.IPProtocolICMPv6)
	}
	if err != nil {
		return nil, fmt.Errorf("build ICMP error about %s: %w", s, err)
	}
	var built []byte
	if reporter.Is4() {
		icmp := &layers.ICMPv4{
			TypeCode: layers.CreateICMPv4TypeCode(layers.ICMPv4TypeDestinationUnreachable, layers.ICMPv4CodeFragmentationNeeded),
			Seq:      mtu, // the low half of the second word (RFC 1191)
		}
		const header, quoted = 20, 8
		built, err = serialize(ip, icmp, gopacket.Payload(packet[:header+quoted]))
	} else {
		icmp := &layers.ICMPv6{TypeCode: layers.CreateICMPv6TypeCode(layers.ICMPv6TypePacketTooBig, 0)}
		if err := icmp.SetNetworkLayerForChecksum(ip); err != nil {
			return nil, fmt.Errorf("build ICMP error about %s: %w", s, err)
		}
		// IPv6 quotes as much as fits into the smallest MTU, 1280.
		body := binary.BigEndian.AppendUint32(nil, uint32(mtu))
		body = append(body, packet[:min(len(packet), 1280-40-8)]...)
		built, err = serialize(ip, icmp, gopacket.Payload(body))
	}
	if err != nil {
		return nil, fmt.Errorf("build ICMP error about %s: %w", s, err)
	}
	return built, nil
}
