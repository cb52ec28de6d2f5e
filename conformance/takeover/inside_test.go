package takeover

import (
	"net"
	"slices"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/plexlab-dev/plexlab/conformance/requirements"
	"github.com/plexlab-dev/plexlab/conformance/trial"
	"github.com/plexlab-dev/plexlab/harness/verdict"
	"github.com/plexlab-dev/plexlab/topo"
)

// "the client 10 may be": a stack of the plex as well. A DVIPA is one service for those inside too; what is opened there goes
// to its owner like what comes from the network, also where the stack has the address itself, as a target.
var _ = trial.DescribeFamilies("from inside", func(f trial.Family) {
	service := f.At(60)

	DescribeTable("a connection that a stack opens to a distributed DVIPA is distributed", func(file string, from ...string) {
		// Of the three targets MVS1, MVS2 and MVS4, the last one has no listener.
		s := f.System(file, func(t *topo.Topology) {
			trial.Serving("APPA")(t)
			t.Applications[0].On = []string{"MVS1", "MVS2"}
			if !slices.Contains(from, "MVS3") {
				trial.Without("MVS3")(t)
			}
		})
		s.EventuallyTargets("MVS1", service, "MVS1", "MVS2")
		held := map[string]net.Conn{}
		for _, s.Client = range from {
			By("from " + s.Client)
			Expect(s.Answers(service, 6)).To(Equal(map[string]int{"MVS1": 3, "MVS2": 3}), "who answers %s", s.Client)
			held[s.Client] = s.HoldOne("MVS1", service, "MVS2")
		}

		// It follows the owner, as the connections do.
		verdict.Engine(s.Lab.Kill(s.Context(), "MVS1"), "kill MVS1")
		s.EventuallyTellsOwner("MVS5", f.DVA1, "MVS5")
		s.EventuallyTargets("MVS5", service, "MVS2")
		for _, s.Client = range from {
			By("from " + s.Client + ", to the new owner")
			s.EventuallyTellsOwner(s.Client, f.DVA1, "MVS5")
			Expect(s.Answers(service, 2)).To(Equal(map[string]int{"MVS2": 2}), "who answers %s", s.Client)
			s.ExpectAlive(held[s.Client])
		}
	},
		Entry("by a stack that is no target, by a target without a listener, and by one with a listener", requirements.Covers("T56"),
			"figure9.yaml", "MVS3", "MVS4", "MVS2"),
		Entry("by a target without a listener that has a link to the outside", requirements.Covers("T56"), "figure9-outside.yaml", "MVS4"),
	)

	DescribeTable("a connection that the owner opens to its own DVIPA is distributed", func(others ...string) {
		s := f.System("figure9.yaml", func(t *topo.Topology) {
			withoutBackup(t)
			t.Applications[0].On = others
		})
		s.EventuallyTargets("MVS1", service, others...)
		s.Client = "MVS1"
		each := map[string]int{}
		for _, stack := range others {
			each[stack] = 2
		}
		Expect(s.Answers(service, 2*len(others))).To(Equal(each))
		held := s.HoldOne("MVS1", service, others[0])
		s.ExpectAlive(held)
	},
		Entry("with a listener of its own", requirements.Covers("T56"), "MVS1", "MVS2", "MVS4"),
		Entry("without a listener", requirements.Covers("T56"), "MVS2", "MVS4"),
	)
})
