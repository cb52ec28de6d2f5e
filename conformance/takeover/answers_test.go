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
	epoch uint64 // of the stack, when it answered; 0: it had none yet
	what  capture.Packet
}

func (a answer) String() string {
	return fmt.Sprintf("%s, of epoch %d: %s", a.stack, a.epoch, a.what)
}

// answersTo finds in a capture what the stacks did as owners of a service's DVIPA: they told the network that they have the
// address, they forwarded what came from clients, and they accepted or refused themselves what had not come by XCF. What a
// node does whose stack is dead does not count. In order of time.
func answersTo(s *trial.SystemTrial, service netip.AddrPort, held []claim, ends []ending) []answer {
	var all []answer
	for _, stack := range s.Stacks() {
		tell := func(p capture.Packet) {
			if !slices.ContainsFunc(ends, func(e ending) bool { return e.covers(stack, p.Time) }) {
				all = append(all, answer{at: p.Time, stack: stack, epoch: epochOf(held, stack, p.Time), what: p})
			}
		}
		outside, xcf := s.Capture.On(stack+"/ext0"), s.Capture.On(stack+"/xcf0")
		for _, p := range outside.Sent().Packets() {
			if d := p.Decode(); d.Holder() == service.Addr() {
				tell(p)
			}
		}
		for _, p := range xcf.Sent().Matching(segment.Pattern{Dst: service}) {
			tell(p)
		}
		for _, p := range ownReplies(outside, xcf, service) {
			tell(p)
		}
	}
	slices.SortStableFunc(all, func(a, b answer) int { return a.at.Compare(b.at) })
	return all
}

// ownReplies are the SYN-ACKs and RSTs of a stack for segments that reached it from outside and not by XCF.
func ownReplies(outside, xcf capture.View, service netip.AddrPort) []capture.Packet {
	// provoked is the segment that a reply is for, by client and the number that the reply shows.
	type provoked struct {
		client netip.AddrPort
		number uint32
	}
	direct := map[provoked]bool{}
	for _, p := range outside.Received().Matching(segment.Pattern{Dst: service}) {
		request := p.Decode().Segment
		direct[provoked{request.Src, request.Next()}] = true
		direct[provoked{request.Src, request.Ack}] = true
	}
	for _, p := range xcf.Received().Matching(segment.Pattern{Dst: service}) {
		request := p.Decode().Segment
		delete(direct, provoked{request.Src, request.Next()})
		delete(direct, provoked{request.Src, request.Ack})
	}
	var replies []capture.Packet
	for _, p := range outside.Sent().Matching(segment.Pattern{Src: service}) {
		reply := p.Decode().Segment
		number := reply.Ack
		switch {
		case reply.Flags&segment.RST != 0 && reply.Flags&segment.ACK == 0:
			number = reply.Seq
		case reply.Flags&(segment.RST|segment.SYN) == 0:
			continue
		}
		if direct[provoked{reply.Dst, number}] {
			replies = append(replies, p)
		}
	}
	return replies
}

// epochOf is the epoch that a stack had taken last at a moment.
func epochOf(held []claim, stack string, at time.Time) uint64 {
	epoch := uint64(0)
	for _, c := range held {
		if c.stack == stack && !c.at.After(at) {
			epoch = max(epoch, c.epoch)
		}
	}
	return epoch
}

// stale are the answers that came after one of a later epoch. A stack may take an epoch back; then its answers count for that.
func stale(answers []answer) []string {
	var found []string
	var latest answer
	for _, a := range answers {
		if a.epoch < latest.epoch || a.epoch == 0 {
			found = append(found, fmt.Sprintf("%v\n    after %v", a, latest))
			continue
		}
		latest = a
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

// first shows some of what may be many.
func first(all []string) string {
	const shown = 10
	return strings.Join(all[:min(len(all), shown)], "\n")
}
