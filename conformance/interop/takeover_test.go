package interop

import (
	"net"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/plexlab-dev/plexlab/conformance/requirements"
	"github.com/plexlab-dev/plexlab/conformance/trial"
	"github.com/plexlab-dev/plexlab/harness/impl"
	"github.com/plexlab-dev/plexlab/harness/segment"
	"github.com/plexlab-dev/plexlab/harness/verdict"
	"github.com/plexlab-dev/plexlab/topo"
)

// "Other data processing systems in the cluster may become the distributing processor for the IP address, for example, in
// the event of failure" (T10). MVS1 owns DVA1, and MVS5, of the other make, backs it up. There are targets of both makes. They
// tell each owner what they hold, so the clients notice neither that MVS1 dies nor that it comes back.
var _ = Describe("a backup of another implementation than the primary's", func() {
	It("takes over from the implementation under test, and gives back to it, with the connections of living targets",
		requirements.Covers("T61"), func() {
			if !trial.OtherDeclares(impl.Backup) {
				Skip("the other implementation does not declare " + string(impl.Backup))
			}
			thereAndBack("MVS2", "MVS5")
		})

	It("is the implementation under test: it takes over, and gives back, with the connections of living targets",
		requirements.Covers("T63"), func() {
			trial.Needs(impl.Backup)
			thereAndBack("MVS1", "MVS4")
		})
})

// thereAndBack has DVA1 move from MVS1 to MVS5 and back; some stacks run the other implementation.
func thereAndBack(others ...string) {
	GinkgoHelper()
	s := f.Mixed("figure9.yaml", others, func(t *topo.Topology) {
		t.Stacks = []topo.Stack{t.Stacks[0], t.Stacks[1], t.Stacks[3], t.Stacks[4]}
		t.Applications = t.Applications[:1]
		t.Applications[0].On = []string{"MVS2", "MVS4"}
	})
	neighbour := s.Neighbour()
	s.EventuallyTargets("MVS1", appA, "MVS2", "MVS4")
	s.EventuallyOwner(neighbour, f.DVA1, "MVS1")
	held := []net.Conn{s.HoldOne("MVS1", appA, "MVS2"), s.HoldOne("MVS1", appA, "MVS4")}

	verdict.Engine(s.Lab.Kill(s.Context(), "MVS1"), "kill MVS1")
	expectOwner(s, neighbour, "MVS5", held)
	held = append(held, s.HoldOne("MVS5", appA, "MVS2"), s.HoldOne("MVS5", appA, "MVS4"))

	verdict.Engine(s.Lab.StartStack(s.Context(), "MVS1"), "start MVS1")
	expectOwner(s, neighbour, "MVS1", held)
}

// expectOwner expects that a stack comes to own DVA1, and to distribute it, while connections go on.
func expectOwner(s *trial.SystemTrial, neighbour *segment.Host, stack string, held []net.Conn) {
	GinkgoHelper()
	s.EventuallyOwner(neighbour, f.DVA1, stack)
	for _, conn := range held {
		s.ExpectAlive(conn)
	}
	s.EventuallyTargets(stack, appA, "MVS2", "MVS4")
	Expect(s.Answers(appA, 4)).To(Equal(map[string]int{"MVS2": 2, "MVS4": 2}))
}
