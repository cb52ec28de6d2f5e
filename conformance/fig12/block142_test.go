package fig12

import (
	. "github.com/onsi/ginkgo/v2"

	"github.com/plexlab-dev/plexlab/conformance/requirements"
	"github.com/plexlab-dev/plexlab/conformance/trial"
	"github.com/plexlab-dev/plexlab/harness/segment"
)

var _ = trial.DescribeFamilies("block 142: a packet whose 4-tuple is not in the table", func(f trial.Family) {
	at := f.At
	service := at(80) // what most specs distribute

	// "If not, the communication may be process conventionally (block 152), for example, by passing
	// the communication to the TCP portion of the communication protocol stack."
	//
	// TCP answers a segment for a connection that does not exist with RST, and never answers an
	// RST (RFC 9293, section 3.10.7.1). No target sees any of it, though there are some.
	It("is left to the stack's own TCP unless it is a SYN without ACK",
		requirements.Covers("fig12/142-no->152", "fig12/152->end", "fig12/140-no->142"), func() {
			u := f.Unit(trial.UnitConfig{Profile: allPorts, Partners: []int{2, 3}})
			mvs2, mvs3 := u.Join(2), u.Join(3)
			mvs2.Say(mvs2.SRVSTAT(service, true))
			mvs3.Say(mvs3.Unique(at(4000), true))
			u.EventuallyForwarded(service, mvs2)
			u.EventuallyForwarded(at(4000), mvs3)
			u.SetMarker(mvs2, mvs3)

			for _, flags := range []segment.Flags{
				segment.ACK,
				segment.SYN | segment.ACK,
				segment.FIN | segment.ACK,
				segment.PSH | segment.ACK,
				segment.FIN,
				0,
			} {
				for _, destination := range []uint16{service.Port(), 4000} {
					s := segment.NewACK(u.From(), at(destination), 1, 1)
					s.Flags = flags
					begin := u.Capture.Mark()
					u.ExpectReset(s)
					u.ExpectAbsent(begin, segment.Pattern{Src: s.Src, Dst: s.Dst}, mvs2, mvs3)
				}
			}

			rst := segment.NewRST(u.From(), service, 1)
			begin := u.Capture.Mark()
			u.ExpectKept(rst, mvs2, mvs3)
			u.ExpectSilence(begin, segment.Pattern{Src: rst.Dst, Dst: rst.Src})

			u.ExpectPacketPath(func() { u.ExpectReset(segment.NewACK(u.From(), service, 1, 1)) },
				"fig12/140-no->142", "fig12/142-no->152", "fig12/152->end")
		})
})
