package fig08

import (
	"net/netip"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/plexlab-dev/plexlab/conformance/requirements"
	"github.com/plexlab-dev/plexlab/conformance/trial"
	"github.com/plexlab-dev/plexlab/harness/impl"
	"github.com/plexlab-dev/plexlab/harness/segment"
)

var _ = trial.DescribeFamilies("block 806: a request without an entry", func(f trial.Family) {
	at := f.At
	service := at(80) // the distributed service of most specs

	// "If the connection request is to an active distributed port (block 806), the workload
	// distribution function is accessed to select a target for the request (block 810). The
	// connection request is forwarded to the selected target (block 812)."
	DescribeTable("is distributed where the port is an active distributed one",
		func(profile string, port uint16) {
			u := f.Unit(trial.UnitConfig{Profile: profile, Partners: []int{2, 3, 4}})
			targets := []*trial.Partner{u.Join(2), u.Join(3)}
			bystander := u.Join(4)
			for _, p := range targets {
				p.Say(p.SRVSTAT(at(port), true))
				u.Settled(p)
			}
			bystander.Say(bystander.SRVSTAT(at(port+1), true))
			u.Settled(bystander)
			u.SetMarker(targets[0], targets[1], bystander)

			begin := u.Capture.Mark()
			u.ExpectPacketPath(func() { u.Takes(segment.NewSYN(u.From(), at(port)), targets...) },
				"fig08/802-no->806", "fig08/806-yes->810", "fig08/810->812", "fig08/812->end",
				"fig12/140-no->142", "fig12/142-yes->143", "fig12/143-no->145", "fig12/145-yes->144",
				"fig12/144->146", "fig12/146->150", "fig12/150->end")
			shares := u.Shares(at(port), 5, append(targets, bystander)...)
			Expect(shares).To(HaveLen(2))
			for _, p := range targets {
				Expect(shares[p.Link]).To(BeElementOf(2, 3), "requests for %s of five", p.Link)
			}
			u.ExpectAbsent(begin, segment.Pattern{Dst: at(port)}, bystander)
			var copies int
			for _, p := range targets {
				copies += len(u.Capture.On(p.Link).Received().After(begin).Matching(segment.Pattern{Dst: at(port)}))
			}
			Expect(copies).To(Equal(6), "requests that arrived, of six")
			u.ExpectSilence(begin, segment.Pattern{Src: at(port)})
		},
		Entry("enumerated singly",
			requirements.Covers("fig08/806-yes->810", "fig08/810->812", "fig08/802-no->806", "fig08/812->end"),
			enumerated, uint16(80)),
		Entry("enumerated in a range",
			requirements.Covers("fig08/806-yes->810", "fig08/810->812"),
			enumerated, uint16(8004)),
		Entry("any, when none is enumerated",
			requirements.Covers("fig08/806-yes->810", "fig08/810->812"), `
			VIPADynamic
			VIPADEFine MASK DVA1
			VIPADISTribute DVA1 DESTIP ALL
			ENDVIPADynamic`, uint16(12345)),
	)

	// "If not, the connection request is processed in a conventional manner (block 808)": by TCP,
	// which refuses it or has a program of this stack serve it. It makes no difference whether the
	// port is enumerated without a candidate, or not enumerated at all (T4).
	DescribeTable("is processed as without distribution where the port has no candidate",
		func(port uint16) {
			u := f.Unit(trial.UnitConfig{Profile: enumerated, Partners: []int{2}})
			mvs2 := u.Join(2)
			mvs2.Say(mvs2.SRVSTAT(service, true))
			u.EventuallyForwarded(service, mvs2)
			u.SetMarker(mvs2)

			begin := u.Capture.Mark()
			u.ExpectPacketPath(func() { u.ExpectReset(segment.NewSYN(u.From(), at(port))) },
				"fig08/802-no->806", "fig08/806-no->808", "fig08/808->end",
				"fig12/140-no->142", "fig12/142-yes->143", "fig12/143-no->145", "fig12/145-no->152", "fig12/152->end")
			u.Listen(u.Stack, "", netip.AddrPortFrom(f.Any, port))
			u.ExpectServed(segment.NewSYN(u.From(), at(port)))
			u.ExpectAbsent(begin, segment.Pattern{Dst: at(port)}, mvs2)
		},
		Entry("though it is enumerated",
			requirements.Covers("fig08/806-no->808", "fig08/808->end", "fig08/802-no->806", "T4"), uint16(8009)),
		Entry("and is not enumerated",
			requirements.Covers("fig08/806-no->808", "fig08/808->end", "T4"), uint16(8010)),
	)

	// A candidate that has left again leaves nothing to be distributed.
	It("is processed as without distribution once the last candidate has left",
		requirements.Covers("fig08/806-no->808"), func() {
			u := f.Unit(trial.UnitConfig{Profile: enumerated, Partners: []int{2, 3}})
			mvs2, mvs3 := u.Join(2), u.Join(3)
			for _, p := range []*trial.Partner{mvs2, mvs3} {
				p.Say(p.SRVSTAT(service, true))
				u.EventuallyForwarded(service, p)
			}
			mvs2.Say(mvs2.SRVSTAT(service, false))
			u.Settled(mvs2)
			Expect(u.Shares(service, 3, mvs2, mvs3)).To(Equal(map[string]int{mvs3.Link: 3}))
			mvs3.Say(mvs3.SRVSTAT(service, false))
			u.Settled(mvs3)
			u.ExpectReset(segment.NewSYN(u.From(), service))
		})

	// A port that is not enumerated has a candidate where the socket names the address, in the
	// embodiment that bypasses the enumeration (Figure 5, 502-no->514); in the other one it has none
	// whatever a partner says. An implementation may have one of the two alone, so that no
	// requirement depends on the other.
	DescribeTable("for a port that is not enumerated but has a candidate",
		func(variant impl.Variant, distributed bool) {
			u := f.Unit(trial.UnitConfig{Profile: enumerated, Variant: variant, Partners: []int{2}})
			mvs2 := u.Join(2)
			mvs2.Say(mvs2.SRVSTAT(at(9000), true))
			u.Settled(mvs2)
			if distributed {
				u.ExpectForwarded(segment.NewSYN(u.From(), at(9000)), mvs2)
			} else {
				u.SetMarker(mvs2)
				u.ExpectKept(segment.NewSYN(u.From(), at(9000)), mvs2)
			}
		},
		Entry("is distributed with the bypass", impl.SpecifiedAddressBypass, true),
		Entry("is processed as without distribution by enumeration alone", impl.EnumeratedOnly, false),
	)
})
