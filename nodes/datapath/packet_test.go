package datapath

import (
	"encoding/binary"
	"net/netip"
	"slices"

	"golang.org/x/sys/unix"
)

// Flags of a TCP segment.
const (
	syn = 0x02
	rst = 0x04
	ack = 0x10
)

// ip makes a packet from source to destination. The kernel fills in the checksum of IPv4.
func ip(source, destination netip.Addr, protocol byte, payload []byte) []byte {
	var p []byte
	if source.Is4() {
		p = []byte{0x45, 0, 0, 0, 0, 0, 0, 0, 64, protocol, 0, 0}
		binary.BigEndian.PutUint16(p[2:], uint16(20+len(payload)))
	} else {
		p = []byte{0x60, 0, 0, 0, 0, 0, protocol, 64}
		binary.BigEndian.PutUint16(p[4:], uint16(len(payload)))
	}
	return slices.Concat(p, source.AsSlice(), destination.AsSlice(), payload)
}

// fragment is a part of a packet from the client to the DVIPA that begins at offset, in units of 8
// bytes.
func (a addresses) fragment(offset uint16, more bool, payload []byte) []byte {
	flags := offset
	if a.remote.Is6() {
		flags <<= 3
		if more {
			flags |= 1
		}
		header := []byte{unix.IPPROTO_TCP, 0, byte(flags >> 8), byte(flags), 0, 0, 0, 1}
		return ip(a.remote, a.dvipa, unix.IPPROTO_FRAGMENT, append(header, payload...))
	}
	if more {
		flags |= 0x2000
	}
	p := ip(a.remote, a.dvipa, unix.IPPROTO_TCP, payload)
	binary.BigEndian.PutUint16(p[6:], flags)
	return p
}

// segment makes the header of a TCP segment from the client to the DVIPA, with a valid checksum.
func (a addresses) segment(source, port uint16, flags byte) []byte {
	s := make([]byte, 20)
	binary.BigEndian.PutUint16(s[0:], source)
	binary.BigEndian.PutUint16(s[2:], port)
	binary.BigEndian.PutUint32(s[4:], 1)
	s[12], s[13] = 5<<4, flags
	binary.BigEndian.PutUint16(s[14:], 1024)
	binary.BigEndian.PutUint16(s[16:], pseudoChecksum(a.remote, a.dvipa, unix.IPPROTO_TCP, s))
	return s
}

// packet is a TCP segment from the client to the DVIPA.
func (a addresses) packet(source, port uint16, flags byte) []byte {
	return ip(a.remote, a.dvipa, unix.IPPROTO_TCP, a.segment(source, port, flags))
}

// tooLong is a router's error about a packet from the DVIPA to the client: fragmentation needed, or
// packet too big.
func (a addresses) tooLong(source, port uint16) []byte {
	quoted := make([]byte, 8)
	binary.BigEndian.PutUint16(quoted[0:], port)
	binary.BigEndian.PutUint16(quoted[2:], source)
	about := ip(a.dvipa, a.remote, unix.IPPROTO_TCP, quoted)
	if a.remote.Is4() {
		binary.BigEndian.PutUint16(about[2:], 1500)
		binary.BigEndian.PutUint16(about[10:], checksum(about[:20]))
		message := append([]byte{3, 4, 0, 0, 0, 0, 1400 >> 8, 1400 & 0xff}, about...)
		binary.BigEndian.PutUint16(message[2:], checksum(message))
		return ip(a.remote, a.dvipa, unix.IPPROTO_ICMP, message)
	}
	about[1] = 0x12 // a traffic class
	message := append([]byte{2, 0, 0, 0, 0, 0, 1400 >> 8, 1400 & 0xff}, about...)
	binary.BigEndian.PutUint16(message[2:], pseudoChecksum(a.remote, a.dvipa, unix.IPPROTO_ICMPV6, message))
	return ip(a.remote, a.dvipa, unix.IPPROTO_ICMPV6, message)
}

// question is the frame by which the client at mac asks who has an address.
func (a addresses) question(mac []byte, address netip.Addr) []byte {
	if a.remote.Is4() {
		frame := slices.Concat([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, mac, []byte{8, 6, 0, 1, 8, 0, 6, 4, 0, 1})
		return slices.Concat(frame, mac, a.remote.AsSlice(), make([]byte, 6), address.AsSlice())
	}
	last := address.As16()
	group := netip.AddrFrom16([16]byte{0: 0xff, 1: 2, 11: 1, 12: 0xff, 13: last[13], 14: last[14], 15: last[15]})
	message := slices.Concat([]byte{135, 0, 0, 0, 0, 0, 0, 0}, address.AsSlice(), []byte{1, 1}, mac)
	binary.BigEndian.PutUint16(message[2:], pseudoChecksum(a.remote, group, unix.IPPROTO_ICMPV6, message))
	packet := ip(a.remote, group, unix.IPPROTO_ICMPV6, message)
	packet[7] = 255
	return slices.Concat([]byte{0x33, 0x33, 0xff, last[13], last[14], last[15]}, mac, []byte{0x86, 0xdd}, packet)
}

// answer reads who answers a question: the address and its station; the zero Addr if the frame is no
// answer.
func (a addresses) answer(frame []byte) (netip.Addr, []byte) {
	var b []byte
	switch {
	case a.remote.Is4() && len(frame) >= 42 && frame[13] == 6 && frame[21] == 2:
		b = frame[28:32]
	case a.remote.Is6() && len(frame) >= 78 && frame[20] == unix.IPPROTO_ICMPV6 && frame[54] == 136:
		b = frame[62:78]
	default:
		return netip.Addr{}, nil
	}
	address, _ := netip.AddrFromSlice(b)
	return address, frame[6:12]
}

// pseudoChecksum is that of TCP and ICMPv6, whose message has a checksum of 0.
func pseudoChecksum(source, destination netip.Addr, protocol byte, message []byte) uint16 {
	pseudo := append(source.AsSlice(), destination.AsSlice()...)
	return checksum(slices.Concat(pseudo, []byte{0, protocol, 0, byte(len(message))}, message))
}

func checksum(b []byte) uint16 {
	var sum uint32
	for i := 0; i+1 < len(b); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}
