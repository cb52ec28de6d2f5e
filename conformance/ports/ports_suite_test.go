// Package ports certifies cluster-wide ports beyond the flowcharts: connections that start inside the
// plex, definitions that come at run time, and what happens when stacks, their processes or the common
// storage fail.
package ports

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/plexlab-dev/plexlab/conformance/trial"
	"github.com/plexlab-dev/plexlab/harness/capture"
	"github.com/plexlab-dev/plexlab/harness/impl"
	"github.com/plexlab-dev/plexlab/harness/peer"
	"github.com/plexlab-dev/plexlab/harness/segment"
	"github.com/plexlab-dev/plexlab/harness/verdict"
	"github.com/plexlab-dev/plexlab/nodes/contract"
	"github.com/plexlab-dev/plexlab/topo"
)

func TestPorts(t *testing.T) { trial.Suite(t, "ports", impl.ClusterPorts) }

// forAll is the label of specs that hold everybody with cluster-wide ports to what it does. All others are of those that open
// connections from DVIPAs too, take statements at run time and tell of their ports.
const forAll = "clusterports"

var _ = BeforeEach(func() {
	if !slices.Contains(CurrentSpecReport().Labels(), forAll) {
		trial.Needs(impl.Outbound)
	}
})

var at = trial.At

// both runs a spec with either sharing technique.
func both(spec func(sharing string)) {
	for _, sharing := range []string{topo.SharingPortFile, topo.SharingDistributor} {
		Context("with "+sharing, func() { spec(sharing) })
	}
}

// owner is the profile of a stack that owns DVA1 with cluster-wide ports, with more statements.
func owner(more ...string) string {
	return fmt.Sprintf(`
		VIPADYNAMIC
		VIPADEFINE CLUSTERPORTS MASK DVA1
		VIPADISTRIBUTE DVA1 PORT 80 DESTIP ALL
		%s
		ENDVIPADYNAMIC`, strings.Join(more, "\n"))
}

// clustered is what MVS2 lists where it is the owner, with rules for sources.
func clustered(f trial.Family) contract.DVIPA {
	return f.Clustered(f.DVA1, 1, trial.On(trial.ToAll, trial.Only(80)))
}

// A stack is the one under test, with a program on it.
type stack struct {
	*trial.UnitTrial
	f       trial.Family
	mvs2    *trial.Partner
	program *trial.Program
	// server is where programs connect to: a scripted one on network 44. self is the stack's own address
	// there.
	server netip.AddrPort
	self   netip.Addr
	// visitor sends from behind MVS2, where that is the owner.
	visitor *segment.Host
}

// newOwner starts a stack that owns DVA1.
func newOwner(f trial.Family, c trial.UnitConfig) *stack {
	GinkgoHelper()
	c.Partners = []int{2}
	u := f.Unit(c)
	return &stack{
		UnitTrial: u, f: f, mvs2: u.Join(2), program: u.Program(u.Stack, "APPA"),
		server: at(f.Client, 9000), self: f.Outside(1),
	}
}

// newTarget starts a stack that is a target of DVA1, which MVS2 owns; APPA has it as source.
func newTarget(f trial.Family, c trial.UnitConfig) *stack {
	GinkgoHelper()
	s := newOwner(f, c)
	s.visitor = s.mvs2.Visitor()
	s.tell(contract.SourceIPA{Address: f.DVA1, Application: "APPA"})
	if c.ClusterPorts.Sharing != topo.SharingDistributor {
		s.PortFile().Activate(f.DVA1)
	}
	return s
}

// tell says MVS2's list with rules for sources, and waits until it is taken in.
func (s *stack) tell(rules ...contract.SourceIPA) {
	GinkgoHelper()
	s.mvs2.TellAll(contract.VIPAList{DVIPAs: []contract.DVIPA{clustered(s.f)}, SourceIPAs: rules})
}

// outgoing waits for a SYN to the server that leaves the stack since a moment.
func (s *stack) outgoing(since capture.Mark) segment.Segment {
	GinkgoHelper()
	packet, err := s.Capture.On(s.OutsideLink).Sent().After(since).Await(s.Soon(), s.toServer())
	Expect(err).NotTo(HaveOccurred())
	return packet.Decode().Segment
}

// toServer is a request for a connection to the server.
func (s *stack) toServer() segment.Pattern {
	return segment.Pattern{Dst: s.server, Has: segment.SYN, Lacks: segment.ACK}
}

// reply sends what the server answers: to the stack itself, or through MVS2 where that is the owner.
func (s *stack) reply(answer segment.Segment) {
	GinkgoHelper()
	if s.visitor == nil {
		s.Send(answer)
		return
	}
	verdict.Engine(s.visitor.Send(s.Soon(), answer), "send %s by way of MVS2", answer)
}

// A connection is one of the program to the server, as far as the server knows.
type connection struct {
	local netip.AddrPort // of the program
	next  uint32         // sequence number of the server
}

// connects has the program connect without a bind, and the server accept.
func (s *stack) connects(socket string) connection {
	GinkgoHelper()
	s.program.Do(trial.SocketOrder(socket, s.server))
	return s.connect(socket)
}

// connect is connects for a socket that is there.
func (s *stack) connect(socket string) connection {
	GinkgoHelper()
	since := s.Capture.Mark()
	s.program.Begin("connect " + socket + " " + s.server.String())
	if s.visitor != nil {
		s.acknowledge()
	}
	syn := s.outgoing(since)
	accept := syn.Answer(segment.SYN, 5000)
	s.reply(accept)
	answer := s.program.Answer()
	Expect(answer.Errno).To(BeZero(), "connect to %s", s.server)
	Expect(answer.Local).To(Equal(syn.Src), "the own end that the program sees")
	return connection{local: syn.Src, next: accept.Next()}
}

// acknowledge waits for the NEWCONN of a connection to the server and acknowledges it.
func (s *stack) acknowledge() contract.Connection {
	GinkgoHelper()
	m := s.mvs2.ExpectMessage(newconn(s.server)).(contract.NEWCONN)
	s.mvs2.Say(contract.NEWCONNAck{Acknowledge: m.Acknowledge})
	return m.Connections[0]
}

// newconn is a NEWCONN of one connection to the server that asks for an answer.
func newconn(server netip.AddrPort) peer.Match {
	return peer.Of("of a connection to "+server.String()+" that asks for an answer", func(m contract.NEWCONN) bool {
		return m.Acknowledge != 0 && len(m.Connections) == 1 && m.Connections[0].Remote == server
	})
}

// reset ends a connection at once, from the server.
func (s *stack) reset(c connection) {
	GinkgoHelper()
	s.reply(segment.NewRST(s.server, c.local, c.next))
}

// closesFirst ends a connection from the program, whose end is in TIME_WAIT then.
func (s *stack) closesFirst(socket string, c connection) {
	GinkgoHelper()
	s.program.Do("close " + socket)
	fin := segment.Pattern{Src: c.local, Dst: s.server, Has: segment.FIN}
	packet, err := s.Capture.On(s.OutsideLink).Sent().Await(s.Soon(), fin)
	Expect(err).NotTo(HaveOccurred())
	s.reply(packet.Decode().Segment.Answer(segment.FIN, c.next))
}
