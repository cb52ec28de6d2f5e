package interop

import (
	"net"
	"net/netip"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/plexlab-dev/plexlab/conformance/requirements"
	"github.com/plexlab-dev/plexlab/conformance/trial"
	"github.com/plexlab-dev/plexlab/harness/impl"
	"github.com/plexlab-dev/plexlab/harness/segment"
	"github.com/plexlab-dev/plexlab/harness/verdict"
	"github.com/plexlab-dev/plexlab/topo"
)

// MVS1 owns two DVIPAs. MVS5 backs both up, of which it distributes DVA1 by a VIPADISTribute of its own (135), and
// DVB1 by the list that it kept (134).
const (
	primary = `VIPADYNAMIC
  VIPADEFINE MOVEABLE IMMEDIATE 255.255.255.0 DVA1 DVB1
  VIPADISTRIBUTE DVA1 PORT DESTIP XCF2, XCF4
  VIPADISTRIBUTE DVB1 PORT DESTIP XCF2, XCF4
ENDVIPADYNAMIC`
	backup = `VIPADYNAMIC
  VIPABACKUP 100 DVA1 DVB1
  VIPADISTRIBUTE DVA1 PORT DESTIP XCF4
ENDVIPADYNAMIC`
)

// kept is the service of APPA at DVB1.
var kept = trial.At(f.DVB1, 60)

// "Other data processing systems in the cluster may become the distributing processor for the IP address, for example, in
// the event of failure" (T10). MVS5 is of another make than MVS1, and there are targets of both makes. They tell each owner
// what they hold, so the clients notice neither that MVS1 dies nor that it comes back.
var _ = Describe("a backup of another implementation than the primary's", func() {
	It("takes over from the implementation under test, and gives back to it, with the connections of living targets",
		requirements.Covers("T61"), func() {
			if !trial.OtherDeclares(impl.Backup) {
				Skip("the other implementation does not declare " + string(impl.Backup))
			}
			thereAndBack("MVS2", "MVS5")
		})

	It("is the implementation under test: it takes over, and gives back, with the connections of living targets",
		requirements.Covers("T63"), trial.Needing(impl.Backup), func() {
			thereAndBack("MVS1", "MVS4")
		})
})

// thereAndBack has the DVIPAs move from MVS1 to MVS5 and back; some stacks run the other implementation.
func thereAndBack(others ...string) {
	GinkgoHelper()
	s := f.Mixed("figure9.yaml", others, func(t *topo.Topology) {
		t.Stacks = []topo.Stack{t.Stacks[0], t.Stacks[1], t.Stacks[3], t.Stacks[4]}
		t.Stacks[0].Profile, t.Stacks[3].Profile = primary, backup
		t.Applications = t.Applications[:1]
		a := &t.Applications[0]
		a.On = []string{"MVS2", "MVS4"}
		listen := `listen {{.Address "DVA1"}}:60;`
		a.Files["nginx.conf"] = strings.Replace(a.Files["nginx.conf"], listen, listen+strings.ReplaceAll(listen, "DVA1", "DVB1"), 1)
	})
	neighbour := s.Neighbour()
	var held []net.Conn
	expectDistributed(s, neighbour, "MVS1", appA, "MVS2", "MVS4")
	expectDistributed(s, neighbour, "MVS1", kept, "MVS2", "MVS4")
	for _, target := range []string{"MVS2", "MVS4"} {
		held = append(held, s.HoldOne("MVS1", appA, target), s.HoldOne("MVS1", kept, target))
	}

	verdict.Engine(s.Lab.Kill(s.Context(), "MVS1"), "kill MVS1")
	expectDistributed(s, neighbour, "MVS5", appA, "MVS4")
	expectDistributed(s, neighbour, "MVS5", kept, "MVS2", "MVS4")
	expectAlive(s, held)
	held = append(held, s.HoldOne("MVS5", appA, "MVS4"), s.HoldOne("MVS5", kept, "MVS2"))

	s.Start("MVS1")
	expectDistributed(s, neighbour, "MVS1", appA, "MVS2", "MVS4")
	expectDistributed(s, neighbour, "MVS1", kept, "MVS2", "MVS4")
	expectAlive(s, held)
}

// expectDistributed expects that a stack comes to own the DVIPA of a service, and to distribute it to these targets in turn.
func expectDistributed(s *trial.SystemTrial, neighbour *segment.Host, stack string, service netip.AddrPort, targets ...string) {
	GinkgoHelper()
	s.EventuallyOwner(neighbour, service.Addr(), stack)
	s.EventuallyTargets(stack, service, targets...)
	want := map[string]int{}
	for _, target := range targets {
		want[target] = 1
	}
	Expect(s.Answers(service, len(targets))).To(Equal(want))
}

// expectAlive expects that connections go on.
func expectAlive(s *trial.SystemTrial, held []net.Conn) {
	GinkgoHelper()
	for _, conn := range held {
		s.ExpectAlive(conn)
	}
}
