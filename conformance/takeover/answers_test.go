package takeover

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/plexlab-dev/plexlab/conformance/trial"
	"github.com/plexlab-dev/plexlab/harness/capture"
	"github.com/plexlab-dev/plexlab/harness/segment"
)

// An answer is something that only the owner of a DVIPA does.
type answer struct {
	at    time.Time
	stack string
	// epoch is that of the stack when it answered, 0 for none; where it took that at about this moment, it may still have
	// had the one before, sure.
	epoch, sure uint64
	what        capture.Packet
}

func (a answer) String() string {
	return fmt.Sprintf("%s, of epoch %d: %s", a.stack, a.epoch, a.what)
}

// answersTo finds in a capture what the stacks did as owners of a service's DVIPA: they told the network that they have the
// address, they forwarded what came from clients, and they accepted or refused themselves what had not come by XCF. What is
// done about a packet counts for the moment in which it came: the kernel holds back what it sends while it looks for
// the next hop. What a node does whose stack is dead does not count. In order of time.
func answersTo(s *trial.SystemTrial, service netip.AddrPort, held []claim, ends []ending) []answer {
	var all []answer
	for _, stack := range s.Stacks() {
		tell := func(at time.Time, p capture.Packet) {
			if !slices.ContainsFunc(ends, func(e ending) bool { return e.covers(stack, at) }) {
				all = append(all, answerAt(held, stack, at, p))
			}
		}
		outside, xcf := s.Capture.On(stack+"/ext0"), s.Capture.On(stack+"/xcf0")
		for _, p := range outside.Sent().Packets() {
			if d := p.Decode(); d.Holder() == service.Addr() {
				tell(p.Time, p)
			}
		}
		came := arrivalsOf(outside.Received().Matching(segment.Pattern{Dst: service}))
		for _, p := range xcf.Sent().Matching(segment.Pattern{Dst: service}) {
			at, found := came[exactly(p.Decode().Segment)].before(p.Time)
			if !found {
				at = p.Time
			}
			tell(at, p)
		}
		inside := arrivalsOf(xcf.Received().Matching(segment.Pattern{Dst: service}))
		for _, p := range outside.Sent().Matching(segment.Pattern{Src: service}) {
			for _, cause := range causes(p.Decode().Segment) {
				_, byXCF := inside[cause]
				if at, found := came[cause].before(p.Time); found && !byXCF {
					tell(at, p)
					break
				}
			}
		}
	}
	slices.SortStableFunc(all, func(a, b answer) int { return a.at.Compare(b.at) })
	return all
}

// An arrival is what a packet is known by: all of it, or what the reply to it shows of it.
type arrival struct {
	client netip.AddrPort
	number uint32 // seq of a reply, or ack
	whole  string // empty for what a reply shows
}

// moments are those in which such packets came, in order.
type moments []time.Time

// before is the last one that is not after a moment.
func (m moments) before(at time.Time) (time.Time, bool) {
	for _, moment := range slices.Backward(m) {
		if !moment.After(at) {
			return moment, true
		}
	}
	return time.Time{}, false
}

// exactly is a segment itself.
func exactly(s segment.Segment) arrival { return arrival{client: s.Src, whole: s.String()} }

// causes are the segments that a SYN-ACK or RST may be for; none for any other.
func causes(reply segment.Segment) []arrival {
	switch {
	case reply.Flags&segment.RST != 0 && reply.Flags&segment.ACK == 0: // RFC 9293, section 3.5.2
		return []arrival{{client: reply.Dst, number: reply.Seq}}
	case reply.Flags&(segment.RST|segment.SYN) != 0:
		return []arrival{{client: reply.Dst, number: reply.Ack}}
	}
	return nil
}

// arrivalsOf says when segments came, each by all that it is known by.
func arrivalsOf(packets []capture.Packet) map[arrival]moments {
	came := map[arrival]moments{}
	for _, p := range packets {
		s := p.Decode().Segment
		for _, known := range []arrival{exactly(s), {client: s.Src, number: s.Next()}, {client: s.Src, number: s.Ack}} {
			came[known] = append(came[known], p.Time)
		}
	}
	return came
}

// answerAt is an answer with the epoch that the stack had taken last.
func answerAt(held []claim, stack string, at time.Time, what capture.Packet) answer {
	a := answer{at: at, stack: stack, what: what}
	for _, c := range held {
		if c.stack == stack && !c.at.After(at) {
			a.epoch = max(a.epoch, c.epoch)
			if !c.seen.After(at) {
				a.sure = max(a.sure, c.epoch)
			}
		}
	}
	return a
}

// stale are the answers that came after one of a later epoch. A stack may take an epoch back; then its answers count for that.
func stale(answers []answer) []string {
	var found []string
	var latest answer
	for _, a := range answers {
		if a.epoch < latest.sure || a.epoch == 0 {
			found = append(found, fmt.Sprintf("%v\n    after %v", a, latest))
			continue
		}
		if a.sure >= latest.sure {
			latest = a
		}
	}
	return found
}

// changes is how often who answers changed.
func changes(answers []answer) int {
	n := 0
	for i, a := range answers {
		if i > 0 && a.epoch != answers[i-1].epoch {
			n++
		}
	}
	return n
}

// mostPasses is how often a packet passes XCF links where everything goes well: from the owner to the target, or from a stack
// without a link to the outside to one that has one; a packet that begins inside, to the owner and on.
const mostPasses = 2

// loops are the packets of a service that have passed XCF links more than mostPasses times, as their TTL tells: it begins
// with 64, the router takes one of a packet from the network, and each stack that forwards it takes one.
func loops(s *trial.SystemTrial, service netip.AddrPort) []capture.Packet {
	const begin = 64
	var found []capture.Packet
	for _, stack := range s.Stacks() {
		for _, p := range s.Capture.On(stack + "/xcf0").Sent().Packets() {
			d := p.Decode()
			if d.Kind != segment.TCP {
				continue
			}
			passes := begin - int(d.Segment.TTL) // of a packet that a stack of the plex sent, less one
			if d.Segment.Src == service {
				passes++
			} else {
				passes-- // the router's
			}
			if passes > mostPasses {
				found = append(found, p)
			}
		}
	}
	slices.SortFunc(found, func(a, b capture.Packet) int { return a.Time.Compare(b.Time) })
	return found
}

// detours are the packets to a service that a stack has sent to the network, as a router that does not know that they were for
// it, or for who follows it.
func detours(s *trial.SystemTrial, service netip.AddrPort) []capture.Packet {
	var found []capture.Packet
	for _, stack := range s.Stacks() {
		found = append(found, s.Capture.On(stack+"/ext0").Sent().Matching(segment.Pattern{Dst: service})...)
	}
	slices.SortFunc(found, func(a, b capture.Packet) int { return a.Time.Compare(b.Time) })
	return found
}

// first shows some of what may be many.
func first(all []string) string {
	const shown = 10
	return strings.Join(all[:min(len(all), shown)], "\n")
}
