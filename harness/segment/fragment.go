package segment

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
)

// Fragments cuts an IP packet into fragments that carry at most size bytes of its payload each; size
// is a multiple of 8, at least 8 (RFC 791, section 3.2; RFC 8200, section 4.5). A packet of IPv4 that
// fits into one stays whole. Header options and extension headers are refused.
func Fragments(packet []byte, size int) ([][]byte, error) {
	var fragments [][]byte
	var err error
	switch {
	case size < 8 || size%8 != 0:
		err = fmt.Errorf("fragment size %d is not a multiple of 8", size)
	case len(packet) > 0 && packet[0]>>4 == 6:
		fragments, err = fragments6(packet, size)
	default:
		fragments, err = fragments4(packet, size)
	}
	if err != nil {
		return nil, fmt.Errorf("cut packet: %w", err)
	}
	return fragments, nil
}

func fragments4(packet []byte, size int) ([][]byte, error) {
	var ip layers.IPv4
	if err := ip.DecodeFromBytes(packet, gopacket.NilDecodeFeedback); err != nil {
		return nil, err
	}
	switch {
	case ip.Version != 4:
		return nil, fmt.Errorf("IP version %d", ip.Version)
	case len(ip.Options) > 0:
		return nil, fmt.Errorf("%d header options", len(ip.Options))
	case ip.Flags&layers.IPv4DontFragment != 0:
		return nil, errors.New("the don't-fragment bit is set")
	}
	var fragments [][]byte
	for at := 0; at < len(ip.Payload); at += size {
		part := ip
		part.FragOffset = ip.FragOffset + uint16(at/8)
		if at+size < len(ip.Payload) {
			part.Flags |= layers.IPv4MoreFragments
		}
		fragment, err := serialize(&part, gopacket.Payload(ip.Payload[at:min(at+size, len(ip.Payload))]))
		if err != nil {
			return nil, err
		}
		fragments = append(fragments, fragment)
	}
	return fragments, nil
}

// fragmentHeader is the length of the header that each fragment of IPv6 has.
const fragmentHeader = 8

// fragments6 makes the identification, the same in all, of the packet itself.
func fragments6(packet []byte, size int) ([][]byte, error) {
	var ip layers.IPv6
	if err := ip.DecodeFromBytes(packet, gopacket.NilDecodeFeedback); err != nil {
		return nil, err
	}
	if ip.NextHeader != layers.IPProtocolTCP && ip.NextHeader != layers.IPProtocolICMPv6 {
		return nil, fmt.Errorf("next header %s", ip.NextHeader)
	}
	identification := crc32.ChecksumIEEE(packet)
	var fragments [][]byte
	for at := 0; at < len(ip.Payload); at += size {
		part := ip
		part.NextHeader = layers.IPProtocolIPv6Fragment
		where := uint16(at)
		if at+size < len(ip.Payload) {
			where |= 1
		}
		payload := binary.BigEndian.AppendUint16([]byte{byte(ip.NextHeader), 0}, where)
		payload = binary.BigEndian.AppendUint32(payload, identification)
		payload = append(payload, ip.Payload[at:min(at+size, len(ip.Payload))]...)
		fragment, err := serialize(&part, gopacket.Payload(payload))
		if err != nil {
			return nil, err
		}
		fragments = append(fragments, fragment)
	}
	return fragments, nil
}
