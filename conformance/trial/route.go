package trial

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"

	"github.com/onsi/ginkgo/v2"
	"github.com/onsi/gomega"

	"github.com/plexlab-dev/plexlab/harness/capture"
	"github.com/plexlab-dev/plexlab/harness/segment"
	"github.com/plexlab-dev/plexlab/harness/verdict"
	"github.com/plexlab-dev/plexlab/nodes/contract"
)

// MarkerPort is the port of DVA1 that markers use; no service of a spec may have it.
const MarkerPort = 9

// SetMarker gives each partner a connection to DVA1 that serves as a marker: a segment of it that
// is sent after a stimulus comes to the partner after whatever the stimulus causes there.
func (u *UnitTrial) SetMarker(partners ...*Partner) {
	ginkgo.GinkgoHelper()
	for _, p := range partners {
		p.marker = contract.Connection{Remote: u.From(), Local: u.family.At(MarkerPort)}
		p.Say(p.NEWCONN(p.marker))
		u.EventuallyFollows(segment.NewACK(p.marker.Remote, p.marker.Local, 1, 1), p)
	}
}

// mark sends a segment of the marker.
func (p *Partner) mark() segment.Pattern {
	ginkgo.GinkgoHelper()
	if !p.marker.Remote.IsValid() {
		verdict.Engine(errors.New("it has no marker"), "mark the way to %s", p.Link)
	}
	p.trial.Send(segment.NewACK(p.marker.Remote, p.marker.Local, 1, 1))
	return segment.Pattern{Src: p.marker.Remote, Dst: p.marker.Local}
}

// Unique is what the partner says when listening on a unique port begins or ends there.
func (p *Partner) Unique(service netip.AddrPort, listening bool) contract.SRVSTAT {
	m := p.SRVSTAT(service, listening)
	m.Unique = true
	return m
}

// Of is the connection that a segment from the network belongs to.
func Of(s segment.Segment) contract.Connection {
	return contract.Connection{Remote: s.Src, Local: s.Dst}
}

// Self stands for the stack under test among those that take a request.
const Self = "the stack under test"

// Takes sends a SYN and returns who takes it: the link of the partner that it is forwarded to,
// or Self where the stack under test accepts the connection itself.
func (u *UnitTrial) Takes(syn segment.Segment, partners ...*Partner) string {
	ginkgo.GinkgoHelper()
	views := map[string]capture.View{Self: u.Capture.On(u.OutsideLink).Sent()}
	for _, p := range partners {
		views[p.Link] = u.Capture.On(p.Link).Received()
	}
	mark := u.Capture.Mark()
	u.Send(syn)
	u.ExpectArrived(syn)

	limit, cancel := context.WithCancel(u.Soon())
	defer cancel()
	type seen struct {
		by  string
		err error
	}
	all := make(chan seen, len(views))
	for by, view := range views {
		var match capture.Match = segment.Connect(syn.Src, syn.Dst)
		if by == Self {
			match = segment.Pattern{Src: syn.Dst, Dst: syn.Src, Has: segment.SYN | segment.ACK}
		}
		go func() {
			_, err := view.After(mark).As(capture.Attempt).Await(limit, match)
			all <- seen{by, err}
		}()
	}
	var failed []error
	for range views {
		s := <-all
		if s.err == nil {
			return s.by
		}
		failed = append(failed, s.err)
	}
	verdict.Mismatch(fmt.Sprintf("%s taken by one of %v", syn, slices.Sorted(maps.Keys(views))), errors.Join(failed...).Error())
	return ""
}

// Shares sends n SYNs to a service, each from another port and each when the one before has been
// taken, and counts who took them (Takes).
func (u *UnitTrial) Shares(service netip.AddrPort, n int, partners ...*Partner) map[string]int {
	ginkgo.GinkgoHelper()
	shares := map[string]int{}
	for range n {
		shares[u.Takes(segment.NewSYN(u.From(), service), partners...)]++
	}
	return shares
}

// EventuallyServed sends SYNs to a service, each from another port, until the stack under test
// accepts one itself, and returns that one.
func (u *UnitTrial) EventuallyServed(service netip.AddrPort) segment.Segment {
	ginkgo.GinkgoHelper()
	return u.repeat(fmt.Sprintf("a SYN to %s accepted by %s", service, u.Stack),
		func() (segment.Segment, capture.View, capture.Match) {
			syn := segment.NewSYN(u.From(), service)
			answer := segment.Pattern{Src: syn.Dst, Dst: syn.Src, Has: segment.SYN | segment.ACK}
			return syn, u.Capture.On(u.OutsideLink).Sent(), answer
		})
}

// ExpectAnswer waits for a segment to the client and takes it.
func (u *UnitTrial) ExpectAnswer(match segment.Pattern) segment.Segment {
	ginkgo.GinkgoHelper()
	d, err := u.client.Receive(u.Soon(), match.Match)
	gomega.Expect(err).NotTo(gomega.HaveOccurred())
	return d.Segment
}

// SendPacket sends an IP packet from the client.
func (u *UnitTrial) SendPacket(destination netip.Addr, packet []byte) {
	ginkgo.GinkgoHelper()
	verdict.Engine(u.client.SendPacket(u.Soon(), destination, packet), "send a packet to %s", destination)
}

// ExpectReceived guards a verdict as ExpectArrived does, for what is no segment.
func (u *UnitTrial) ExpectReceived(stimulus capture.Match) {
	ginkgo.GinkgoHelper()
	_, err := u.Capture.On(u.OutsideLink).Received().As(capture.Stimulus).Await(u.Soon(), stimulus)
	verdict.Stimulus(err, "%s at %s", stimulus, u.OutsideLink)
}

// ExpectKept sends a segment and expects that it is forwarded to none of the partners, which have
// markers.
func (u *UnitTrial) ExpectKept(s segment.Segment, partners ...*Partner) {
	ginkgo.GinkgoHelper()
	mark := u.Capture.Mark()
	u.Send(s)
	u.ExpectArrived(s)
	u.ExpectAbsent(mark, segment.Pattern{Src: s.Src, Dst: s.Dst}, partners...)
}

// ExpectAbsent expects that nothing of the description has come to one of the partners, which have
// markers, since a moment, and that nothing is on its way.
func (u *UnitTrial) ExpectAbsent(since capture.Mark, unwanted capture.Match, partners ...*Partner) {
	ginkgo.GinkgoHelper()
	for _, p := range partners {
		marker := p.mark()
		err := u.Capture.On(p.Link).Received().After(since).NoneBefore(u.Soon(), unwanted, marker)
		gomega.Expect(err).NotTo(gomega.HaveOccurred())
	}
}

// Drain waits until whatever was sent so far has come to the partners, which have markers.
func (u *UnitTrial) Drain(partners ...*Partner) {
	ginkgo.GinkgoHelper()
	for _, p := range partners {
		begin := u.Capture.Mark()
		_, err := u.Capture.On(p.Link).Received().After(begin).As(capture.Stimulus).Await(u.Soon(), p.mark())
		verdict.Stimulus(err, "marker on the way to %s", p.Link)
	}
}

// ExpectSilence expects that since a moment the stack under test has sent nothing of the
// description to the network, and that nothing is on its way: a segment that it has to answer
// with RST is the marker.
func (u *UnitTrial) ExpectSilence(since capture.Mark, unwanted capture.Match) {
	ginkgo.GinkgoHelper()
	stray := segment.NewACK(u.From(), u.family.At(MarkerPort), 1, 1)
	u.Send(stray)
	answer := segment.Pattern{Src: stray.Dst, Dst: stray.Src, Has: segment.RST}
	err := u.Capture.On(u.OutsideLink).Sent().After(since).NoneBefore(u.Soon(), unwanted, answer)
	gomega.Expect(err).NotTo(gomega.HaveOccurred())
}
