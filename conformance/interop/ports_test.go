package interop

import (
	"net/netip"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"golang.org/x/sys/unix"

	"github.com/plexlab-dev/plexlab/conformance/requirements"
	"github.com/plexlab-dev/plexlab/conformance/trial"
	"github.com/plexlab-dev/plexlab/harness/impl"
	"github.com/plexlab-dev/plexlab/harness/verdict"
	"github.com/plexlab-dev/plexlab/topo"
)

// "A unique port may be provided for a socket" whatever the make of its stack: MVS5 owns DVB1, which has cluster-wide ports, and
// distributes port 60 of it; MVS2 is of its make, MVS3 of the other. Each port has one holder of the three, and clients reach
// it by way of MVS5, until its sockets are closed, its program ends or its stack dies. Then a stack of the other make has it.
var _ = Describe("a port of a DVIPA with cluster-wide ports", func() {
	service := trial.At(f.DVB1, 5000)

	DescribeTable("has one holder among stacks of both implementations", trial.Needing(impl.ClusterPorts),
		func(sharing string, others ...string) {
			if !trial.OtherDeclares(impl.ClusterPorts) {
				Skip("the other implementation does not declare " + string(impl.ClusterPorts))
			}
			s := f.Mixed("figure9.yaml", others, func(t *topo.Topology) {
				t.Stacks = []topo.Stack{t.Stacks[1], t.Stacks[2], t.Stacks[4]}
				t.Applications = nil
				t.ClusterPorts.Sharing = sharing
			})
			mvs2, mvs3, client := s.Program("MVS2", "APPC"), s.Program("MVS3", "APPC"), s.Program(s.Client, "")

			s.EventuallyBinds(mvs2, "a", service)
			mvs3.EventuallyRefused(unix.EADDRINUSE, service)
			expectServed(s, client, mvs2, service)
			expectOwnPorts(mvs2, mvs3)

			mvs2.Do("close a")
			s.EventuallyBinds(mvs3, "a", service)
			mvs2.EventuallyRefused(unix.EADDRINUSE, service)
			expectServed(s, client, mvs3, service)

			mvs3.Kill()
			s.EventuallyBinds(mvs2, "a", service)
			expectServed(s, client, mvs2, service)

			mvs3 = s.Program("MVS3", "APPC")
			verdict.Engine(s.Lab.Kill(s.Context(), "MVS2"), "kill MVS2")
			s.EventuallyBinds(mvs3, "a", service)
			expectServed(s, client, mvs3, service)
		},
		Entry("by the port file, the owner of the make under test", requirements.Covers("T62"), topo.SharingPortFile, "MVS3"),
		Entry("by the port file, the owner of the other make", requirements.Covers("T62"), topo.SharingPortFile, "MVS2", "MVS5"),
		Entry("by the distributor's table, of the make under test", requirements.Covers("T62"), topo.SharingDistributor, "MVS3"),
		Entry("by the distributor's table, of the other make", requirements.Covers("T62"), topo.SharingDistributor, "MVS2", "MVS5"),
	)
})

// expectServed has a program listen on its socket "a", and the client reach it.
func expectServed(s *trial.SystemTrial, client, server *trial.Program, service netip.AddrPort) {
	GinkgoHelper()
	server.Do("listen a")
	s.EventuallyConnects(client, "c", service)
	server.Do("accept a c", "send c "+server.Stack)
	Expect(client.Do("receive c").Text).To(Equal(server.Stack))
	// The client first, so that nothing is left of the connection at the server.
	client.Do("close c")
	server.Do("close c")
}

// expectOwnPorts has programs bind by port 0, in turn, and expects that no two get the same port.
func expectOwnPorts(programs ...*trial.Program) {
	GinkgoHelper()
	got := map[uint16]bool{}
	for _, name := range []string{"x", "y", "z"} {
		for _, p := range programs {
			got[p.EventuallyBound(name, trial.At(f.DVB1, 0)).Port()] = true
		}
	}
	Expect(got).To(HaveLen(3*len(programs)), "ports of as many sockets")
	for _, name := range []string{"x", "y", "z"} {
		for _, p := range programs {
			p.Do("close " + name)
		}
	}
}
