package probe

import (
	"fmt"
	"net/netip"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"golang.org/x/sys/unix"
)

// synSourcePort is the source port of half-open requests.
const synSourcePort = 4711

// sendSYN sends one IPv4 SYN from source, which should be nobody's address: a host that has it
// would answer the SYN-ACK with RST and end the half-open request.
func sendSYN(source netip.Addr, target netip.AddrPort) error {
	ip := &layers.IPv4{
		Version: 4, TTL: 64, Protocol: layers.IPProtocolTCP,
		SrcIP: source.AsSlice(), DstIP: target.Addr().AsSlice(),
	}
	tcp := &layers.TCP{SrcPort: synSourcePort, DstPort: layers.TCPPort(target.Port()), Seq: 1, SYN: true, Window: 65535}
	if err := tcp.SetNetworkLayerForChecksum(ip); err != nil {
		return fmt.Errorf("half-open: %w", err)
	}
	buffer := gopacket.NewSerializeBuffer()
	options := gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}
	if err := gopacket.SerializeLayers(buffer, options, ip, tcp); err != nil {
		return fmt.Errorf("half-open: build the SYN: %w", err)
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_RAW)
	if err != nil {
		return fmt.Errorf("half-open: raw socket: %w", err)
	}
	defer unix.Close(fd)
	if err := unix.Sendto(fd, buffer.Bytes(), 0, &unix.SockaddrInet4{Addr: target.Addr().As4()}); err != nil {
		return fmt.Errorf("half-open: send to %s: %w", target, err)
	}
	return nil
}
