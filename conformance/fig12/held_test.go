package fig12

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/plexlab-dev/plexlab/conformance/requirements"
	"github.com/plexlab-dev/plexlab/conformance/trial"
	"github.com/plexlab-dev/plexlab/harness/segment"
)

var _ = trial.DescribeFamilies("the entry of a connection", func(f trial.Family) {
	at := f.At
	service := at(80) // what most specs distribute

	// "... when either of the connections ends, the VIPA distribution function 23 ... sends a TERMCONN
	// message ... removes the entry from the CRT". A connection has ended when its stack holds
	// nothing of it any more: after both FINs, and after the listener has closed, the last ACK, a
	// FIN that is sent again and what a slow path brings late still go to the target, whose RST or
	// ACK is the only right answer. The routing stack gives none (I3).
	It("stays until the target says that it holds nothing any more",
		requirements.Covers("I3", "I2", "fig12/140-yes->150"), func() {
			u := f.Unit(trial.UnitConfig{Profile: allPorts, Partners: []int{2, 3}})
			mvs2, mvs3 := u.Join(2), u.Join(3)
			mvs2.Say(mvs2.SRVSTAT(service, true))
			syn := u.EventuallyForwarded(service, mvs2)
			mvs2.Say(mvs2.SRVSTAT(service, false))
			mvs3.Say(mvs3.SRVSTAT(service, true))
			u.EventuallyForwarded(service, mvs3)

			begin := u.Capture.Mark()
			fin := segment.NewFIN(syn.Src, syn.Dst, syn.Next(), 5001)
			lastACK := segment.NewACK(syn.Src, syn.Dst, fin.Next(), 5002)
			late := segment.NewData(syn.Src, syn.Dst, syn.Next()-1, 5001, []byte("late"))
			for _, s := range []segment.Segment{fin, lastACK, fin, late, lastACK} {
				u.ExpectForwarded(s, mvs2)
			}
			u.ExpectSilence(begin, segment.Pattern{Src: syn.Dst, Dst: syn.Src})
		})

	// A client may use its address and port again at once. TERMCONN of the connection before may
	// come before the new SYN or after it; neither way does the new connection lose its target, nor
	// get one that listens no more.
	It("makes way for the next connection of the same addresses and ports, and for that alone",
		requirements.Covers("fig12/140-yes->150", "fig12/145-yes->144"), func() {
			u := f.Unit(trial.UnitConfig{Profile: allPorts, Partners: []int{2, 3}})
			mvs2, mvs3 := u.Join(2), u.Join(3)
			mvs2.Say(mvs2.SRVSTAT(service, true))
			syn := u.EventuallyForwarded(service, mvs2)
			mvs2.Say(mvs2.SRVSTAT(service, false))
			mvs3.Say(mvs3.SRVSTAT(service, true))
			u.EventuallyForwarded(service, mvs3)

			mvs2.Say(mvs2.TERMCONN(trial.Of(syn)))
			u.Settled(mvs2)
			syn.Seq += 1 << 20
			Expect(u.Takes(syn, mvs2, mvs3)).To(Equal(mvs3.Link))

			// MVS2 says it once more, too late: what is there now is not its own.
			mvs2.Say(mvs2.TERMCONN(trial.Of(syn)))
			u.Settled(mvs2)
			u.ExpectForwarded(segment.NewACK(syn.Src, syn.Dst, syn.Next(), 1), mvs3)

			// Two uses at one target: TERMCONN of the first, under way while the SYN of the second
			// went the other way, does not end the second.
			syn.Seq += 1 << 20
			u.ExpectForwarded(syn, mvs3)
			mvs3.Say(mvs3.TERMCONN(trial.Of(syn)))
			u.Settled(mvs3)
			u.ExpectForwarded(segment.NewACK(syn.Src, syn.Dst, syn.Next(), 1), mvs3)

			// The same there and back: what follows a SYN goes where that went, not where one before it had gone.
			before := mvs3
			for _, next := range []*trial.Partner{mvs2, mvs3} {
				before.Say(before.SRVSTAT(service, false))
				next.Say(next.SRVSTAT(service, true))
				u.EventuallyForwarded(service, next)
				for range 2 {
					syn.Seq += 1 << 20
					u.ExpectForwarded(syn, next)
				}
				next.Say(next.TERMCONN(trial.Of(syn)))
				u.Settled(next)
				u.ExpectForwarded(segment.NewACK(syn.Src, syn.Dst, syn.Next(), 1), next)
				before = next
			}
		})
})
