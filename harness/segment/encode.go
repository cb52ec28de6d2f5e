package segment

import (
	"fmt"
	"net"
	"net/netip"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
)

// Packet is the segment as an IP packet without a link header. It fails on addresses that are
// invalid or of two families, and on a payload that does not fit into one packet.
func (s Segment) Packet() ([]byte, error) {
	ip, err := s.header(layers.IPProtocolTCP)
	if err != nil {
		return nil, fmt.Errorf("build segment %s: %w", s, err)
	}
	tcp := &layers.TCP{
		SrcPort: layers.TCPPort(s.Src.Port()), DstPort: layers.TCPPort(s.Dst.Port()),
		Seq: s.Seq, Ack: s.Ack, Window: s.Window,
		FIN: s.Flags&FIN != 0, SYN: s.Flags&SYN != 0, RST: s.Flags&RST != 0,
		PSH: s.Flags&PSH != 0, ACK: s.Flags&ACK != 0, URG: s.Flags&URG != 0,
	}
	if s.MSS != 0 {
		tcp.Options = []layers.TCPOption{{
			OptionType: layers.TCPOptionKindMSS, OptionLength: 4,
			OptionData: []byte{byte(s.MSS >> 8), byte(s.MSS)},
		}}
	}
	if err := tcp.SetNetworkLayerForChecksum(ip); err != nil {
		return nil, fmt.Errorf("build segment %s: %w", s, err)
	}
	packet, err := serialize(ip, tcp, gopacket.Payload(s.Payload))
	if err != nil {
		return nil, fmt.Errorf("build segment %s: %w", s, err)
	}
	if len(packet) > maxPacket {
		return nil, fmt.Errorf("build segment %s: %d bytes are more than one packet holds", s, len(packet))
	}
	return packet, nil
}

// maxPacket is what the length field of IPv4 can say (RFC 791, section 3.1); IPv6 holds more by
// its header alone.
const maxPacket = 1<<16 - 1

// ipLayer is an IP header that can be written and summed over.
type ipLayer interface {
	gopacket.NetworkLayer
	gopacket.SerializableLayer
}

func (s Segment) header(protocol layers.IPProtocol) (ipLayer, error) {
	ttl := s.TTL
	if ttl == 0 {
		ttl = DefaultTTL
	}
	return ipHeader(s.Src.Addr(), s.Dst.Addr(), ttl, s.ID, s.DontFragment, protocol)
}

func ipHeader(src, dst netip.Addr, ttl uint8, id uint16, dontFragment bool, protocol layers.IPProtocol) (ipLayer, error) {
	switch {
	case src.Is4() && dst.Is4():
		ip := &layers.IPv4{
			Version: 4, TTL: ttl, Id: id, Protocol: protocol,
			SrcIP: net.IP(src.AsSlice()), DstIP: net.IP(dst.AsSlice()),
		}
		if dontFragment {
			ip.Flags = layers.IPv4DontFragment
		}
		return ip, nil
	case src.Is6() && dst.Is6():
		return &layers.IPv6{
			Version: 6, HopLimit: ttl, NextHeader: protocol,
			SrcIP: net.IP(src.AsSlice()), DstIP: net.IP(dst.AsSlice()),
		}, nil
	}
	return nil, fmt.Errorf("addresses %s and %s are not of one family", src, dst)
}

func serialize(stack ...gopacket.SerializableLayer) ([]byte, error) {
	buffer := gopacket.NewSerializeBuffer()
	options := gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}
	if err := gopacket.SerializeLayers(buffer, options, stack...); err != nil {
		return nil, err
	}
	return buffer.Bytes(), nil
}

// Frame puts an Ethernet header before an IP packet.
func Frame(src, dst net.HardwareAddr, packet []byte) ([]byte, error) {
	if len(packet) == 0 {
		return nil, fmt.Errorf("build frame: the packet is empty")
	}
	kind := layers.EthernetTypeIPv4
	if packet[0]>>4 == 6 {
		kind = layers.EthernetTypeIPv6
	}
	frame, err := serialize(&layers.Ethernet{SrcMAC: src, DstMAC: dst, EthernetType: kind}, gopacket.Payload(packet))
	if err != nil {
		return nil, fmt.Errorf("build frame: %w", err)
	}
	return frame, nil
}
