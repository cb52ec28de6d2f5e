package segment

import (
	"bytes"
	"fmt"
	"net/netip"
	"strings"
)

// A Pattern describes TCP segments. The zero value describes all of them.
type Pattern struct {
	// Src and Dst are the ends; an invalid address or port 0 stands for any.
	Src, Dst netip.AddrPort
	// Has are flags that are set, Lacks flags that are not.
	Has, Lacks Flags
	// Payload is part of what the segment carries; nil stands for any.
	Payload []byte
}

// A Connect is a SYN without ACK from src to dst.
func Connect(src, dst netip.AddrPort) Pattern {
	return Pattern{Src: src, Dst: dst, Has: SYN, Lacks: ACK}
}

// Match says whether d is a TCP segment that p describes.
func (p Pattern) Match(d Decoded) bool {
	s := d.Segment
	return d.Kind == TCP &&
		matchEnd(p.Src, s.Src) && matchEnd(p.Dst, s.Dst) &&
		s.Flags&p.Has == p.Has && s.Flags&p.Lacks == 0 &&
		bytes.Contains(s.Payload, p.Payload)
}

func matchEnd(want, got netip.AddrPort) bool {
	return (!want.Addr().IsValid() || want.Addr() == got.Addr()) && (want.Port() == 0 || want.Port() == got.Port())
}

// String is one line: "any > 192.0.2.9:80 with SYN without ACK".
func (p Pattern) String() string {
	var text strings.Builder
	fmt.Fprintf(&text, "%s > %s", endName(p.Src), endName(p.Dst))
	if p.Has != 0 {
		fmt.Fprintf(&text, " with %s", p.Has)
	}
	if p.Lacks != 0 {
		fmt.Fprintf(&text, " without %s", p.Lacks)
	}
	if p.Payload != nil {
		fmt.Fprintf(&text, " holding %q", p.Payload)
	}
	return text.String()
}

func endName(end netip.AddrPort) string {
	switch {
	case end.Addr().IsValid() && end.Port() != 0:
		return end.String()
	case end.Addr().IsValid():
		return end.Addr().String()
	case end.Port() != 0:
		return fmt.Sprintf("any:%d", end.Port())
	}
	return "any"
}
