// Package segment builds and reads single packets: TCP segments, fragments, ICMP errors, ARP and NDP,
// sent and received past the kernel's own TCP. Unit-level specs stimulate a stack with it and
// judge what comes out, packet by packet.
package segment

import (
	"fmt"
	"net/netip"
	"strings"
)

// Flags are the control bits of a TCP segment (RFC 9293, section 3.1).
type Flags uint8

// The control bits.
const (
	FIN Flags = 1 << iota
	SYN
	RST
	PSH
	ACK
	URG
)

var flagNames = []string{"FIN", "SYN", "RST", "PSH", "ACK", "URG"}

// String names the bits that are set: "SYN,ACK"; "none" for zero.
func (f Flags) String() string {
	var names []string
	for i, name := range flagNames {
		if f&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ",")
}

// Segment is one TCP segment with what its IP header says. Every field is sent as it stands,
// checksums are right.
type Segment struct {
	// Src and Dst are of one family.
	Src, Dst netip.AddrPort
	Seq, Ack uint32
	Flags    Flags
	Window   uint16
	// MSS is the option of that name; zero leaves it out.
	MSS uint16
	// TTL is the hop limit of IPv6; zero stands for 64.
	TTL uint8
	// ID and DontFragment are of IPv4 alone.
	ID           uint16
	DontFragment bool
	Payload      []byte
}

// What a segment carries when its spec does not care. The initial sequence number is fixed, so
// that captures of two runs compare.
const (
	InitialSequence = 1000
	DefaultWindow   = 64240
	DefaultMSS      = 1460
	DefaultTTL      = 64
)

// NewSYN asks for a connection from src to dst.
func NewSYN(src, dst netip.AddrPort) Segment {
	return Segment{Src: src, Dst: dst, Seq: InitialSequence, Flags: SYN, Window: DefaultWindow, MSS: DefaultMSS}
}

// NewACK acknowledges everything before ack.
func NewACK(src, dst netip.AddrPort, seq, ack uint32) Segment {
	return Segment{Src: src, Dst: dst, Seq: seq, Ack: ack, Flags: ACK, Window: DefaultWindow}
}

// NewData carries payload.
func NewData(src, dst netip.AddrPort, seq, ack uint32, payload []byte) Segment {
	s := NewACK(src, dst, seq, ack)
	s.Flags |= PSH
	s.Payload = payload
	return s
}

// NewFIN ends the direction from src to dst.
func NewFIN(src, dst netip.AddrPort, seq, ack uint32) Segment {
	s := NewACK(src, dst, seq, ack)
	s.Flags |= FIN
	return s
}

// NewRST ends the connection; seq has to be the next one expected to be accepted (RFC 5961).
func NewRST(src, dst netip.AddrPort, seq uint32) Segment {
	return Segment{Src: src, Dst: dst, Seq: seq, Flags: RST}
}

// Answer is what comes back: a segment with the ends exchanged that acknowledges all of s.
func (s Segment) Answer(flags Flags, seq uint32) Segment {
	return Segment{Src: s.Dst, Dst: s.Src, Seq: seq, Ack: s.Next(), Flags: flags | ACK, Window: DefaultWindow}
}

// Next is the sequence number that follows s; SYN and FIN count one each.
func (s Segment) Next() uint32 {
	next := s.Seq + uint32(len(s.Payload))
	if s.Flags&SYN != 0 {
		next++
	}
	if s.Flags&FIN != 0 {
		next++
	}
	return next
}

// String is one line: "192.0.2.1:1024 > 192.0.2.9:80 SYN seq 1000".
func (s Segment) String() string {
	text := fmt.Sprintf("%s > %s %s seq %d", s.Src, s.Dst, s.Flags, s.Seq)
	if s.Flags&ACK != 0 {
		text += fmt.Sprintf(" ack %d", s.Ack)
	}
	if len(s.Payload) > 0 {
		text += fmt.Sprintf(" len %d", len(s.Payload))
	}
	return text
}
