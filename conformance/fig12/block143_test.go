package fig12

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/plexlab-dev/plexlab/conformance/requirements"
	"github.com/plexlab-dev/plexlab/conformance/trial"
	"github.com/plexlab-dev/plexlab/harness/segment"
)

var _ = trial.DescribeFamilies("block 143: a SYN for a unique port", func(f trial.Family) {
	at := f.At
	service := at(80) // what most specs distribute

	// "If an entry exists for the destination IP address and port in the CRT, that entry is utilized
	// to route the incoming communication to a target stack (block 150)."
	//
	// The port is an ephemeral one (T6), and distribution knows nothing of it; the other ports of
	// the address are distributed as before (T5). What follows the SYN reaches the holder too (I1),
	// even after its listener has closed, since it was the SYN that made the entry.
	It("goes to the holder of the port, and so does everything after it",
		requirements.Covers("fig12/143-yes->150", "fig12/142-yes->143", "I1", "T5", "T6"), func() {
			u := f.Unit(trial.UnitConfig{Profile: allPorts, Partners: []int{2, 3, 4}})
			mvs2, mvs3, mvs4 := u.Join(2), u.Join(3), u.Join(4)
			ephemeral := at(49152)
			mvs2.Say(mvs2.SRVSTAT(service, true))
			mvs4.Say(mvs4.SRVSTAT(service, true))
			u.EventuallyForwarded(service, mvs2)
			u.EventuallyForwarded(service, mvs4)
			u.SetMarker(mvs2, mvs4)
			mvs3.Say(mvs3.Unique(ephemeral, true))
			syn := u.EventuallyForwarded(ephemeral, mvs3)

			u.ExpectPacketPath(func() { u.ExpectForwarded(segment.NewSYN(u.From(), ephemeral), mvs3) },
				"fig12/140-no->142", "fig12/142-yes->143", "fig12/143-yes->150", "fig12/150->end",
				"fig08/802-yes->804", "fig08/804->end")
			begin := u.Capture.Mark()
			for range 4 {
				syn := segment.NewSYN(u.From(), ephemeral)
				u.ExpectForwarded(syn, mvs3)
				u.ExpectForwarded(segment.NewACK(syn.Src, syn.Dst, syn.Next(), 1), mvs3)
				u.ExpectForwarded(segment.NewFIN(syn.Src, syn.Dst, syn.Next(), 1), mvs3)
			}
			u.ExpectAbsent(begin, segment.Pattern{Dst: ephemeral}, mvs2, mvs4)
			Expect(u.Shares(service, 6, mvs2, mvs3, mvs4)).To(Equal(map[string]int{mvs2.Link: 3, mvs4.Link: 3}))

			mvs3.Say(mvs3.Unique(ephemeral, false))
			u.EventuallyReset(ephemeral)
			u.ExpectForwarded(segment.NewACK(syn.Src, syn.Dst, syn.Next(), 1), mvs3)
		})

	// "... unique ports may be individually identified as they are utilized and workload
	// distribution may be bypassed for these ports."
	It("bypasses the distribution of that very port while it is unique",
		requirements.Covers("fig12/143-yes->150", "fig12/143-no->145", "T12"), func() {
			u := f.Unit(trial.UnitConfig{Profile: allPorts, Partners: []int{2, 3, 4}})
			mvs2, mvs3, mvs4 := u.Join(2), u.Join(3), u.Join(4)
			for _, p := range []*trial.Partner{mvs2, mvs4} {
				p.Say(p.SRVSTAT(service, true))
				u.EventuallyForwarded(service, p)
			}
			before := segment.NewSYN(u.From(), service)
			holder := u.Takes(before, mvs2, mvs4)

			mvs3.Say(mvs3.Unique(service, true))
			u.EventuallyForwarded(service, mvs3)
			Expect(u.Shares(service, 4, mvs2, mvs3, mvs4)).To(Equal(map[string]int{mvs3.Link: 4}))
			// An exact entry comes first (140 before 143): the earlier connection stays where it is.
			Expect(u.Takes(before, mvs2, mvs3, mvs4)).To(Equal(holder))

			mvs3.Say(mvs3.Unique(service, false))
			u.Settled(mvs3)
			Expect(u.Shares(service, 4, mvs2, mvs3, mvs4)).To(Equal(map[string]int{mvs2.Link: 2, mvs4.Link: 2}))
			u.ExpectPacketPath(func() { u.Takes(segment.NewSYN(u.From(), service), mvs2, mvs4) },
				"fig12/140-no->142", "fig12/142-yes->143", "fig12/143-no->145", "fig12/145-yes->144",
				"fig12/144->146", "fig12/146->150", "fig12/150->end",
				"fig08/802-no->806", "fig08/806-yes->810", "fig08/810->812", "fig08/812->end")
		})
})
