package segment

import (
	"fmt"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
)

// Fragments cuts an IPv4 packet into fragments that carry at most size bytes of its payload each;
// size is a multiple of 8, at least 8 (RFC 791, section 3.2). A packet that fits into one stays
// whole. Header options are refused.
func Fragments(packet []byte, size int) ([][]byte, error) {
	if size < 8 || size%8 != 0 {
		return nil, fmt.Errorf("cut packet: fragment size %d is not a multiple of 8", size)
	}
	var ip layers.IPv4
	if err := ip.DecodeFromBytes(packet, gopacket.NilDecodeFeedback); err != nil {
		return nil, fmt.Errorf("cut packet: %w", err)
	}
	switch {
	case ip.Version != 4:
		return nil, fmt.Errorf("cut packet: IP version %d", ip.Version)
	case len(ip.Options) > 0:
		return nil, fmt.Errorf("cut packet: %d header options", len(ip.Options))
	case ip.Flags&layers.IPv4DontFragment != 0:
		return nil, fmt.Errorf("cut packet: the don't-fragment bit is set")
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
			return nil, fmt.Errorf("cut packet: %w", err)
		}
		fragments = append(fragments, fragment)
	}
	return fragments, nil
}
