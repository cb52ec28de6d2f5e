package interop

import (
	"net"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/plexlab-dev/plexlab/conformance/requirements"
	"github.com/plexlab-dev/plexlab/conformance/trial"
	"github.com/plexlab-dev/plexlab/topo"
)

// f is the family of every mixed plex: what all implementations have in common.
var f = trial.IPv4

// appA is the service of APPA in the worked example: DVA1, which MVS1 owns and distributes to itself, MVS2 and MVS4.
var appA = f.At(60)

// "Communicating with a plurality of application instances executing on a cluster of data processing systems": that their
// stacks are of one make the specification does not say. MVS1 distributes to itself, to a stack of its own make (MVS2) and to one of the other (MVS4): in
// turn, by a routing table that follows each of them to the end of its connections (TERMCONN) and of its listening
// (SRVSTAT). MVS3 and MVS5 have no part in it and are left out.
var _ = Describe("a routing stack", func() {
	DescribeTable("distributes to targets of both implementations",
		func(others ...string) {
			s := f.Mixed("figure9.yaml", others, func(t *topo.Topology) {
				t.Stacks = []topo.Stack{t.Stacks[0], t.Stacks[1], t.Stacks[3]}
				t.Applications = t.Applications[:1]
			})
			s.EventuallyTargets("MVS1", appA, "MVS1", "MVS2", "MVS4")
			Expect(s.Answers(appA, 6)).To(Equal(map[string]int{"MVS1": 2, "MVS2": 2, "MVS4": 2}))

			var held []net.Conn
			for _, target := range []string{"MVS1", "MVS2", "MVS4"} {
				held = append(held, s.HoldOne("MVS1", appA, target))
			}
			for _, conn := range held {
				s.ExpectAlive(conn)
				Expect(conn.Close()).To(Succeed())
			}
			s.EventuallyEmptied("MVS1")

			s.EndApplication("MVS2", "APPA")
			s.EventuallyTargets("MVS1", appA, "MVS1", "MVS4")
			s.EndApplication("MVS4", "APPA")
			s.EventuallyTargets("MVS1", appA, "MVS1")
			Expect(s.Answers(appA, 2)).To(Equal(map[string]int{"MVS1": 2}))
		},
		Entry("as the implementation under test", requirements.Covers("T60"), "MVS4"),
		Entry("as the other implementation", requirements.Covers("T60"), "MVS1", "MVS2"),
	)
})
