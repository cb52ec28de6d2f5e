package fig12

import (
	"slices"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/plexlab-dev/plexlab/conformance/requirements"
	"github.com/plexlab-dev/plexlab/conformance/trial"
	"github.com/plexlab-dev/plexlab/harness/capture"
	"github.com/plexlab-dev/plexlab/harness/segment"
)

var _ = trial.DescribeFamilies("block 140: a packet in fragments", func(f trial.Family) {
	at := f.At
	service := at(80) // what most specs distribute
	// fromClient is what the client sends, markers aside.
	fromClient := capture.Where("anything of the client", func(d segment.Decoded) bool {
		return d.SrcIP == f.Client && d.Segment.Dst.Port() != trial.MarkerPort
	})

	// "... searches its connection routing table to determine if an entry exists for the 4-tuple":
	// a fragment other than the first has none (I21). Here the payload of each such fragment begins
	// with what would be a SYN for a unique port, and then with what would be data of another
	// connection, for whoever takes it for a TCP header.
	//
	// Whoever drops fragments forwards none of them; whoever reassembles forwards all that was sent,
	// whole or cut anew, to the one target that the whole segment belongs to.
	DescribeTable("is given to no target by what looks like its ports",
		func(inEntry bool) {
			u := f.Unit(trial.UnitConfig{Profile: allPorts, Partners: []int{2, 3}})
			mvs2, mvs3 := u.Join(2), u.Join(3)
			mvs2.Say(mvs2.SRVSTAT(service, true))
			mvs3.Say(mvs3.Unique(at(4000), true))
			right := u.EventuallyForwarded(service, mvs2)
			wrong := u.EventuallyForwarded(at(4000), mvs3)
			u.SetMarker(mvs2, mvs3)

			disguise, whole := segment.NewSYN(u.From(), at(4000)), segment.NewSYN(u.From(), service)
			if inEntry {
				disguise = segment.NewACK(wrong.Src, wrong.Dst, wrong.Next(), 1)
				whole = segment.NewACK(right.Src, right.Dst, right.Next(), 1)
				// An option, which has no meaning here, makes both headers as long as those of a SYN.
				disguise.MSS, whole.MSS = segment.DefaultMSS, segment.DefaultMSS
			}
			whole.ID = 4711
			whole.Payload = slices.Repeat(header(disguise), 3)
			fragments := fragmentsOf(whole)

			begin := u.Capture.Mark()
			for _, fragment := range fragments {
				u.SendPacket(f.DVA1, fragment)
			}
			u.ExpectReceived(capture.Where("the last fragment", func(d segment.Decoded) bool {
				return d.Kind == segment.Fragment && d.SrcIP == f.Client && !d.More
			}))
			u.ExpectAbsent(begin, fromClient, mvs3)
			u.ExpectAbsent(begin, segment.Pattern{Src: disguise.Src, Dst: disguise.Dst}, mvs2)
			u.ExpectSilence(begin, segment.Pattern{Src: whole.Dst, Dst: whole.Src})

			arrived := 0
			for _, p := range u.Capture.On(mvs2.Link).Received().After(begin).Matching(fromClient) {
				arrived += p.Length - linkHeader - ipHeader(p.Decode())
			}
			Expect(arrived).To(Or(BeZero(), Equal(tcpHeader+len(whole.Payload))), "bytes of the segment at its target")
		},
		Entry("when it asks for a connection", requirements.Covers("I21"), false),
		Entry("when it belongs to a connection", requirements.Covers("I21", "fig12/140-yes->150"), true),
	)
})

// Lengths of headers; that of TCP is with one option, the maximum segment size.
const (
	linkHeader = 14
	tcpHeader  = 24
)

// ipHeader is the length of what a packet has before its payload: an IP header, and in IPv6 a fragment
// header where it is one.
func ipHeader(d segment.Decoded) int {
	switch {
	case d.SrcIP.Is4():
		return 20
	case d.Kind == segment.Fragment:
		return 40 + 8
	}
	return 40
}

// header is the TCP header of a segment.
func header(s segment.Segment) []byte {
	GinkgoHelper()
	packet, err := s.Packet()
	Expect(err).NotTo(HaveOccurred())
	return packet[len(packet)-tcpHeader:]
}

// fragmentsOf cuts a segment behind its header, and what follows in parts of the same length.
func fragmentsOf(s segment.Segment) [][]byte {
	GinkgoHelper()
	packet, err := s.Packet()
	Expect(err).NotTo(HaveOccurred())
	fragments, err := segment.Fragments(packet, tcpHeader)
	Expect(err).NotTo(HaveOccurred())
	return fragments
}
