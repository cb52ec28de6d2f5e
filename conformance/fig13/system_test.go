package fig13

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/plexlab-dev/plexlab/conformance/requirements"
	"github.com/plexlab-dev/plexlab/conformance/trial"
	"github.com/plexlab-dev/plexlab/harness/verdict"
)

var _ = trial.DescribeFamilies("in the Sysplex of Figure 9", func(f trial.Family) {
	appA := f.At(60)

	// A stack that fails takes its servers and connections with it; those of the others go on.
	It("a stack that fails gets no connection any more, and the clients of its connections are told",
		requirements.Covers("fig13/165-no->166"), func() {
			s := f.System("figure9.yaml", nil)
			s.EventuallyTargets("MVS1", appA, "MVS1", "MVS2", "MVS4")
			held := s.HoldOne("MVS1", appA, "MVS2")

			verdict.Engine(s.Lab.Kill(s.Context(), "MVS2"), "kill MVS2")
			s.EventuallyTargets("MVS1", appA, "MVS1", "MVS4")
			Expect(s.Answers(appA, 4)).To(Equal(map[string]int{"MVS1": 2, "MVS4": 2}))
			s.ExpectEnded(held)

			s.Start("MVS2")
			s.EventuallyTargets("MVS1", appA, "MVS1", "MVS2", "MVS4")
			Expect(s.Answers(appA, 6)).To(Equal(map[string]int{"MVS1": 2, "MVS2": 2, "MVS4": 2}))
		})

	// A routing stack that stood still was given up by everyone, and everyone is back at once. What
	// the targets hold they held all the time: no client is told otherwise (I3).
	It("a routing stack that was stopped for a while ends no connection that a target holds",
		requirements.Covers("fig13/160-NEWCONN->164", "I3"), func() {
			s := f.System("figure9.yaml", nil)
			s.EventuallyTargets("MVS1", appA, "MVS1", "MVS2", "MVS4")
			held := s.HoldOne("MVS1", appA, "MVS2")

			verdict.Engine(s.Lab.Freeze(s.Context(), "MVS1"), "freeze MVS1")
			s.EventuallyWithout("MVS2", "MVS1")
			verdict.Engine(s.Lab.Thaw(s.Context(), "MVS1"), "thaw MVS1")
			s.ExpectAlive(held)
			s.EventuallyTargets("MVS1", appA, "MVS1", "MVS2", "MVS4")
			s.ExpectAlive(held)
		})
})
