package fig12

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/plexlab-dev/plexlab/conformance/requirements"
	"github.com/plexlab-dev/plexlab/conformance/trial"
	"github.com/plexlab-dev/plexlab/harness/capture"
	"github.com/plexlab-dev/plexlab/harness/segment"
)

var _ = trial.DescribeFamilies("block 140: a packet whose 4-tuple is in the table", func(f trial.Family) {
	at := f.At
	service := at(80) // what most specs distribute

	// "If an entry exists for the 4-tuple in the CRT, that entry is utilized to route the incoming
	// communication to a target stack (block 150)."
	//
	// Every kind of segment follows the entry, whatever the destination port table says by then;
	// a listener that closed takes no established connection with it (I2).
	It("goes to the target of the entry, also when that listens no more",
		requirements.Covers("fig12/140-yes->150", "fig12/150->end", "I2"), func() {
			u := f.Unit(trial.UnitConfig{Profile: allPorts, Partners: []int{2, 3}})
			mvs2, mvs3 := u.Join(2), u.Join(3)
			mvs2.Say(mvs2.SRVSTAT(service, true))
			syn := u.EventuallyForwarded(service, mvs2)
			mvs2.Say(mvs2.SRVSTAT(service, false))
			u.EventuallyReset(service)
			mvs3.Say(mvs3.SRVSTAT(service, true))
			u.EventuallyForwarded(service, mvs3)
			u.SetMarker(mvs3)

			begin := u.Capture.Mark()
			next, expected := syn.Next(), uint32(5001)
			data := segment.NewData(syn.Src, syn.Dst, next, expected, []byte("GET / HTTP/1.1\r\n\r\n"))
			for _, s := range []segment.Segment{
				syn, // once more: the first one may have been lost on the way to the target
				segment.NewACK(syn.Src, syn.Dst, next, expected),
				data,
				segment.NewFIN(syn.Src, syn.Dst, data.Next(), expected),
				segment.NewRST(syn.Src, syn.Dst, data.Next()+1),
			} {
				u.ExpectForwarded(s, mvs2)
			}
			u.ExpectAbsent(begin, segment.Pattern{Src: syn.Src, Dst: syn.Dst}, mvs3)
			u.ExpectSilence(begin, segment.Pattern{Src: syn.Dst, Dst: syn.Src})

			u.ExpectPacketPath(func() { u.ExpectForwarded(data, mvs2) }, "fig12/140-yes->150", "fig12/150->end")
		})

	// An ICMP error belongs to the connection that it quotes: "fragmentation needed" that does not
	// reach the target makes its connection hang for good (RFC 1191, section 4).
	It("goes there also as an ICMP error about the connection",
		requirements.Covers("fig12/140-yes->150"), func() {
			u := f.Unit(trial.UnitConfig{Profile: allPorts, Partners: []int{2, 3}})
			mvs2, mvs3 := u.Join(2), u.Join(3)
			u.SetMarker(mvs2, mvs3)
			mvs3.Say(mvs3.SRVSTAT(service, true))
			syn := u.EventuallyForwarded(service, mvs3)

			begin := u.Capture.Mark()
			tooLong := segment.NewData(syn.Dst, syn.Src, 5001, syn.Next(), []byte("an answer"))
			packet, err := tooLong.TooBig(f.Client, 1400)
			Expect(err).NotTo(HaveOccurred())
			u.SendPacket(f.DVA1, packet)
			about := capture.Where("ICMP error about "+tooLong.String(), func(d segment.Decoded) bool {
				return d.Kind == segment.ICMPError && d.Error.Src == tooLong.Src && d.Error.Dst == tooLong.Dst && d.Error.MTU == 1400
			})
			u.ExpectReceived(about)
			_, err = u.Capture.On(mvs3.Link).Received().After(begin).Await(u.Soon(), about)
			Expect(err).NotTo(HaveOccurred())
			u.ExpectAbsent(begin, about, mvs2)
		})
})
