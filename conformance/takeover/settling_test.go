package takeover

import (
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/plexlab-dev/plexlab/conformance/requirements"
	"github.com/plexlab-dev/plexlab/conformance/trial"
	"github.com/plexlab-dev/plexlab/harness/segment"
	"github.com/plexlab-dev/plexlab/nodes/contract"
)

// An heir is a stack under test, MVS5, that has taken DVA1 over from MVS1 a moment ago; MVS2 and MVS3 have
// not answered its list yet.
type heir struct {
	*trial.UnitTrial
	f          trial.Family
	mvs2, mvs3 *trial.Partner
	taken      time.Time // when it had taken over
}

// maximum is the stated one of the time in which what matches nothing is dropped (I20).
const maximum = 2 * time.Second

func newHeir(f trial.Family) *heir {
	GinkgoHelper()
	u := f.Unit(trial.UnitConfig{Self: 5, Profile: backsUp(""), Partners: []int{1, 2, 3}})
	h := &heir{UnitTrial: u, f: f}
	mvs1 := u.Join(1)
	h.mvs2, h.mvs3 = u.Join(2), u.Join(3)
	kept := primary(f, f.DVA1, epoch, stacks(f, 1, 2, 3))
	kept.ClusterPorts, kept.Distribution.Ports = true, []contract.PortRange{trial.Only(60)}
	mvs1.Tell(kept)
	mvs1.Close()
	h.mvs2.ExpectMessage(owns(epoch, f.DVA1))
	h.mvs3.ExpectMessage(owns(epoch, f.DVA1))
	h.taken = time.Now()
	_, err := u.Client().Resolve(u.Soon(), f.DVA1)
	Expect(err).NotTo(HaveOccurred())
	return h
}

// expectDropped expects that a segment is neither answered nor forwarded.
func (h *heir) expectDropped(segments ...segment.Segment) {
	GinkgoHelper()
	for _, s := range segments {
		expectDropped(h.UnitTrial, h.f, 5, s)
	}
}

// ack is a segment of a connection to a port of DVA1 that the stack under test has not heard of.
func (h *heir) ack(port uint16) segment.Segment {
	return segment.NewACK(h.From(), h.f.At(port), 7, 9)
}

var _ = trial.DescribeFamilies("who has taken over", func(f trial.Family) {
	// "Such a connection message may allow for movement of connections between routing protocol stacks, for
	// example, to recover from a failure of a routing protocol stack" (T28). What MVS2 and MVS3 hold is in
	// the tables as soon as they have told it: connections from the network and to it, unique ports,
	// listeners. What matches nothing is dropped, without an RST that would end connections which are
	// still to be told of (I20), until both have ended their lists. What MVS1 served itself is told to have
	// ended then (I20).
	It("has its tables from those who live, and drops silently what matches nothing until all have told theirs",
		requirements.Covers("I20", "T28", "T5", "T31", "fig13/160-NEWCONN->164", "fig13/165-yes->167", "fig13/165-no->166"), func() {
			h := newHeir(f)
			onMVS2, onMVS3, ofMVS1 := h.ack(60), h.ack(60), h.ack(60)
			outbound := segment.Segment{Src: trial.At(f.Client, 9000), Dst: f.At(5001), Flags: segment.SYN | segment.ACK, Seq: 1, Ack: 2}
			request, unused := segment.NewSYN(h.From(), f.At(60)), f.At(4000)
			h.expectDropped(onMVS2, onMVS3, ofMVS1, outbound, request, segment.NewSYN(h.From(), unused))

			By("MVS2 tells what it holds")
			h.mvs2.Say(h.mvs2.NEWCONN(trial.Of(onMVS2)), h.mvs2.NEWCONN(trial.Of(outbound)), h.mvs2.Unique(f.At(5000), true), contract.EndOfList{})
			h.EventuallyForwarded(f.At(5000), h.mvs2)
			h.EventuallyFollows(onMVS2, h.mvs2)
			h.EventuallyFollows(outbound, h.mvs2)
			h.expectDropped(onMVS3, ofMVS1, segment.NewSYN(h.From(), f.At(60)), segment.NewSYN(h.From(), unused))

			By("MVS3 tells what it holds")
			early := time.Since(h.taken) < maximum/2
			h.mvs3.Say(h.mvs3.NEWCONN(trial.Of(onMVS3)), h.mvs3.SRVSTAT(f.At(60), true), contract.EndOfList{})
			h.EventuallyAnswered(ofMVS1)
			if early { // on a machine that is busy the maximum may be over by itself
				Expect(time.Since(h.taken)).To(BeNumerically("<", maximum), "time until all had told theirs and it was over")
			}
			h.EventuallyReset(unused)
			h.ExpectForwarded(onMVS2, h.mvs2)
			h.ExpectForwarded(onMVS3, h.mvs3)
			h.ExpectForwarded(segment.NewSYN(h.From(), f.At(60)), h.mvs3)
		})

	// Nor does a stack that never ends its list keep clients from their RST for ever: the time is bounded.
	It("waits for lists no longer than the stated maximum", requirements.Covers("I20"), func() {
		h := newHeir(f)
		h.mvs2.Say(contract.EndOfList{})
		ofMVS1 := h.ack(60)
		h.expectDropped(ofMVS1)
		h.EventuallyAnswered(ofMVS1)
	})

	// One that dies meanwhile tells nothing more: it is not waited for.
	It("does not wait for the dead", requirements.Covers("I20"), func() {
		h := newHeir(f)
		ofMVS1 := h.ack(60)
		h.expectDropped(ofMVS1)
		h.mvs3.Close()
		h.expectDropped(ofMVS1)
		h.mvs2.Say(contract.EndOfList{})
		h.EventuallyAnswered(ofMVS1)
	})
}, Label(forBackups))
