package fig14

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/plexlab-dev/plexlab/conformance/requirements"
	"github.com/plexlab-dev/plexlab/conformance/trial"
	"github.com/plexlab-dev/plexlab/harness/peer"
	"github.com/plexlab-dev/plexlab/harness/segment"
	"github.com/plexlab-dev/plexlab/nodes/contract"
)

// whole is the way of a listener whose port the coupling facility knows.
const whole = "180-yes->184 184->186 186-yes->188 188->190 190->192 192->194 194->end"

// lists is how MVS2 owns DVA1 with cluster-wide ports and DVB1 without.
func lists(f trial.Family) []contract.DVIPA {
	return []contract.DVIPA{
		f.Clustered(f.DVA1, 1, trial.On(trial.ToAll, trial.Only(80))),
		f.Owned(f.DVB1, 1, trial.ToAll),
	}
}

// target starts a target of MVS2.
func target(f trial.Family) (*trial.UnitTrial, *trial.Partner, *trial.Program) {
	GinkgoHelper()
	u := f.Unit(trial.UnitConfig{Inside: true, Partners: []int{2}})
	mvs2 := u.Join(2)
	mvs2.Tell(lists(f)...)
	u.PortFile().Activate(f.DVA1)
	return u, mvs2, u.Program(u.Stack, "APPA")
}

var _ = trial.DescribeFamilies("a listening socket that is terminated", func(f trial.Family) {
	// "If not, conventional termination operations may be utilized" (180, 182).
	It("on another address is so conventionally", requirements.Covers("fig14/180-no->182", "fig14/182->end"), func() {
		u, mvs2, program := target(f)
		program.Listens("a", at(f.XCF(1), 5000))
		u.PortFile().ExpectUnchanged(f.DVA1, func() {
			u.ExpectPath("fig14", "180-no->182 182->end", func() { program.Do("close a") })
		})
		Expect(mvs2.Tell(lists(f)...)).To(HaveExactElements(contract.EndOfList{}))
		// One more that is closed: what was closed before has been dealt with then.
		marker := program.Listens("marker", f.At(0))
		program.Do("close marker")
		u.PortFile().Eventually(marker, "available")
		Expect(trial.Told[contract.SRVSTAT](mvs2.Said())).To(HaveEach(HaveField("Service", marker)), "what the owner is told")
	})

	// "... appropriate tables are updated as would be the case with a conventional DVIPA" (184); "if
	// not, no additional operation need be performed" (186): the coupling facility hears nothing of
	// an address without CLUSTERPORTS, neither at the beginning nor at the end.
	It("on a DVIPA without cluster-wide ports leaves the coupling facility alone",
		requirements.Covers("fig14/180-yes->184", "fig14/184->186", "fig14/186-no->end"), func() {
			u, mvs2, program := target(f)
			service := program.Listens("a", at(f.DVB1, 5000))
			mvs2.ExpectMessage(peer.Is(u.Shared(service, true)))
			u.ExpectPath("fig14", "180-yes->184 184->186 186-no->end", func() {
				program.Do("close a")
				mvs2.ExpectMessage(peer.Is(u.Shared(service, false)))
			})
			Expect(u.PortFile().HasEntry(f.DVB1)).To(BeFalse(), "an entry for %s", f.DVB1)
		})

	// The structures are retrieved and locked (188), "updated to identify the port of the socket which
	// is terminating as available" and "not in use in the stack specific structure" (190), "restored
	// ... and unlocked" (192), and "a message is sent to the routing communication protocol stack"
	// (194). The message is about the listener, what is given back about every socket: which comes first
	// is open (I18).
	DescribeTable("on a DVIPA with cluster-wide ports gives the port back",
		func(port uint16, end func(*trial.Program)) {
			u, mvs2, program := target(f)
			ports := u.PortFile()
			service := program.Listens("a", f.At(port))
			Expect(ports.State(service)).To(BeElementOf("unique MVS1", "shared MVS1"))
			u.ExpectEdges("fig14", whole, func() {
				end(program)
				mvs2.ExpectMessage(peer.Of("that listening at "+service.String()+" ended", func(m contract.SRVSTAT) bool {
					return m.Service == service && !m.Listening
				}))
				ports.Eventually(service, "available")
			})
			ports.ExpectClean(f.DVA1)
			u.PortFile().Freeze(f.DVA1)() // nobody has kept the lock
		},
		Entry("a unique one, by close", requirements.Covers("fig14/186-yes->188", "fig14/188->190", "fig14/190->192", "fig14/192->194",
			"fig14/194->end", "fig14/180-yes->184", "fig14/184->186"), uint16(0), func(p *trial.Program) { p.Do("close a") }),
		Entry("a unique one, by the end of the application", requirements.Covers("fig14/186-yes->188", "fig14/190->192", "fig14/194->end"),
			uint16(5000), (*trial.Program).Kill),
		Entry("a distributed one", requirements.Covers("fig14/186-yes->188", "fig14/190->192", "fig14/194->end", "I15"),
			uint16(80), func(p *trial.Program) { p.Do("close a") }),
	)

	// Several sockets of one stack may listen on one unique port (SO_REUSEPORT). The route ends with
	// the last of them, and the port is given back then (I9, I18).
	It("is one of several on its port until the last", requirements.Covers("I18", "fig14/192->194", "I9"), func() {
		u, mvs2, program := target(f)
		ports := u.PortFile()
		service := program.Listens("a", f.At(0), "shared")
		program.Listens("b", service, "shared")
		marker := program.Listens("c", f.At(0))
		mvs2.ExpectMessage(peer.Is(u.Unique(marker, true)))
		program.Do("close a", "close c")
		mvs2.ExpectMessage(peer.Is(u.Unique(marker, false)))
		ports.Eventually(marker, "available")
		ports.Expect(service, "unique MVS1")
		Expect(mvs2.Said()).NotTo(ContainElement(u.Unique(service, false)))
		program.Do("close b")
		mvs2.ExpectMessage(peer.Is(u.Unique(service, false)))
		ports.Eventually(service, "available")
	})

	// shutdown() ends listening and leaves the socket: the route goes, the port stays with the socket
	// (I18).
	It("by shutdown keeps its port until it is closed", requirements.Covers("I18", "fig14/180-yes->184"), func() {
		u, mvs2, program := target(f)
		ports := u.PortFile()
		service := program.Listens("a", f.At(0))
		mvs2.ExpectMessage(peer.Is(u.Unique(service, true)))
		program.Do("shutdown a")
		mvs2.ExpectMessage(peer.Is(u.Unique(service, false)))
		ports.Expect(service, "unique MVS1")
		program.Do("close a")
		ports.Eventually(service, "available")
	})

	// At the routing stack itself: what its tables said ends with the socket, so that a request is
	// refused, for a port that is distributed and one that is unique; the others go on.
	DescribeTable("leaves the tables of the routing stack",
		func(port uint16) {
			u := f.Unit(trial.UnitConfig{Profile: `
				VIPADYNAMIC
				VIPADEFINE CLUSTERPORTS MASK DVA1
				VIPADISTRIBUTE DVA1 PORT 80 DESTIP ALL
				ENDVIPADYNAMIC`})
			program := u.Program(u.Stack, "APPA")
			service := program.Listens("a", f.At(port))
			other := program.Listens("b", f.At(0))
			u.EventuallyServed(service)
			u.EventuallyServed(other)
			program.Do("close a")
			u.EventuallyReset(service)
			u.PortFile().Eventually(service, "available")
			u.ExpectServed(segment.NewSYN(u.From(), other))
		},
		Entry("a distributed port", requirements.Covers("fig14/180-yes->184", "fig14/184->186"), uint16(80)),
		Entry("a unique port", requirements.Covers("fig14/180-yes->184", "fig14/184->186"), uint16(5000)),
	)
})
