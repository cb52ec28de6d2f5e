package fig12

import (
	"net/netip"

	. "github.com/onsi/ginkgo/v2"

	"github.com/plexlab-dev/plexlab/conformance/requirements"
	"github.com/plexlab-dev/plexlab/conformance/trial"
	"github.com/plexlab-dev/plexlab/harness/segment"
)

var _ = trial.DescribeFamilies("block 145: a SYN for a port without targets", func(f trial.Family) {
	at := f.At
	service := at(80) // what most specs distribute

	// "If no DPT entry exists (block 145), the SYN is processed conventionally (block 152)."
	//
	// Conventional is what TCP would do without distribution: refuse, and accept where a program of
	// this stack listens that is none of a target (I17: on the unspecified address, no port being
	// enumerated). A target of another port gets none of it (T4).
	It("is refused, or served by a program of the routing stack that is no target",
		requirements.Covers("fig12/145-no->152", "fig12/152->end", "fig12/143-no->145", "T4"), func() {
			u := f.Unit(trial.UnitConfig{Profile: allPorts, Partners: []int{2}})
			mvs2 := u.Join(2)
			mvs2.Say(mvs2.SRVSTAT(service, true))
			u.EventuallyForwarded(service, mvs2)
			u.SetMarker(mvs2)

			begin := u.Capture.Mark()
			u.ExpectPacketPath(func() { u.ExpectReset(segment.NewSYN(u.From(), at(8080))) },
				"fig12/140-no->142", "fig12/142-yes->143", "fig12/143-no->145", "fig12/145-no->152", "fig12/152->end",
				"fig08/802-no->806", "fig08/806-no->808", "fig08/808->end")
			u.ExpectAbsent(begin, segment.Pattern{Dst: at(8080)}, mvs2)

			conventional := u.Listen(u.Stack, "", netip.AddrPortFrom(f.Any, 8080))
			begin = u.Capture.Mark()
			u.ExpectServed(segment.NewSYN(u.From(), at(8080)))
			u.ExpectAbsent(begin, segment.Pattern{Dst: at(8080)}, mvs2)
			conventional.Close()
			u.EventuallyReset(at(8080))
		})
})
