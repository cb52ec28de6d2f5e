package fig07

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/plexlab-dev/plexlab/conformance/requirements"
	"github.com/plexlab-dev/plexlab/conformance/trial"
	"github.com/plexlab-dev/plexlab/harness/segment"
	"github.com/plexlab-dev/plexlab/nodes/contract"
)

// distributed is a profile that distributes ports 80 and 443 of DVA1 to whoever listens.
const distributed = `
	VIPADynamic
	  VIPADEFine MASK DVA1
	  VIPADISTribute DVA1 PORT 80, 443 DESTIP ALL
	ENDVIPADynamic`

var _ = trial.DescribeFamilies("a message to the distributing processor", func(f trial.Family) {
	web, secure := f.At(80), f.At(443)

	// "If the message identifies a candidate server (block 700) [...] a list of candidate servers
	// for workload distribution is updated to reflect the availability of the IP address and port
	// for distribution of subsequent connections (block 702)."
	It("that identifies a candidate server makes it one, for the port it names and for later connections",
		requirements.Covers("fig07/700-candidate->702", "fig07/702->end"), func() {
			u := f.Unit(trial.UnitConfig{Profile: distributed, Partners: []int{2, 3}})
			mvs2, mvs3 := u.Join(2), u.Join(3)
			mvs2.Say(mvs2.SRVSTAT(web, true))
			first := u.EventuallyForwarded(web, mvs2)
			u.ExpectReset(segment.NewSYN(u.From(), secure))

			mvs3.Say(mvs3.SRVSTAT(web, true))
			u.EventuallyForwarded(web, mvs3)
			u.EventuallyForwarded(web, mvs2)
			// The connection that was there before stays where it is.
			u.ExpectForwarded(segment.NewACK(first.Src, first.Dst, first.Next(), 1), mvs2)

			mvs2.Say(mvs2.SRVSTAT(web, false))
			u.Settled(mvs2)
			for range 4 {
				u.ExpectForwarded(segment.NewSYN(u.From(), web), mvs3)
			}
			u.ExpectPassed("fig07/700-candidate->702", "fig07/702->end")
		})

	// "an entry may be made directly in a routing table [...] such that connections to that port and
	// IP address may be directly routed to the associated server without consulting workload
	// distribution (block 706)."
	It("that identifies a cluster-wide port leads the port to its server, past distribution",
		requirements.Covers("fig07/700-unique->706", "fig07/706->end", "T6"), func() {
			u := f.Unit(trial.UnitConfig{Profile: distributed, Partners: []int{2, 3}})
			mvs2, mvs3 := u.Join(2), u.Join(3)
			// An ephemeral port, which nobody enumerated.
			unique := mvs3.SRVSTAT(f.At(49200), true)
			unique.Unique = true
			mvs2.Say(mvs2.SRVSTAT(web, true))
			u.EventuallyForwarded(web, mvs2)
			mvs3.Say(unique)
			syn := u.EventuallyForwarded(unique.Service, mvs3)
			u.ExpectForwarded(segment.NewACK(syn.Src, syn.Dst, syn.Next(), 1), mvs3)
			u.ExpectForwarded(segment.NewSYN(u.From(), web), mvs2)
			u.ExpectPassed("fig07/700-unique->706", "fig07/706->end")
		})

	// "If the message is of another type (block 700), then processing of the message may be carried
	// out based on the type of other message (block 704)."
	It("of another type is taken by its type, and one that it does not know is passed over",
		requirements.Covers("fig07/700-other->704", "fig07/704->end"), func() {
			u := f.Unit(trial.UnitConfig{Profile: distributed, Partners: []int{2}})
			mvs2 := u.Join(2)
			segmentOf := segment.NewACK(u.From(), web, 7, 9)
			mvs2.Say(mvs2.NEWCONN(contract.Connection{Remote: segmentOf.Src, Local: web}))
			u.EventuallyFollows(segmentOf, mvs2)
			Expect(mvs2.SendUnknown(1000)).To(Succeed())
			u.Settled(mvs2)
			u.ExpectReset(segment.NewSYN(u.From(), web))
			u.ExpectForwarded(segmentOf, mvs2)
			u.ExpectPassed("fig07/700-other->704", "fig07/704->end")
		})
})
