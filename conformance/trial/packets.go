package trial

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/onsi/ginkgo/v2"
	"github.com/onsi/gomega"

	"github.com/plexlab-dev/plexlab/harness/capture"
	"github.com/plexlab-dev/plexlab/harness/segment"
	"github.com/plexlab-dev/plexlab/harness/verdict"
)

// tryEvery is the time between two attempts where the implementation is asked until it has
// taken in what a partner said: messages are not acknowledged.
const tryEvery = 10 * time.Millisecond

// ExpectArrived guards a verdict: the stimulus was received by the stack under test.
func (u *UnitTrial) ExpectArrived(s segment.Segment) {
	ginkgo.GinkgoHelper()
	pattern := segment.Pattern{Src: s.Src, Dst: s.Dst, Has: s.Flags}
	_, err := u.Capture.On(u.OutsideLink).Received().As(capture.Stimulus).Await(u.Soon(), pattern)
	verdict.Stimulus(err, "%s at %s", s, u.OutsideLink)
}

// ExpectForwarded sends a segment and expects it at the partner.
func (u *UnitTrial) ExpectForwarded(s segment.Segment, to *Partner) {
	ginkgo.GinkgoHelper()
	mark := u.Capture.Mark()
	u.Send(s)
	u.ExpectArrived(s)
	pattern := segment.Pattern{Src: s.Src, Dst: s.Dst, Has: s.Flags}
	_, err := u.Capture.On(to.Link).Received().After(mark).Await(u.Soon(), pattern)
	gomega.Expect(err).NotTo(gomega.HaveOccurred())
}

// ExpectReset sends a segment and expects that the stack under test answers with RST itself.
func (u *UnitTrial) ExpectReset(s segment.Segment) {
	ginkgo.GinkgoHelper()
	mark := u.Capture.Mark()
	u.Send(s)
	u.ExpectArrived(s)
	answer := segment.Pattern{Src: s.Dst, Dst: s.Src, Has: segment.RST}
	_, err := u.Capture.On(u.OutsideLink).Sent().After(mark).Await(u.Soon(), answer)
	gomega.Expect(err).NotTo(gomega.HaveOccurred())
}

// ExpectServed sends a SYN and expects that the stack under test answers with SYN and ACK itself.
func (u *UnitTrial) ExpectServed(syn segment.Segment) {
	ginkgo.GinkgoHelper()
	mark := u.Capture.Mark()
	u.Send(syn)
	u.ExpectArrived(syn)
	answer := segment.Pattern{Src: syn.Dst, Dst: syn.Src, Has: segment.SYN | segment.ACK}
	_, err := u.Capture.On(u.OutsideLink).Sent().After(mark).Await(u.Soon(), answer)
	gomega.Expect(err).NotTo(gomega.HaveOccurred())
}

// EventuallyForwarded sends SYNs to a service, each from another port, until one arrives at the
// partner, and returns that one: the stack under test has made the partner a target.
func (u *UnitTrial) EventuallyForwarded(service netip.AddrPort, to *Partner) segment.Segment {
	ginkgo.GinkgoHelper()
	return u.repeat(fmt.Sprintf("a SYN to %s forwarded to %s", service, to.Link),
		func() (segment.Segment, capture.View, capture.Match) {
			syn := segment.NewSYN(u.From(), service)
			return syn, u.Capture.On(to.Link).Received(), segment.Connect(syn.Src, syn.Dst)
		})
}

// EventuallyReset sends SYNs to a service, each from another port, until the stack under test
// answers one with RST itself: nobody is a target any more.
func (u *UnitTrial) EventuallyReset(service netip.AddrPort) segment.Segment {
	ginkgo.GinkgoHelper()
	return u.repeat(fmt.Sprintf("a SYN to %s answered with RST by %s", service, u.Stack),
		func() (segment.Segment, capture.View, capture.Match) {
			syn := segment.NewSYN(u.From(), service)
			return syn, u.Capture.On(u.OutsideLink).Sent(), segment.Pattern{Src: syn.Dst, Dst: syn.Src, Has: segment.RST}
		})
}

// repeat sends the segment of each attempt until its sign is seen, and returns that segment.
func (u *UnitTrial) repeat(what string, attempt func() (segment.Segment, capture.View, capture.Match)) segment.Segment {
	ginkgo.GinkgoHelper()
	limit := u.Soon()
	for {
		mark := u.Capture.Mark()
		s, view, sign := attempt()
		u.Send(s)
		trying, cancel := context.WithTimeout(limit, tryEvery)
		_, err := view.After(mark).As(capture.Attempt).Await(trying, sign)
		cancel()
		switch {
		case err == nil:
			return s
		case !errors.Is(err, context.DeadlineExceeded):
			verdict.Engine(err, "watch for %s", what)
		case limit.Err() != nil:
			verdict.Mismatch(what+" within "+Limit().String(), err.Error())
		}
	}
}

// EventuallyFollows sends a segment again and again until it arrives at the partner: the stack
// under test has taken in that the partner holds the connection.
func (u *UnitTrial) EventuallyFollows(s segment.Segment, to *Partner) {
	ginkgo.GinkgoHelper()
	u.repeat(fmt.Sprintf("%s forwarded to %s", s, to.Link), func() (segment.Segment, capture.View, capture.Match) {
		return s, u.Capture.On(to.Link).Received(), segment.Pattern{Src: s.Src, Dst: s.Dst, Has: s.Flags}
	})
}

// EventuallyAnswered sends a segment again and again until the stack under test answers it with
// RST itself: nobody holds the connection any more.
func (u *UnitTrial) EventuallyAnswered(s segment.Segment) {
	ginkgo.GinkgoHelper()
	u.repeat(fmt.Sprintf("%s answered with RST by %s", s, u.Stack), func() (segment.Segment, capture.View, capture.Match) {
		return s, u.Capture.On(u.OutsideLink).Sent(), segment.Pattern{Src: s.Dst, Dst: s.Src, Has: segment.RST}
	})
}

// Record records what passes the first interface of a node that is no stack, until the spec ends. It is not part of the evidence.
func (t *Trial) Record(node string) *capture.Capture {
	ginkgo.GinkgoHelper()
	name := node + "/" + t.link(node)
	socket, err := t.Lab.Packet(t.ctx, node, t.link(node))
	verdict.Engine(err, "open packet socket on %s", name)
	recorded, err := capture.Start("", capture.Source{Name: name, Socket: socket, Late: late, Block: block, Ring: fewPackets})
	verdict.Engine(err, "start capture on %s", name)
	ginkgo.DeferCleanup(func() { verdict.Engine(recorded.Stop(), "capture packets on %s", name) })
	return recorded
}
