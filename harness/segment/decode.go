package segment

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"sync"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
)

// Kind says what a frame carries.
type Kind uint8

// The kinds. Other is everything that is not listed, damaged frames included.
const (
	Other Kind = iota
	TCP
	ARPKind
	NDPKind
	ICMPError
	Fragment
)

// A Decoded is a frame taken apart. Checksums are not looked at: between namespaces of one kernel
// packets travel with checksums that nobody has completed yet.
type Decoded struct {
	Kind Kind
	// SrcMAC and DstMAC are those of the frame.
	SrcMAC, DstMAC net.HardwareAddr
	// SrcIP and DstIP are those of the outermost IP header, invalid without one.
	SrcIP, DstIP netip.Addr
	// Segment is set for TCP.
	Segment Segment
	// ARP is set for ARPKind.
	ARP ARP
	// NDP is set for NDPKind.
	NDP NDP
	// Error is set for ICMPError.
	Error Error
	// Offset, in bytes, and More are set for Fragment.
	Offset int
	More   bool
}

// Error is an ICMP error message about a TCP segment.
type Error struct {
	Type, Code uint8
	// MTU is zero where the message holds none.
	MTU uint32
	// Src and Dst are the ends of the segment that the message quotes.
	Src, Dst netip.AddrPort
}

// A decoder has room for every layer of a frame. To make one takes longer than to decode with it.
type decoder struct {
	eth     layers.Ethernet
	arp     layers.ARP
	ip4     layers.IPv4
	ip6     layers.IPv6
	tcp     layers.TCP
	icmp4   layers.ICMPv4
	icmp6   layers.ICMPv6
	part    gopacket.Fragment
	payload gopacket.Payload
	parser  *gopacket.DecodingLayerParser
	found   []gopacket.LayerType
}

var decoders = sync.Pool{New: func() any {
	var d decoder
	d.parser = gopacket.NewDecodingLayerParser(layers.LayerTypeEthernet,
		&d.eth, &d.arp, &d.ip4, &d.ip6, &d.tcp, &d.icmp4, &d.icmp6, &d.part, &d.payload)
	d.parser.IgnoreUnsupported = true
	return &d
}}

// Decode takes an Ethernet frame apart. What it does not know is Other; it never fails. Addresses of adapters and payloads
// are those in the frame, not copies.
func Decode(frame []byte) Decoded {
	d := decoders.Get().(*decoder)
	defer decoders.Put(d)
	// Damage ends the parsing; what was found before it stands.
	_ = d.parser.DecodeLayers(frame, &d.found)
	return d.decoded()
}

// decoded is what was found in a frame.
func (in *decoder) decoded() (d Decoded) {
	for _, layer := range in.found {
		switch layer {
		case layers.LayerTypeEthernet:
			d.SrcMAC, d.DstMAC = in.eth.SrcMAC, in.eth.DstMAC
		case layers.LayerTypeARP:
			d.Kind, d.ARP = ARPKind, decodeARP(&in.arp)
		case layers.LayerTypeIPv4:
			d.SrcIP, d.DstIP = address(in.ip4.SrcIP), address(in.ip4.DstIP)
			d.Segment.TTL, d.Segment.ID = in.ip4.TTL, in.ip4.Id
			d.Segment.DontFragment = in.ip4.Flags&layers.IPv4DontFragment != 0
			d.Offset, d.More = int(in.ip4.FragOffset)*8, in.ip4.Flags&layers.IPv4MoreFragments != 0
		case layers.LayerTypeIPv6:
			d.SrcIP, d.DstIP = address(in.ip6.SrcIP), address(in.ip6.DstIP)
			d.Segment.TTL = in.ip6.HopLimit
			if in.ip6.NextHeader == layers.IPProtocolIPv6Fragment {
				d.readFragment(in.ip6.Payload)
			}
		case gopacket.LayerTypeFragment:
			d.Kind = Fragment
		case layers.LayerTypeTCP:
			d.Kind = TCP
			d.readTCP(&in.tcp)
		case layers.LayerTypeICMPv4:
			d.readError(in.icmp4.TypeCode.Type(), in.icmp4.TypeCode.Code(), uint32(in.icmp4.Seq), in.icmp4.Payload)
		case layers.LayerTypeICMPv6:
			switch kind, p := in.icmp6.TypeCode.Type(), in.icmp6.Payload; {
			case kind == layers.ICMPv6TypeNeighborSolicitation, kind == layers.ICMPv6TypeNeighborAdvertisement:
				d.readNDP(kind, p)
			case len(p) >= 4 && kind < layers.ICMPv6TypeEchoRequest:
				d.readError(kind, in.icmp6.TypeCode.Code(), binary.BigEndian.Uint32(p), p[4:])
			}
		}
	}
	return d
}

func (d *Decoded) readTCP(tcp *layers.TCP) {
	s := &d.Segment
	s.Src = netip.AddrPortFrom(d.SrcIP, uint16(tcp.SrcPort))
	s.Dst = netip.AddrPortFrom(d.DstIP, uint16(tcp.DstPort))
	s.Seq, s.Ack, s.Window, s.Payload = tcp.Seq, tcp.Ack, tcp.Window, tcp.Payload
	for i, set := range []bool{tcp.FIN, tcp.SYN, tcp.RST, tcp.PSH, tcp.ACK, tcp.URG} {
		if set {
			s.Flags |= 1 << i
		}
	}
	for _, option := range tcp.Options {
		if option.OptionType == layers.TCPOptionKindMSS && len(option.OptionData) == 2 {
			s.MSS = binary.BigEndian.Uint16(option.OptionData)
		}
	}
}

// readFragment reads a fragment header (RFC 8200, section 4.5).
func (d *Decoded) readFragment(header []byte) {
	if len(header) < fragmentHeader {
		return
	}
	at := binary.BigEndian.Uint16(header[2:])
	d.Kind, d.Offset, d.More = Fragment, int(at&^7), at&1 != 0
}

// readError reads what an ICMP message quotes; one that quotes no TCP header stays Other.
func (d *Decoded) readError(kind, code uint8, mtu uint32, quoted []byte) {
	if len(quoted) == 0 {
		return
	}
	var src, dst netip.Addr
	var ports []byte
	switch header := int(quoted[0]&0xf) * 4; {
	case quoted[0]>>4 == 4 && header >= 20 && len(quoted) >= header+4 && quoted[9] == uint8(layers.IPProtocolTCP):
		src, dst, ports = address(quoted[12:16]), address(quoted[16:20]), quoted[header:]
	case quoted[0]>>4 == 6 && len(quoted) >= 44 && quoted[6] == uint8(layers.IPProtocolTCP):
		src, dst, ports = address(quoted[8:24]), address(quoted[24:40]), quoted[40:]
	default:
		return
	}
	d.Kind = ICMPError
	d.Error = Error{
		Type: kind, Code: code, MTU: mtu,
		Src: netip.AddrPortFrom(src, binary.BigEndian.Uint16(ports)),
		Dst: netip.AddrPortFrom(dst, binary.BigEndian.Uint16(ports[2:])),
	}
}

func decodeARP(arp *layers.ARP) ARP {
	return ARP{
		Reply:     arp.Operation == layers.ARPReply,
		SenderMAC: arp.SourceHwAddress, SenderIP: address(arp.SourceProtAddress),
		TargetMAC: arp.DstHwAddress, TargetIP: address(arp.DstProtAddress),
	}
}

func address(b []byte) netip.Addr {
	a, _ := netip.AddrFromSlice(b)
	return a
}

// String is one line about the frame.
func (d Decoded) String() string {
	switch d.Kind {
	case TCP:
		return d.Segment.String()
	case ARPKind:
		return d.ARP.String()
	case NDPKind:
		return d.NDP.String()
	case ICMPError:
		return fmt.Sprintf("%s > %s ICMP error %d/%d mtu %d about %s > %s",
			d.SrcIP, d.DstIP, d.Error.Type, d.Error.Code, d.Error.MTU, d.Error.Src, d.Error.Dst)
	case Fragment:
		return fmt.Sprintf("%s > %s fragment at %d more %t", d.SrcIP, d.DstIP, d.Offset, d.More)
	}
	if d.SrcIP.IsValid() {
		return fmt.Sprintf("%s > %s, not TCP", d.SrcIP, d.DstIP)
	}
	return fmt.Sprintf("%s > %s, not IP", d.SrcMAC, d.DstMAC)
}
