package fig12

import (
	"net/netip"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/plexlab-dev/plexlab/conformance/requirements"
	"github.com/plexlab-dev/plexlab/conformance/trial"
	"github.com/plexlab-dev/plexlab/harness/segment"
	"github.com/plexlab-dev/plexlab/harness/verdict"
)

var _ = trial.DescribeFamilies("block 144: a SYN for a port with targets", func(f trial.Family) {
	at := f.At
	service := at(80) // what most specs distribute

	// "If a DPT entry exists (block 145), the VIPA distribution function selects a current actual
	// target for the connection ... utilizing a predefined selection pattern, such as round-robin".
	//
	// Round robin is exact between two changes of the targets: after any number of requests no two
	// targets differ by more than one. Each request reaches the one target that was selected and
	// once (146), and what follows it reaches the same (140). A stack that says twice that it listens,
	// for two servers say, is one target (T13).
	It("is given to the targets in turn",
		requirements.Covers("fig12/145-yes->144", "fig12/144->146", "fig12/146->150", "fig12/150->end", "T30", "T13"), func() {
			u := f.Unit(trial.UnitConfig{Profile: allPorts, Partners: []int{2, 3, 4}})
			partners := []*trial.Partner{u.Join(2), u.Join(3), u.Join(4)}
			for _, p := range partners {
				p.Say(p.SRVSTAT(service, true))
			}
			partners[1].Say(partners[1].SRVSTAT(service, true))
			for _, p := range partners {
				u.Settled(p)
			}
			u.SetMarker(partners...)

			begin := u.Capture.Mark()
			taken := map[string]int{partners[0].Link: 0, partners[1].Link: 0, partners[2].Link: 0}
			var requests []segment.Segment
			for range 10 {
				syn := segment.NewSYN(u.From(), service)
				requests = append(requests, syn)
				by := u.Takes(syn, partners...)
				taken[by]++
				Expect(spread(taken)).To(BeNumerically("<=", 1), "requests taken so far: %v", taken)
				for _, p := range partners {
					if p.Link == by {
						u.ExpectForwarded(segment.NewACK(syn.Src, syn.Dst, syn.Next(), 1), p)
					}
				}
			}
			u.Drain(partners...)
			for _, syn := range requests {
				copies := 0
				for _, p := range partners {
					copies += len(u.Capture.On(p.Link).Received().After(begin).Matching(segment.Connect(syn.Src, syn.Dst)))
				}
				Expect(copies).To(Equal(1), "copies of %s", syn)
			}
			u.ExpectSilence(begin, segment.Pattern{Src: service})

			u.ExpectPacketPath(func() { u.Takes(segment.NewSYN(u.From(), service), partners...) },
				"fig12/140-no->142", "fig12/142-yes->143", "fig12/143-no->145", "fig12/145-yes->144",
				"fig12/144->146", "fig12/146->150", "fig12/150->end",
				"fig08/802-no->806", "fig08/806-yes->810", "fig08/810->812", "fig08/812->end")
		})

	// MVS2 listens all the time, and MVS3 says again and again that it does and that it does not: of
	// the requests that come meanwhile none is refused, and none is lost.
	It("is given to some target also while the targets change",
		requirements.Covers("fig12/145-yes->144", "fig12/146->150"), func() {
			const (
				perChange = 40
				perDrain  = 400 // few enough to wait in the kernel's queue for a slow receiver
			)
			requests := share(f, 20_000)
			u := f.Unit(trial.UnitConfig{Profile: allPorts, Partners: []int{2, 3}})
			mvs2, mvs3 := u.Join(2), u.Join(3)
			mvs2.Say(mvs2.SRVSTAT(service, true))
			u.EventuallyForwarded(service, mvs2)
			u.SetMarker(mvs2, mvs3)

			begin := u.Capture.Mark()
			for n := range requests {
				if n%perChange == 0 {
					mvs3.Say(mvs3.SRVSTAT(service, n%(2*perChange) == 0))
				}
				if n%perDrain == 0 {
					u.Drain(mvs2)
				}
				err := u.Client().Send(u.Context(), segment.NewSYN(u.From(), service))
				verdict.Engine(err, "send request %d", n)
			}
			u.ExpectSilence(begin, segment.Pattern{Src: service})
			u.Drain(mvs2, mvs3)
			taken := map[netip.AddrPort]bool{}
			for _, p := range []*trial.Partner{mvs2, mvs3} {
				for _, request := range u.Capture.On(p.Link).Received().After(begin).Matching(segment.Pattern{Dst: service}) {
					taken[request.Decode().Segment.Src] = true
				}
			}
			Expect(len(taken)).To(Equal(requests), "requests that reached a target")
		})

	// "... weighted round-robin or the like": static weights in DESTIP, exact over each round, which
	// has as many requests as the weights add up to.
	It("is given to each target by its weight", requirements.Covers("fig12/145-yes->144", "T30"), func() {
		u := f.Unit(trial.UnitConfig{
			Profile: `
				VIPADynamic
				VIPADEFine MASK DVA1
				VIPADISTribute DVA1 PORT 80 DESTIP XCF2 WEIGHT 3, XCF3, XCF4 WEIGHT 2
				ENDVIPADynamic`,
			Partners: []int{2, 3, 4},
		})
		mvs2, mvs3, mvs4 := u.Join(2), u.Join(3), u.Join(4)
		for _, p := range []*trial.Partner{mvs2, mvs3, mvs4} {
			p.Say(p.SRVSTAT(service, true))
		}
		for _, p := range []*trial.Partner{mvs2, mvs3, mvs4} {
			u.Settled(p)
		}
		for range 2 {
			Expect(u.Shares(service, 6, mvs2, mvs3, mvs4)).
				To(Equal(map[string]int{mvs2.Link: 3, mvs3.Link: 1, mvs4.Link: 2}))
		}
	})

	// The processor "may also function as a server and, thus, be the ultimate endpoint": the routing
	// stack takes its turn as the others do, and the entry that it made for itself is followed too:
	// what comes after the SYN is delivered here (I7), whatever becomes of the listener (I2).
	It("is served by the routing stack itself when its turn comes",
		requirements.Covers("fig12/145-yes->144", "fig12/140-yes->150", "I7", "T8"), func() {
			u := f.Unit(trial.UnitConfig{Profile: allPorts, Partners: []int{2}})
			mvs2 := u.Join(2)
			mvs2.Say(mvs2.SRVSTAT(service, true))
			u.EventuallyForwarded(service, mvs2)
			server := u.Listen(u.Stack, "APPA", service)
			u.EventuallyServed(service)
			u.SetMarker(mvs2)
			Expect(u.Shares(service, 6, mvs2)).To(Equal(map[string]int{trial.Self: 3, mvs2.Link: 3}))

			begin := u.Capture.Mark()
			syn := u.EventuallyServed(service)
			accepted := u.ExpectAnswer(segment.Pattern{Src: syn.Dst, Dst: syn.Src, Has: segment.SYN | segment.ACK})
			data := segment.NewData(syn.Src, syn.Dst, syn.Next(), accepted.Next(), []byte("a request"))
			u.Send(data)
			u.ExpectArrived(data)
			acknowledged := u.ExpectAnswer(segment.Pattern{Src: syn.Dst, Dst: syn.Src, Lacks: segment.SYN})
			Expect(acknowledged.Flags).To(Equal(segment.ACK))
			Expect(acknowledged.Ack).To(Equal(data.Next()))
			u.ExpectAbsent(begin, segment.Pattern{Src: syn.Src, Dst: syn.Dst}, mvs2)
			server.Close()
		})
})

// spread is the difference between the greatest and the smallest share.
func spread(shares map[string]int) int {
	least, most := -1, 0
	for _, n := range shares {
		most = max(most, n)
		if least < 0 || n < least {
			least = n
		}
	}
	return most - least
}
