package fig06

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/plexlab-dev/plexlab/conformance/requirements"
	"github.com/plexlab-dev/plexlab/conformance/trial"
	"github.com/plexlab-dev/plexlab/harness/impl"
	"github.com/plexlab-dev/plexlab/harness/peer"
	"github.com/plexlab-dev/plexlab/nodes/contract"
)

var _ = trial.DescribeFamilies("a listening socket that is closed", func(f trial.Family) {
	// "If the address is not a common IP address, operations may terminate" (602).
	It("on another address is nobody's business", requirements.Covers("fig06/600->602", "fig06/602-no->end"), func() {
		t := newTarget(f, "", clustered(f))
		t.program.Listens("a", at(f.XCF(1), 5000))
		t.mvs2.Passed()
		t.ports.ExpectUnchanged(f.DVA1, func() {
			t.ExpectPath("fig06", "600->602 602-no->end", func() { t.program.Do("close a") })
		})
		Expect(t.mvs2.Tell(clustered(f))).To(HaveLen(1), "END_OF_LIST and nothing else")
		t.passes()
		Expect(trial.Told[contract.SRVSTAT](t.mvs2.Said())).NotTo(ContainElement(HaveField("Service", f.At(5000))), "what the owner is told")
	})

	// A cluster-wide port: "the common storage is accessed and updated to indicate that the port is
	// unused" (608), "the distributing processor is also notified" (610). Which of the two comes first
	// is open: with connections left it is the message (I18).
	It("on a unique port returns it to the common storage and tells the owner",
		requirements.Covers("fig06/602-yes->604", "fig06/604-yes->608", "fig06/608->610", "fig06/610->end"), func() {
			t := newTarget(f, "", clustered(f))
			service := t.program.Listens("a", f.At(0))
			t.mvs2.ExpectMessage(peer.Is(t.Unique(service, true)))
			t.ports.Expect(service, "unique MVS1")
			t.ExpectEdges("fig06", "600->602 602-yes->604 604-yes->608 608->610 610->end", func() {
				t.program.Do("close a")
				t.mvs2.ExpectMessage(peer.Is(t.Unique(service, false)))
				t.ports.Eventually(service, "available")
			})
		})

	// Any other port: "the port is identified locally as available", and if it takes part in
	// distribution the owner is told (606, 612, 610). The common storage notes no use of it any more.
	It("on a distributed port tells the owner",
		requirements.Covers("fig06/604-no->606", "fig06/606->612", "fig06/612-yes->610", "fig06/610->end"), func() {
			t := newTarget(f, "", clustered(f))
			service := t.program.Listens("a", f.At(80))
			t.ports.Expect(service, "shared MVS1")
			t.mvs2.ExpectMessage(peer.Is(t.Shared(service, true)))
			t.ExpectPath("fig06", "600->602 602-yes->604 604-no->606 606->612 612-yes->610 610->end", func() {
				t.program.Do("close a")
				t.mvs2.ExpectMessage(peer.Is(t.Shared(service, false)))
			})
			t.ports.Eventually(service, "available")
		})

	// "If the port is not identified as participating in workload distribution, operations conclude"
	// (612): with the embodiment that goes by enumeration alone, a port that is not enumerated, of an
	// address without cluster-wide ports.
	It("on a port that is neither tells nobody", requirements.Covers("fig06/612-no->end", "fig06/604-no->606"), func() {
		plain := f.Owned(f.DVB1, 1, trial.On(trial.ToAll, trial.Only(80)))
		t := newTarget(f, impl.EnumeratedOnly, clustered(f), plain)
		t.program.Listens("a", at(f.DVB1, 8080))
		t.mvs2.Passed()
		t.ExpectPath("fig06", "600->602 602-yes->604 604-no->606 606->612 612-no->end", func() { t.program.Do("close a") })
		Expect(t.mvs2.Tell(clustered(f), plain)).To(HaveLen(1), "END_OF_LIST and nothing else")
		Expect(t.ports.HasEntry(f.DVB1)).To(BeFalse(), "an entry for an address without cluster-wide ports")
	})

	// Whoever listened gives the port back to itself as well: a server that starts anew has it again,
	// and between the two no other stack had.
	It("leaves its port to a server that starts anew", requirements.Covers("fig06/604-yes->608", "I18"), func() {
		t := newTarget(f, "", clustered(f))
		service := f.At(5000)
		for range 3 {
			t.program.Listens("a", service, "reuse")
			t.ports.Expect(service, "unique MVS1")
			t.program.Do("close a")
		}
		t.ports.Eventually(service, "available")
		t.ports.ExpectClean(f.DVA1)
	})
}, trial.Needing(impl.ClusterPorts))
