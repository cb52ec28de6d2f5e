package home

import (
	"errors"
	"net"
	"net/netip"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/vishvananda/netlink"
)

var mac = net.HardwareAddr{2, 0, 0, 0, 0, 7}

func decode(t *testing.T, frame []byte) gopacket.Packet {
	t.Helper()
	p := gopacket.NewPacket(frame, layers.LayerTypeEthernet, gopacket.Default)
	if failure := p.ErrorLayer(); failure != nil {
		t.Fatal(failure.Error())
	}
	return p
}

func TestARPAnnouncement(t *testing.T) {
	p := decode(t, announcement(netip.MustParseAddr("192.0.2.100"), mac))
	ethernet := p.Layer(layers.LayerTypeEthernet).(*layers.Ethernet)
	if got, want := ethernet.DstMAC.String(), "ff:ff:ff:ff:ff:ff"; got != want {
		t.Errorf("sent to %s, want %s", got, want)
	}
	arp := p.Layer(layers.LayerTypeARP).(*layers.ARP)
	sender, target := net.IP(arp.SourceProtAddress).String(), net.IP(arp.DstProtAddress).String()
	if arp.Operation != layers.ARPRequest || sender != "192.0.2.100" || target != sender {
		t.Errorf("operation %d of %s for %s, want a request of 192.0.2.100 for itself", arp.Operation, sender, target)
	}
	if got := net.HardwareAddr(arp.SourceHwAddress).String(); got != mac.String() {
		t.Errorf("names station %s, want %s", got, mac)
	}
}

func TestNeighbourAdvertisement(t *testing.T) {
	address := netip.MustParseAddr("2001:db8::100")
	p := decode(t, announcement(address, mac))
	ip := p.Layer(layers.LayerTypeIPv6).(*layers.IPv6)
	if ip.DstIP.String() != "ff02::1" || ip.SrcIP.String() != address.String() || ip.HopLimit != 255 {
		t.Errorf("from %s to %s, hop limit %d", ip.SrcIP, ip.DstIP, ip.HopLimit)
	}
	icmp := p.Layer(layers.LayerTypeICMPv6).(*layers.ICMPv6)
	sent := icmp.Checksum
	buffer := gopacket.NewSerializeBuffer()
	icmp.SetNetworkLayerForChecksum(ip)
	err := gopacket.SerializeLayers(buffer, gopacket.SerializeOptions{ComputeChecksums: true}, icmp, gopacket.Payload(icmp.Payload))
	if err != nil {
		t.Fatal(err)
	}
	if icmp.Checksum != sent {
		t.Errorf("checksum %#x, want %#x", sent, icmp.Checksum)
	}
	advertisement := p.Layer(layers.LayerTypeICMPv6NeighborAdvertisement).(*layers.ICMPv6NeighborAdvertisement)
	if advertisement.TargetAddress.String() != address.String() || !advertisement.Override() || advertisement.Solicited() {
		t.Errorf("advertises %s, override %v, solicited %v", advertisement.TargetAddress, advertisement.Override(), advertisement.Solicited())
	}
	option := advertisement.Options[0]
	if option.Type != layers.ICMPv6OptTargetAddress || net.HardwareAddr(option.Data).String() != mac.String() {
		t.Errorf("option %v, want the station %s", option, mac)
	}
}

func TestRetryOfInterruptedDumps(t *testing.T) {
	calls := 0
	got, err := retry(func() ([]int, error) {
		if calls++; calls < 3 {
			return nil, netlink.ErrDumpInterrupted
		}
		return []int{calls}, nil
	})
	if err != nil || len(got) != 1 || got[0] != 3 {
		t.Errorf("got %v, %v, want the third dump", got, err)
	}
	if _, err := retry(func() ([]int, error) { return nil, netlink.ErrDumpInterrupted }); !errors.Is(err, netlink.ErrDumpInterrupted) {
		t.Errorf("dumps that are always interrupted: %v", err)
	}
}
