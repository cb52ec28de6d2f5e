package home

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/mdlayher/packet"
	"golang.org/x/sys/unix"
)

// repeats are the pauses before an announcement is sent again, for neighbours that missed the
// first: the counts of RFC 5227 (ANNOUNCE_NUM 2) and RFC 4861 (MAX_NEIGHBOR_ADVERTISEMENT 3),
// sooner than their second or two.
var repeats = []time.Duration{100 * time.Millisecond, 900 * time.Millisecond}

// An announcer tells the neighbours on one outside interface who owns an address.
type announcer struct {
	name  string
	index int
	mac   net.HardwareAddr
	conn  *packet.Conn
}

func newAnnouncer(name string) (*announcer, error) {
	link, err := net.InterfaceByName(name)
	if err != nil {
		return nil, fmt.Errorf("find outside interface %q: %w", name, err)
	}
	// Protocol 0: the socket receives nothing.
	conn, err := packet.Listen(link, packet.Raw, 0, nil)
	if err != nil {
		return nil, fmt.Errorf("open packet socket on %s: %w", name, err)
	}
	return &announcer{name: name, index: link.Index, mac: link.HardwareAddr, conn: conn}, nil
}

func (a *announcer) Close() error { return a.conn.Close() }

// announce sends the announcement, and again after each of repeats until ctx ends.
func (a *announcer) announce(ctx context.Context, address netip.Addr) error {
	frame := announcement(address, a.mac)
	if err := a.send(frame); err != nil {
		return err
	}
	go func() {
		for _, pause := range repeats {
			select {
			case <-ctx.Done():
				return
			case <-time.After(pause):
			}
			if a.send(frame) != nil {
				return // closed, or the interface is gone
			}
		}
	}()
	return nil
}

func (a *announcer) send(frame []byte) error {
	_, err := a.conn.WriteTo(frame, &packet.Addr{HardwareAddr: net.HardwareAddr(frame[:6])})
	if errors.Is(err, unix.ENETDOWN) || errors.Is(err, unix.ENOBUFS) {
		return nil // nobody there to tell, or the data path has found that this stack is the owner no more
	}
	if err != nil {
		return fmt.Errorf("announce on %s: %w", a.name, err)
	}
	return nil
}

// announcement is the Ethernet frame that says which station has the address: an ARP
// announcement (RFC 5227, section 3), or an unsolicited neighbour advertisement with the
// override flag (RFC 4861, section 7.2.6).
func announcement(address netip.Addr, mac net.HardwareAddr) []byte {
	if address.Is4() {
		return arpAnnouncement(address, mac)
	}
	return neighbourAdvertisement(address, mac)
}

func ethernet(destination, source net.HardwareAddr, etherType uint16) []byte {
	frame := append(append([]byte{}, destination...), source...)
	return binary.BigEndian.AppendUint16(frame, etherType)
}

func arpAnnouncement(address netip.Addr, mac net.HardwareAddr) []byte {
	broadcast := net.HardwareAddr{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
	frame := ethernet(broadcast, mac, unix.ETH_P_ARP)
	// Ethernet, IPv4, 6 and 4 bytes, request.
	frame = append(frame, 0, 1, 8, 0, 6, 4, 0, 1)
	frame = append(append(frame, mac...), address.AsSlice()...)
	return append(append(frame, make([]byte, 6)...), address.AsSlice()...)
}

func neighbourAdvertisement(address netip.Addr, mac net.HardwareAddr) []byte {
	message := []byte{neighbourAdvertisementType, 0, 0, 0, 0x20, 0, 0, 0} // override
	message = append(message, address.AsSlice()...)
	message = append(append(message, 2, 1), mac...) // target link-layer address, 8 bytes
	return neighbourMessage(address, netip.MustParseAddr("ff02::1"), mac, message)
}

// neighbourMessage is the frame of an ICMPv6 message to a group, whose checksum is zero yet.
func neighbourMessage(source, group netip.Addr, mac net.HardwareAddr, message []byte) []byte {
	pseudo := append(source.AsSlice(), group.AsSlice()...)
	pseudo = binary.BigEndian.AppendUint32(pseudo, uint32(len(message)))
	pseudo = append(pseudo, 0, 0, 0, unix.IPPROTO_ICMPV6)
	binary.BigEndian.PutUint16(message[2:], checksum(append(pseudo, message...)))

	frame := ethernet(append(net.HardwareAddr{0x33, 0x33}, group.AsSlice()[12:]...), mac, unix.ETH_P_IPV6)
	frame = append(frame, 0x60, 0, 0, 0)
	frame = binary.BigEndian.AppendUint16(frame, uint16(len(message)))
	frame = append(frame, unix.IPPROTO_ICMPV6, 255)
	frame = append(append(frame, source.AsSlice()...), group.AsSlice()...)
	return append(frame, message...)
}

// checksum is that of the Internet (RFC 1071), of an even number of bytes.
func checksum(b []byte) uint16 {
	var sum uint32
	for i := 0; i < len(b); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}
