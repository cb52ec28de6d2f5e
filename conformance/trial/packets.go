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
	_, err := u.Capture.On(u.OutsideLink).Received().Await(u.Soon(), pattern)
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
	return u.eventually(service, fmt.Sprintf("a SYN to %s forwarded to %s", service, to.Link),
		func(syn segment.Segment) (capture.View, capture.Match) {
			return u.Capture.On(to.Link).Received(), segment.Connect(syn.Src, syn.Dst)
		})
}

// EventuallyReset sends SYNs to a service, each from another port, until the stack under test
// answers one with RST itself: nobody is a target any more.
func (u *UnitTrial) EventuallyReset(service netip.AddrPort) segment.Segment {
	ginkgo.GinkgoHelper()
	return u.eventually(service, fmt.Sprintf("a SYN to %s answered with RST by %s", service, u.Stack),
		func(syn segment.Segment) (capture.View, capture.Match) {
			return u.Capture.On(u.OutsideLink).Sent(), segment.Pattern{Src: syn.Dst, Dst: syn.Src, Has: segment.RST}
		})
}

func (u *UnitTrial) eventually(service netip.AddrPort, what string, sign func(segment.Segment) (capture.View, capture.Match)) segment.Segment {
	ginkgo.GinkgoHelper()
	limit := u.Soon()
	for {
		syn := segment.NewSYN(u.From(), service)
		mark := u.Capture.Mark()
		u.Send(syn)
		view, match := sign(syn)
		attempt, cancel := context.WithTimeout(limit, tryEvery)
		_, err := view.After(mark).Await(attempt, match)
		cancel()
		switch {
		case err == nil:
			return syn
		case !errors.Is(err, context.DeadlineExceeded):
			verdict.Engine(err, "watch for %s", what)
		case limit.Err() != nil:
			verdict.Mismatch(what+" within "+Limit.String(), err.Error())
		}
	}
}
