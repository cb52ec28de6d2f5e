package fig12

import (
	"net/netip"

	. "github.com/onsi/ginkgo/v2"

	"github.com/plexlab-dev/plexlab/conformance/requirements"
	"github.com/plexlab-dev/plexlab/conformance/trial"
	"github.com/plexlab-dev/plexlab/harness/segment"
)

var _ = Describe("a SYN for a service with targets", func() {
	service := netip.AddrPortFrom(trial.DVA1, 80)

	// "If a DPT entry exists (block 145), the VIPA distribution function selects a current
	// actual target for the connection."
	It("goes to a target, and so does everything after it",
		requirements.Covers("fig12/145-yes->144", "fig12/144->146", "fig12/146->150", "fig12/140-yes->150", "fig12/150->end"), func() {
			u := trial.Unit(trial.UnitConfig{
				Profile: `
					VIPADynamic
					VIPADEFine 255.255.255.0 DVA1
					VIPADISTribute DVA1 DESTIP XCF2
					ENDVIPADynamic`,
				Partners: []int{2},
			})
			mvs2 := u.Join(2)
			mvs2.Say(mvs2.SRVSTAT(service, true))
			syn := u.EventuallyForwarded(service, mvs2)
			u.ExpectForwarded(segment.NewACK(syn.Src, syn.Dst, syn.Next(), 1), mvs2)
			u.ExpectPassed("fig12/145-yes->144", "fig12/140-yes->150")
		})
})
