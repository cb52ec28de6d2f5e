package segment

import (
	"fmt"
	"net"
	"net/netip"

	"github.com/gopacket/gopacket/layers"
)

// ARP is an address resolution packet (RFC 826) of IPv4 over Ethernet.
type ARP struct {
	// Reply is false for a request.
	Reply     bool
	SenderMAC net.HardwareAddr
	SenderIP  netip.Addr
	// TargetMAC is zero in a request.
	TargetMAC net.HardwareAddr
	TargetIP  netip.Addr
}

var broadcast = net.HardwareAddr{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}

// Frame is the packet as an Ethernet frame: broadcast as a request, to TargetMAC as a reply.
func (a ARP) Frame() ([]byte, error) {
	if !a.SenderIP.Is4() || !a.TargetIP.Is4() {
		return nil, fmt.Errorf("build ARP packet: %s and %s are not IPv4 addresses", a.SenderIP, a.TargetIP)
	}
	destination, target, operation := broadcast, make(net.HardwareAddr, 6), uint16(layers.ARPRequest)
	if a.Reply {
		destination, target, operation = a.TargetMAC, a.TargetMAC, layers.ARPReply
	}
	frame, err := serialize(
		&layers.Ethernet{SrcMAC: a.SenderMAC, DstMAC: destination, EthernetType: layers.EthernetTypeARP},
		&layers.ARP{
			AddrType: layers.LinkTypeEthernet, Protocol: layers.EthernetTypeIPv4, Operation: operation,
			SourceHwAddress: a.SenderMAC, SourceProtAddress: a.SenderIP.AsSlice(),
			DstHwAddress: target, DstProtAddress: a.TargetIP.AsSlice(),
		})
	if err != nil {
		return nil, fmt.Errorf("build ARP packet: %w", err)
	}
	return frame, nil
}

// String is one line: "ARP who has 192.0.2.9 tell 192.0.2.1".
func (a ARP) String() string {
	if a.Reply {
		return fmt.Sprintf("ARP %s is at %s", a.SenderIP, a.SenderMAC)
	}
	return fmt.Sprintf("ARP who has %s tell %s", a.TargetIP, a.SenderIP)
}
