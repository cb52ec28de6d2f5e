package capture

import (
	"fmt"
	"strings"
	"time"

	"github.com/plexlab-dev/plexlab/harness/segment"
)

// A Packet is one frame that passed an interface.
type Packet struct {
	// Interface is the name of its Source.
	Interface string
	// Time is the kernel's, in nanoseconds.
	Time time.Time
	// Outgoing: the machine of the interface sent it, rather than received it.
	Outgoing bool
	// Unsummed: the sender left the checksum to an adapter that does not exist, as between
	// namespaces of one kernel (TP_STATUS_CSUMNOTREADY). The checksum in Data is not to be judged.
	Unsummed bool
	// Oversized: the sender left it to such an adapter to cut the segment (TP_STATUS_GSO_TCP); on
	// a real wire it would be several.
	Oversized bool
	// Length is that of the frame; Data is all of it, or what Source.Snap and Source.Block keep.
	Length int
	Data   []byte
}

// Decode takes the frame apart.
func (p Packet) Decode() segment.Decoded { return segment.Decode(p.Data) }

// String is one line: time of day, interface, direction, what it carries.
func (p Packet) String() string {
	direction := "in "
	if p.Outgoing {
		direction = "out"
	}
	return fmt.Sprintf("%s %s %s %s", p.Time.Format("15:04:05.000000"), p.Interface, direction, p.Decode())
}

// A Match describes packets; segment.Pattern is one. String says it in words.
type Match interface {
	Match(segment.Decoded) bool
	String() string
}

// Where makes a Match of a function.
func Where(words string, match func(segment.Decoded) bool) Match { return where{words, match} }

type where struct {
	words string
	match func(segment.Decoded) bool
}

func (w where) Match(d segment.Decoded) bool { return w.match(d) }
func (w where) String() string               { return w.words }

// listed is how many packets an explanation shows.
const listed = 12

// Listing shows packets, one a line, the last ones where there are many.
func Listing(packets []Packet) string {
	var text strings.Builder
	switch left := len(packets) - listed; {
	case len(packets) == 0:
		return "no packet was recorded"
	case left > 0:
		fmt.Fprintf(&text, "the last %d of %d packets:", listed, len(packets))
		packets = packets[left:]
	default:
		fmt.Fprintf(&text, "%d packets:", len(packets))
	}
	for _, p := range packets {
		fmt.Fprintf(&text, "\n  %s", p)
	}
	return text.String()
}
