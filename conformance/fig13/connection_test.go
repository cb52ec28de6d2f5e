package fig13

import (
	. "github.com/onsi/ginkgo/v2"

	"github.com/plexlab-dev/plexlab/conformance/requirements"
	"github.com/plexlab-dev/plexlab/conformance/trial"
	"github.com/plexlab-dev/plexlab/harness/segment"
	"github.com/plexlab-dev/plexlab/nodes/contract"
)

var _ = trial.DescribeFamilies("NEWCONN and TERMCONN", func(f trial.Family) {
	service := f.At(80)

	// "If the message is a NEWCONN message, then the VIPA distribution function incorporates the
	// connection into the CRT (block 164). [...] Thus, if the message is a TERMCONN message
	// (block 160), then the VIPA distribution function removes the connection from the CRT
	// (block 162)."
	It("lead the packets of a connection to the stack that holds it, until it has ended",
		requirements.Covers("fig13/160-NEWCONN->164", "fig13/164->end", "fig13/160-TERMCONN->162", "fig13/162->end", "T28"), func() {
			u := f.Unit(trial.UnitConfig{Profile: distributed, Partners: []int{2, 3}})
			mvs2, mvs3 := u.Join(2), u.Join(3)
			segmentOf := segment.NewACK(u.From(), service, 7, 9)
			u.ExpectReset(segmentOf)

			connection := contract.Connection{Remote: segmentOf.Src, Local: service}
			mvs2.Say(mvs2.NEWCONN(connection))
			u.EventuallyFollows(segmentOf, mvs2)

			mvs2.Say(mvs2.TERMCONN(connection))
			u.EventuallyAnswered(segmentOf)

			// Another stack may take the same addresses and ports up.
			mvs3.Say(mvs3.NEWCONN(connection))
			u.EventuallyFollows(segmentOf, mvs3)
			u.ExpectPassed("fig13/160-NEWCONN->164", "fig13/164->end", "fig13/160-TERMCONN->162", "fig13/162->end")
		})

	// A stack speaks for itself: what it holds no more may be another's by now.
	It("of one stack do not end a connection of another",
		requirements.Covers("fig13/160-TERMCONN->162"), func() {
			u := f.Unit(trial.UnitConfig{Profile: distributed, Partners: []int{2, 3}})
			mvs2, mvs3 := u.Join(2), u.Join(3)
			segmentOf := segment.NewACK(u.From(), service, 7, 9)
			connection := contract.Connection{Remote: segmentOf.Src, Local: service}
			mvs2.Say(mvs2.NEWCONN(connection))
			u.EventuallyFollows(segmentOf, mvs2)
			mvs3.Say(mvs3.TERMCONN(connection), mvs3.SRVSTAT(service, true))
			u.EventuallyForwarded(service, mvs3)
			u.ExpectForwarded(segmentOf, mvs2)
		})

	It("of another epoch than that of the ownership are refused", requirements.Covers("fig13/160-NEWCONN->164"), func() {
		u := f.Unit(trial.UnitConfig{Profile: distributed, Partners: []int{2}})
		mvs2 := u.Join(2)
		segmentOf := segment.NewACK(u.From(), service, 7, 9)
		other := mvs2.NEWCONN(contract.Connection{Remote: segmentOf.Src, Local: service})
		other.Epoch++
		mvs2.Say(other, mvs2.SRVSTAT(service, true))
		u.EventuallyForwarded(service, mvs2)
		u.ExpectReset(segmentOf)
	})
})
