package takeover

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/plexlab-dev/plexlab/conformance/requirements"
	"github.com/plexlab-dev/plexlab/conformance/trial"
	"github.com/plexlab-dev/plexlab/harness/verdict"
)

var _ = trial.DescribeFamilies("in the Sysplex of Figure 9", func(f trial.Family) {
	// The service of APPA: DVA1, which MVS1 owns and MVS5 backs up with candidate targets of its own.
	appA := f.At(60)

	// "Other data processing systems in the cluster may become the distributing processor for the IP
	// address, for example, in the event of failure" (T10). The servers on MVS2 and MVS4 tell MVS5 what
	// they hold (131, 133), so their clients notice nothing; those of MVS1 itself are told by RST. MVS5
	// distributes by its own statement, which leaves MVS1 out (135, I6). When MVS1 is back it takes DVA1
	// at once (MOVEable IMMEDIATE), again without harm, with its own targets; nobody waits for long meanwhile (I37).
	It("DVA1 is taken over from MVS1 when that dies, and taken back",
		requirements.Covers("T10", "T28", "I6", "I37", "fig11/135-yes->end"), func() {
			s := f.System("figure9.yaml", nil)
			neighbour := s.Neighbour()
			s.EventuallyTargets("MVS1", appA, "MVS1", "MVS2", "MVS4")
			s.EventuallyOwner(neighbour, f.DVA1, "MVS1")
			own, onMVS2, onMVS4 := s.HoldOne("MVS1", appA, "MVS1"), s.HoldOne("MVS1", appA, "MVS2"), s.HoldOne("MVS1", appA, "MVS4")

			verdict.Engine(s.Lab.Kill(s.Context(), "MVS1"), "kill MVS1")
			s.EventuallyOwner(neighbour, f.DVA1, "MVS5")
			s.ExpectEnded(own)
			s.ExpectAlive(onMVS2)
			s.ExpectAlive(onMVS4)
			s.EventuallyTargets("MVS5", appA, "MVS2", "MVS4")
			Expect(s.Answers(appA, 4)).To(Equal(map[string]int{"MVS2": 2, "MVS4": 2}))
			since := s.HoldOne("MVS5", appA, "MVS4")

			talks := []*talk{startTalk(s, "MVS2", onMVS2), startTalk(s, "MVS4", since)}
			s.Start("MVS1")
			s.EventuallyOwner(neighbour, f.DVA1, "MVS1")
			s.ExpectAlive(onMVS4)
			s.EventuallyTargets("MVS1", appA, "MVS1", "MVS2", "MVS4")
			for _, t := range talks {
				t.expectAnswered()
			}
			Expect(s.Answers(appA, 6)).To(Equal(map[string]int{"MVS1": 2, "MVS2": 2, "MVS4": 2}))
		})
}, SpecPriority(1))
