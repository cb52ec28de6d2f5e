package fig13

import (
	"net/netip"

	. "github.com/onsi/ginkgo/v2"

	"github.com/plexlab-dev/plexlab/conformance/requirements"
	"github.com/plexlab-dev/plexlab/conformance/trial"
	"github.com/plexlab-dev/plexlab/harness/segment"
	"github.com/plexlab-dev/plexlab/nodes/contract"
)

// distributed is a profile that distributes DVA1, all ports of it, to MVS2 and MVS3.
const distributed = `
	VIPADynamic
	  VIPADEFine MASK DVA1
	  VIPADISTribute DVA1 DESTIP XCF2, XCF3
	ENDVIPADynamic`

var _ = trial.DescribeFamilies("SRVSTAT", func(f trial.Family) {
	service := f.At(80)

	// "If the message is a SRVSTAT message, then [...] it is determined if the message is
	// associated with a cluster-wide port (block 165). If not, the application and
	// communication protocol stack entries of the DPT are updated (block 166)."
	It("makes its sender a target when listening starts, and none when it ends",
		requirements.Covers("fig13/160-SRVSTAT->165", "fig13/165-no->166", "fig13/166->end"), func() {
			u := f.Unit(trial.UnitConfig{Profile: distributed, Partners: []int{2}})
			mvs2 := u.Join(2)
			u.ExpectReset(segment.NewSYN(u.From(), service))

			mvs2.Say(mvs2.SRVSTAT(service, true))
			u.EventuallyForwarded(service, mvs2)
			u.ExpectReset(segment.NewSYN(u.From(), f.At(81)))

			mvs2.Say(mvs2.SRVSTAT(service, false))
			u.EventuallyReset(service)
			u.ExpectPassed("fig13/160-SRVSTAT->165", "fig13/165-no->166", "fig13/166->end")
		})

	// "If the message is associated with a cluster-wide port (block 165), the application and
	// communication protocol stack entries of the connection routing table are updated (block 167)."
	It("leads a unique port to its sender alone, and nowhere when listening ended",
		requirements.Covers("fig13/160-SRVSTAT->165", "fig13/165-yes->167", "fig13/167->end", "T5"), func() {
			u := f.Unit(trial.UnitConfig{Profile: distributed, Partners: []int{2, 3}})
			mvs2, mvs3 := u.Join(2), u.Join(3)
			mvs2.Say(mvs2.SRVSTAT(service, true))
			u.EventuallyForwarded(service, mvs2)

			unique := mvs3.SRVSTAT(service, true)
			unique.Unique = true
			mvs3.Say(unique)
			u.EventuallyForwarded(service, mvs3)
			for range 4 {
				u.ExpectForwarded(segment.NewSYN(u.From(), service), mvs3)
			}

			unique.Listening = false
			mvs3.Say(unique)
			u.EventuallyForwarded(service, mvs2)
			u.ExpectPassed("fig13/165-yes->167", "fig13/167->end")
		})

	DescribeTable("is refused, and changes nothing, when it",
		func(wrong func(*contract.SRVSTAT)) {
			u := f.Unit(trial.UnitConfig{Profile: distributed, Partners: []int{2, 3, 4}})
			mvs2, mvs4 := u.Join(2), u.Join(4)
			told := mvs2.SRVSTAT(service, true)
			wrong(&told)
			if told.XCF == mvs4.XCF {
				mvs4.Say(told)
			} else {
				mvs2.Say(told)
			}
			// What the same partner says next is taken in after it.
			marker := f.At(8080)
			mvs2.Say(mvs2.SRVSTAT(marker, true))
			if told.XCF == mvs4.XCF {
				u.Settled(mvs4)
			}
			u.EventuallyForwarded(marker, mvs2)
			u.ExpectReset(segment.NewSYN(u.From(), service))
		},
		Entry("is of another epoch than that of the ownership", requirements.Covers("fig13/160-SRVSTAT->165"),
			func(s *contract.SRVSTAT) { s.Epoch++ }),
		Entry("speaks of another stack than its sender", func(s *contract.SRVSTAT) { s.XCF = f.XCF(3) }),
		Entry("comes from a stack that is no candidate target", func(s *contract.SRVSTAT) { s.XCF = f.XCF(4) }),
		Entry("is about a DVIPA that the stack does not own", func(s *contract.SRVSTAT) {
			s.Service = netip.AddrPortFrom(f.DVB1, s.Service.Port())
		}),
	)
})
