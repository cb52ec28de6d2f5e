package fig06

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/plexlab-dev/plexlab/conformance/requirements"
	"github.com/plexlab-dev/plexlab/conformance/trial"
	"github.com/plexlab-dev/plexlab/harness/impl"
	"github.com/plexlab-dev/plexlab/harness/peer"
)

// The ways through Figure 6 of an implementation without cluster-wide ports: 604 is always left by no.
var _ = trial.DescribeFamilies("a listening socket that is closed, without cluster-wide ports", func(f trial.Family) {
	enumerated := f.Owned(f.DVA1, 1, trial.On(trial.ToAll, trial.Only(80)))

	// start starts a stack that is a target of DVA1, port 80 of which MVS2 distributes.
	start := func(variant impl.Variant) (*trial.UnitTrial, *trial.Partner, *trial.Program) {
		GinkgoHelper()
		u := f.Unit(trial.UnitConfig{Inside: true, Partners: []int{2}, Variant: variant})
		mvs2 := u.Join(2)
		mvs2.Tell(enumerated)
		return u, mvs2, u.Program(u.Stack, "APPA")
	}

	// "If the address is not a common IP address, operations may terminate" (602).
	It("on another address is nobody's business", requirements.Covers("fig06/600->602", "fig06/602-no->end"), func() {
		u, mvs2, program := start("")
		program.Listens("a", at(f.XCF(1), 5000))
		mvs2.Passed()
		u.ExpectPath("fig06", "600->602 602-no->end", func() { program.Do("close a") })
		Expect(mvs2.Tell(enumerated)).To(HaveLen(1), "END_OF_LIST and nothing else")
	})

	// "The port is identified locally as available", and the owner is told, for it takes part (606, 612,
	// 610).
	It("on a distributed port tells the owner", requirements.Covers("fig06/602-yes->604", "fig06/604-no->606",
		"fig06/606->612", "fig06/612-yes->610", "fig06/610->end"), func() {
		u, mvs2, program := start("")
		service := program.Listens("a", at(f.DVA1, 80))
		mvs2.ExpectMessage(peer.Is(u.Shared(service, true)))
		u.ExpectPath("fig06", "600->602 602-yes->604 604-no->606 606->612 612-yes->610 610->end", func() {
			program.Do("close a")
			mvs2.ExpectMessage(peer.Is(u.Shared(service, false)))
		})
		program.Listens("a", service)
		mvs2.ExpectMessage(peer.Is(u.Shared(service, true)))
	})

	// A port that is not enumerated, with the embodiment that goes by enumeration alone (612).
	It("on any other port tells nobody", requirements.Covers("fig06/604-no->606", "fig06/612-no->end"), func() {
		u, mvs2, program := start(impl.EnumeratedOnly)
		program.Listens("a", at(f.DVA1, 8080))
		mvs2.Passed()
		u.ExpectPath("fig06", "600->602 602-yes->604 604-no->606 606->612 612-no->end", func() { program.Do("close a") })
		Expect(mvs2.Tell(enumerated)).To(HaveLen(1), "END_OF_LIST and nothing else")
	})
}, trial.Needing(impl.Core))
