package fig05

import (
	"net/netip"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/plexlab-dev/plexlab/conformance/requirements"
	"github.com/plexlab-dev/plexlab/conformance/trial"
	"github.com/plexlab-dev/plexlab/harness/impl"
	"github.com/plexlab-dev/plexlab/harness/peer"
	"github.com/plexlab-dev/plexlab/nodes/contract"
)

// The ways through Figure 5 with cluster-wide ports.
const (
	unique        = "500-yes->502 502-yes->504 504->506 506->end"
	bypassed      = "500-yes->502 502-no->514 514->end"
	enumerated    = "500-yes->502 502-no->508 508-yes->512 512-yes->514 514->end"
	notEnumerated = "500-yes->502 502-no->508 508-yes->512 512-no->510 510->end"
	anyPort       = "500-yes->502 502-no->508 508-no->514 514->end"
)

// A server is one that a stack opens, and what comes of it.
type server struct {
	address netip.Addr
	port    uint16 // 0 is any
	// state in the port file and path through the figure.
	state, path string
	// told: its stack is told as a candidate for DVA1 and the port, or as its holder.
	told bool
}

// target starts a stack that is a target of DVA1, which MVS2 owns with cluster-wide ports.
func target(f trial.Family, variant impl.Variant, d contract.Distribution) (*trial.UnitTrial, *trial.Partner, *trial.PortFile) {
	GinkgoHelper()
	u := f.Unit(trial.UnitConfig{Inside: true, Partners: []int{2}, Variant: variant})
	mvs2 := u.Join(2)
	mvs2.Tell(f.Clustered(f.DVA1, 1, d))
	ports := u.PortFile()
	ports.Activate(f.DVA1)
	return u, mvs2, ports
}

// opens has a program open the servers one after the other.
func opens(f trial.Family, variant impl.Variant, d contract.Distribution, servers ...server) {
	GinkgoHelper()
	u, mvs2, ports := target(f, variant, d)
	program := u.Program(u.Stack, "APPA")
	for i, s := range servers {
		mvs2.Passed()
		var local netip.AddrPort
		u.ExpectPath("fig05", s.path, func() { local = program.Listens(string(rune('a'+i)), at(s.address, s.port)) })
		service := f.At(local.Port())
		ports.Expect(service, s.state)
		if !s.told {
			Expect(trial.Services(mvs2.Tell(f.Clustered(f.DVA1, 1, d)))).NotTo(ContainElement(service.String()))
			continue
		}
		want := u.Shared(service, true)
		want.Unique = s.path == unique
		mvs2.ExpectMessage(peer.Is(want))
	}
	ports.ExpectClean(f.DVA1)
}

var _ = trial.DescribeFamilies("a listening socket where ports are assigned cluster-wide", func(f trial.Family) {
	on80 := trial.On(trial.ToAll, trial.Only(80))

	// "If cluster-wide port assignment is provided ... the common storage is accessed to select an
	// unused port", which is marked used "so that other data processing systems will not select the
	// same port"; "a message is also sent to the distributing processor" (504, 506). Which ports
	// are unique is decided port by port (I15): enumerated ones are shared. A unique port never asks
	// for the enumeration, so that both embodiments treat it alike.
	It("takes its port from the common storage unless that is distributed: specified-address-bypass",
		requirements.Covers("fig05/502-yes->504", "fig05/504->506", "fig05/506->end", "fig05/502-no->514", "fig05/502-no->508",
			"fig05/512-yes->514", "fig05/512-no->510", "I15"), func() {
			opens(f, impl.SpecifiedAddressBypass, on80,
				server{f.DVA1, 5000, "unique MVS1", unique, true},
				server{f.DVA1, 0, "unique MVS1", unique, true},
				server{f.DVA1, 80, "shared MVS1", bypassed, true},
				server{f.Any, 8080, "available", notEnumerated, false})
		})

	It("takes its port from the common storage unless that is distributed: enumerated-only",
		requirements.Covers("fig05/502-yes->504", "fig05/504->506", "fig05/506->end", "fig05/502-no->508", "fig05/508-yes->512",
			"fig05/512-yes->514", "I15"), func() {
			opens(f, impl.EnumeratedOnly, on80,
				server{f.DVA1, 5000, "unique MVS1", unique, true},
				server{f.DVA1, 0, "unique MVS1", unique, true},
				server{f.DVA1, 80, "shared MVS1", enumerated, true})
		})

	// Where none is enumerated every port that is bound by number is distributed, and shared; only a
	// port that nobody named is unique (I15).
	DescribeTable("shares every port that is named where none is enumerated",
		func(variant impl.Variant, path string) {
			opens(f, variant, trial.ToAll,
				server{f.DVA1, 5000, "shared MVS1", path, true},
				server{f.DVA1, 0, "unique MVS1", unique, true})
		},
		Entry("specified-address-bypass", requirements.Covers("fig05/502-no->514", "fig05/502-yes->504", "I15"), impl.SpecifiedAddressBypass, bypassed),
		Entry("enumerated-only", requirements.Covers("fig05/508-no->514", "fig05/502-yes->504", "I15"), impl.EnumeratedOnly, anyPort),
	)

	// A server on the unspecified address names no common address: it counts for the enumerated ports
	// (I17), and the common storage knows nothing of its port, unique or not.
	It("on the unspecified address leaves the common storage alone",
		requirements.Covers("fig05/502-no->508", "fig05/512-no->510", "I17", "I15"), func() {
			opens(f, impl.SpecifiedAddressBypass, on80,
				server{f.Any, 80, "available", enumerated, true},
				server{f.Any, 5000, "available", notEnumerated, false})
		})

	// An address that is no common one, on a stack that has one with cluster-wide ports.
	It("on another address is opened conventionally", requirements.Covers("fig05/500-no->510", "fig05/510->end"), func() {
		opens(f, impl.SpecifiedAddressBypass, on80, server{f.XCF(1), 5000, "available", "500-no->510 510->end", false})
	})

	// A new owner hears of holders of unique ports as of candidates, each by its kind, before the list
	// is answered whole.
	It("is told again to whoever owns the address later", requirements.Covers("fig05/506->end", "I15", "I16"), func() {
		u := f.Unit(trial.UnitConfig{Inside: true, Partners: []int{2, 3}})
		mvs2, mvs3 := u.Join(2), u.Join(3)
		mvs2.Tell(f.Clustered(f.DVA1, 1, on80))
		program := u.Program(u.Stack, "APPA")
		candidate := program.Listens("a", f.At(80))
		holder := program.Listens("b", f.At(0))
		of := func(m contract.SRVSTAT) contract.SRVSTAT { m.Epoch = 2; return m }
		Expect(mvs3.Tell(f.Clustered(f.DVA1, 2, on80))).To(ConsistOf(
			of(u.Shared(candidate, true)), of(u.Unique(holder, true)), contract.EndOfList{}))

		// And one that leaves the stack out hears of the unique port alone (I16).
		others := trial.On(f.To(2, 3), trial.Only(80))
		Expect(mvs3.Tell(f.Clustered(f.DVA1, 2, others))).To(ContainElements(of(u.Unique(holder, true)), contract.EndOfList{}))
		Expect(mvs3.Tell(f.Clustered(f.DVA1, 2, others))).To(ConsistOf(of(u.Unique(holder, true)), contract.EndOfList{}))
	})
})
