package datapath

import (
	"slices"

	"golang.org/x/sys/unix"
)

// icmpErrors is the anonymous set of the error types; it lives in the transaction that adds
// the fixed rules, under the number it has there.
func (f family) icmpErrors(id uint32) (set, []element) {
	var elements []element
	for _, t := range f.icmp.errors {
		elements = append(elements, element{key: []byte{t}})
	}
	return set{name: "__set%d", id: id, key: f.icmp.typ}, elements
}

// forwardICMPError sends an ICMP error about a distributed connection to its target: a router
// on the way says to the DVIPA that a packet from it was too long, say. The error carries the
// head of that packet, so its source is the DVIPA and its destination the remote end. nft has
// no words for the inner header and lists these fields as raw payload. An error about a packet
// with options, or with extension headers, is left to this stack.
func (g figure) forwardICMPError(errors set) code {
	const inner = 8 // behind the ICMP header, from the transport header
	rule := slices.Concat(
		transport(g.icmp.protocol),
		load(0, field{segment, 0, 1}), in(errors, register(0)),
	)
	if g.icmp.header != 0 {
		rule = slices.Concat(rule, load(0, field{segment, inner, 1}), equal(register(0), g.icmp.header))
	}
	return slices.Concat(rule,
		load(0, field{segment, inner + g.icmp.next, 1}), equal(register(0), unix.IPPROTO_TCP),
		load(4,
			field{segment, inner + g.destination, g.address.Bytes},
			field{segment, inner + g.icmp.length + 2, 2},
			field{segment, inner + g.source, g.address.Bytes},
			field{segment, inner + g.icmp.length, 2},
		),
		g.forwardMapped(),
	)
}
