package fig08

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/plexlab-dev/plexlab/conformance/requirements"
	"github.com/plexlab-dev/plexlab/conformance/trial"
	"github.com/plexlab-dev/plexlab/harness/segment"
)

var _ = trial.DescribeFamilies("block 802: a request with an entry in the routing table", func(f trial.Family) {
	at := f.At
	service := at(80) // the distributed service of most specs

	// "... it is determined if a routing table entry already exists for the destination IP address
	// and port (e.g., the port is a cluster-wide unique port) (block 802). ... If so, the routing
	// table is utilized to route the connection request to the target (block 804)."
	//
	// Distribution is not asked: its turn is the same as before the request.
	It("goes to the holder of a unique port, past distribution",
		requirements.Covers("fig08/802-yes->804", "fig08/804->end", "T5", "T12"), func() {
			u := f.Unit(trial.UnitConfig{Profile: enumerated, Partners: []int{2, 3, 4}})
			mvs2, mvs3, mvs4 := u.Join(2), u.Join(3), u.Join(4)
			unique := at(8001) // overlaps with the enumerated ports
			mvs2.Say(mvs2.SRVSTAT(service, true), mvs2.SRVSTAT(unique, true))
			mvs3.Say(mvs3.SRVSTAT(service, true))
			mvs4.Say(mvs4.Unique(unique, true))
			for _, p := range []*trial.Partner{mvs2, mvs3, mvs4} {
				u.Settled(p)
			}
			u.SetMarker(mvs2, mvs3)

			begin := u.Capture.Mark()
			var turns []string
			for range 4 {
				turns = append(turns, u.Takes(segment.NewSYN(u.From(), service), mvs2, mvs3))
				u.ExpectForwarded(segment.NewSYN(u.From(), unique), mvs4)
			}
			Expect(turns[:2]).To(ConsistOf(mvs2.Link, mvs3.Link))
			Expect(turns[2:]).To(Equal(turns[:2]), "turns of distribution between requests for the unique port")
			u.ExpectAbsent(begin, segment.Pattern{Dst: unique}, mvs2, mvs3)
			u.ExpectSilence(begin, segment.Pattern{Src: unique})

			u.ExpectPacketPath(func() { u.ExpectForwarded(segment.NewSYN(u.From(), unique), mvs4) },
				"fig08/802-yes->804", "fig08/804->end",
				"fig12/140-no->142", "fig12/142-yes->143", "fig12/143-yes->150", "fig12/150->end")
		})

	// "... a first search looks for an exact match of the 4-tuple and a subsequent search looks for a
	// partial match": a SYN that is sent once more finds the entry of the first one, though the port
	// has become unique to another stack meanwhile.
	It("goes where its own connection is, before the holder of a unique port",
		requirements.Covers("fig08/802-yes->804", "fig08/804->end"), func() {
			u := f.Unit(trial.UnitConfig{Profile: enumerated, Partners: []int{2, 3}})
			mvs2, mvs3 := u.Join(2), u.Join(3)
			mvs2.Say(mvs2.SRVSTAT(service, true))
			syn := u.EventuallyForwarded(service, mvs2)
			mvs3.Say(mvs3.Unique(service, true))
			u.EventuallyForwarded(service, mvs3)
			u.SetMarker(mvs3)

			begin := u.Capture.Mark()
			u.ExpectPacketPath(func() { u.ExpectForwarded(syn, mvs2) },
				"fig08/802-yes->804", "fig08/804->end", "fig12/140-yes->150", "fig12/150->end")
			u.ExpectAbsent(begin, segment.Connect(syn.Src, syn.Dst), mvs3)
		})
})
