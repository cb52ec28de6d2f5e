package datapath

import (
	"encoding/binary"
	"net/netip"

	"golang.org/x/sys/unix"
)

// Flags of a TCP segment.
const (
	syn = 0x02
	rst = 0x04
	ack = 0x10
)

// ip makes a packet of IPv4 from the client to the DVIPA; fragment is the field of flags and
// offset. The kernel fills in length and checksum.
func ip(protocol byte, fragment uint16, payload []byte) []byte {
	p := make([]byte, 20, 20+len(payload))
	p[0], p[8], p[9] = 0x45, 64, protocol
	binary.BigEndian.PutUint16(p[6:], fragment)
	copy(p[12:], client.AsSlice())
	copy(p[16:], dvipa.AsSlice())
	return append(p, payload...)
}

// segmentOf makes a TCP segment with a valid checksum.
func segmentOf(source, port uint16, flags byte) []byte {
	s := make([]byte, 20)
	binary.BigEndian.PutUint16(s[0:], source)
	binary.BigEndian.PutUint16(s[2:], port)
	binary.BigEndian.PutUint32(s[4:], 1)
	s[12], s[13] = 5<<4, flags
	binary.BigEndian.PutUint16(s[14:], 1024)
	binary.BigEndian.PutUint16(s[16:], tcpChecksum(client, dvipa, s))
	return ip(unix.IPPROTO_TCP, 0, s)
}

func tcpChecksum(source, destination netip.Addr, segment []byte) uint16 {
	pseudo := append(append(source.AsSlice(), destination.AsSlice()...), 0, unix.IPPROTO_TCP, 0, byte(len(segment)))
	return checksum(append(pseudo, segment...))
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
