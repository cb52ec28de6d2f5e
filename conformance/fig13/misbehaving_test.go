package fig13

import (
	. "github.com/onsi/ginkgo/v2"

	"github.com/plexlab-dev/plexlab/conformance/requirements"
	"github.com/plexlab-dev/plexlab/conformance/trial"
	"github.com/plexlab-dev/plexlab/harness/peer"
	"github.com/plexlab-dev/plexlab/harness/segment"
	"github.com/plexlab-dev/plexlab/nodes/contract"
)

// What a partner says may be said twice, in the wrong order, too late, or far too often. The tables hold the last
// word of each stack, and nobody else notices.
var _ = trial.DescribeFamilies("a partner", func(f trial.Family) {
	service := f.At(80)

	It("that repeats itself is one target, until it says once that listening ended",
		requirements.Covers("fig13/160-SRVSTAT->165", "fig13/165-no->166"), func() {
			u := f.Unit(trial.UnitConfig{Profile: distributed, Partners: []int{2, 3}})
			mvs2, mvs3 := u.Join(2), u.Join(3)
			for range 3 {
				mvs2.Say(mvs2.SRVSTAT(service, true))
			}
			mvs3.Say(mvs3.SRVSTAT(service, true))
			u.Settled(mvs2)
			u.EventuallyForwarded(service, mvs3)
			for range 2 {
				u.ExpectForwarded(segment.NewSYN(u.From(), service), mvs2)
				u.ExpectForwarded(segment.NewSYN(u.From(), service), mvs3)
			}

			mvs2.Say(mvs2.SRVSTAT(service, false))
			u.Settled(mvs2)
			for range 3 {
				u.ExpectForwarded(segment.NewSYN(u.From(), service), mvs3)
			}
		})

	It("that tells of an end before the beginning is taken by its last word",
		requirements.Covers("fig13/160-SRVSTAT->165", "fig13/160-NEWCONN->164", "fig13/160-TERMCONN->162"), func() {
			u := f.Unit(trial.UnitConfig{Profile: distributed, Partners: []int{2}})
			mvs2 := u.Join(2)
			segmentOf := segment.NewACK(u.From(), service, 7, 9)
			connection := contract.Connection{Remote: segmentOf.Src, Local: service}
			mvs2.Say(
				mvs2.TERMCONN(connection), mvs2.SRVSTAT(service, false),
				mvs2.NEWCONN(connection), mvs2.SRVSTAT(service, true),
			)
			u.EventuallyForwarded(service, mvs2)
			u.EventuallyFollows(segmentOf, mvs2)
		})

	// TERMCONN may be under way while the client uses its address and port again. It ends neither the next connection
	// at the same stack, whose own NEWCONN is still to come, nor one that another stack has been selected for.
	It("that is late ends no connection which has the addresses and ports by then",
		requirements.Covers("fig13/160-NEWCONN->164", "fig13/160-TERMCONN->162"), func() {
			u := f.Unit(trial.UnitConfig{Profile: distributed, Partners: []int{2, 3}})
			mvs2, mvs3 := u.Join(2), u.Join(3)
			mvs2.Say(mvs2.SRVSTAT(service, true))
			syn := u.EventuallyForwarded(service, mvs2)
			// next is one more connection of the same addresses and ports, and follows what comes after its SYN.
			next := func(holder *trial.Partner) {
				syn.Seq += 1 << 20
				u.ExpectForwarded(syn, holder)
			}
			follows := func(holder *trial.Partner) {
				u.ExpectForwarded(segment.NewACK(syn.Src, syn.Dst, syn.Next(), 1), holder)
			}
			says := func(messages ...contract.Message) {
				mvs2.Say(messages...)
				u.Settled(mvs2)
			}

			next(mvs2)
			says(mvs2.TERMCONN(trial.Of(syn)))
			follows(mvs2)
			says(mvs2.NEWCONN(trial.Of(syn)))
			follows(mvs2)

			says(mvs2.SRVSTAT(service, false), mvs2.TERMCONN(trial.Of(syn)))
			mvs3.Say(mvs3.SRVSTAT(service, true))
			u.Settled(mvs3)
			next(mvs3)
			says(mvs2.TERMCONN(trial.Of(syn)))
			follows(mvs3)
		})

	It("that floods the stack with messages keeps nobody else from being heard, and nobody else hears of it",
		requirements.Covers("fig13/160-SRVSTAT->165", "fig13/160-other->end"), func() {
			const flood = 500
			u := f.Unit(trial.UnitConfig{Profile: distributed, Partners: []int{2, 3}})
			mvs2, mvs3 := u.Join(2), u.Join(3)
			for n := range flood {
				mvs3.Say(mvs3.SRVSTAT(f.At(8080), n%2 == 0), contract.Unknown{Field: unknownField})
			}
			mvs2.Say(mvs2.SRVSTAT(service, true))
			u.EventuallyForwarded(service, mvs2)
			mvs2.ExpectNoMessage(peer.Of[contract.VIPAList]("VIPA_LIST", nil))
		})
})
