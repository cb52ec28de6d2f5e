package interop

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/plexlab-dev/plexlab/conformance/requirements"
	"github.com/plexlab-dev/plexlab/conformance/trial"
	"github.com/plexlab-dev/plexlab/harness/verdict"
	"github.com/plexlab-dev/plexlab/topo"
)

// "Other data processing systems in the cluster may become the distributing processor for the IP address, for example, in
// the event of failure" (T10). MVS1 owns DVA1 and MVS5, of the other implementation, backs it up. The server on MVS2 is beside a
// stack of MVS5's make, the one on MVS4 beside one of MVS1's. Both tell each owner what they hold, so the clients notice neither
// that MVS1 dies nor that it comes back.
var _ = Describe("a backup of the other implementation", func() {
	DescribeTable("takes over from the primary, and gives back, with the connections of living targets",
		func(mix trial.Mix) {
			s := f.Mixed("figure9.yaml", mix, func(t *topo.Topology) {
				t.Stacks = []topo.Stack{t.Stacks[0], t.Stacks[1], t.Stacks[3], t.Stacks[4]}
				t.Applications = t.Applications[:1]
				t.Applications[0].On = []string{"MVS2", "MVS4"}
			})
			neighbour := s.Neighbour()
			s.EventuallyTargets("MVS1", appA, "MVS2", "MVS4")
			s.EventuallyOwner(neighbour, f.DVA1, "MVS1")
			onMVS2, onMVS4 := s.HoldOne("MVS1", appA, "MVS2"), s.HoldOne("MVS1", appA, "MVS4")

			verdict.Engine(s.Lab.Kill(s.Context(), "MVS1"), "kill MVS1")
			s.EventuallyOwner(neighbour, f.DVA1, "MVS5")
			s.ExpectAlive(onMVS2)
			s.ExpectAlive(onMVS4)
			s.EventuallyTargets("MVS5", appA, "MVS2", "MVS4")
			Expect(s.Answers(appA, 4)).To(Equal(map[string]int{"MVS2": 2, "MVS4": 2}))
			since := s.HoldOne("MVS5", appA, "MVS4")

			verdict.Engine(s.Lab.StartStack(s.Context(), "MVS1"), "start MVS1")
			s.EventuallyOwner(neighbour, f.DVA1, "MVS1")
			s.ExpectAlive(onMVS2)
			s.ExpectAlive(onMVS4)
			s.ExpectAlive(since)
			s.EventuallyTargets("MVS1", appA, "MVS2", "MVS4")
			Expect(s.Answers(appA, 4)).To(Equal(map[string]int{"MVS2": 2, "MVS4": 2}))
		},
		Entry("which is the implementation under test", requirements.Covers("T61"),
			trial.Mix{Others: []string{"MVS1", "MVS4"}, BacksUp: "MVS5"}),
		Entry("while the primary is the implementation under test", requirements.Covers("T61"),
			trial.Mix{Others: []string{"MVS2", "MVS5"}, BacksUp: "MVS5"}),
	)
})
