package takeover

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/plexlab-dev/plexlab/conformance/requirements"
	"github.com/plexlab-dev/plexlab/conformance/trial"
	"github.com/plexlab-dev/plexlab/harness/segment"
	"github.com/plexlab-dev/plexlab/nodes/contract/control"
)

// A neighbour that missed the announcement of a new owner goes on to send to the one before. That is a router by
// trade, and would look for the DVIPA on network 44 like for any address: packets would come to the owner on a way that
// nobody knows of, or go round between two that have owned it.
var _ = trial.DescribeFamilies("a neighbour with an old entry", func(f trial.Family) {
	DescribeTable("reaches nobody by way of who owned the DVIPA",
		func(ends func(u *trial.UnitTrial, mvs2 *trial.Partner)) {
			u := f.Unit(trial.UnitConfig{Profile: distributes, Partners: []int{2, 3}})
			mvs2, mvs3 := u.Join(2), u.Join(3)
			mvs3.Say(mvs3.SRVSTAT(f.At(60), true))
			u.EventuallyForwarded(f.At(60), mvs3) // whereby the client has learned where DVA1 is
			ends(u, mvs2)
			Eventually(func() bool { return u.Tells(u.Stack, f.DVA1).Owner != u.Stack }).Should(BeTrue(), "%s is the owner no more", u.Stack)
			for _, s := range []segment.Segment{segment.NewSYN(u.From(), f.At(60)), segment.NewACK(u.From(), f.At(60), 1, 1)} {
				expectDropped(u, f, 1, s)
			}
		},
		Entry("when an operator has deactivated it", requirements.Covers("I38", "T51"), func(u *trial.UnitTrial, _ *trial.Partner) {
			u.Vary(u.Stack, control.VaryDeactivate, control.VaryTarget{DVIPA: f.DVA1})
		}),
		Entry("when an operator has taken it out of the group", requirements.Covers("I38", "T52"), func(u *trial.UnitTrial, _ *trial.Partner) {
			u.Vary(u.Stack, control.VaryLeaveGroup, control.VaryTarget{})
		}),
		Entry("when another stack has taken it, for which that is no target", requirements.Covers("I38"),
			func(u *trial.UnitTrial, mvs2 *trial.Partner) {
				mvs2.Tell(primary(f, f.DVA1, mvs2.Epoch(f.DVA1)+1, stacks(f, 3)))
			}),
	)
})
