package trial

import (
	"slices"

	"github.com/onsi/ginkgo/v2"

	"github.com/plexlab-dev/plexlab/harness/impl"
	"github.com/plexlab-dev/plexlab/harness/verdict"
	"github.com/plexlab-dev/plexlab/topo"
)

// Mixed starts the Sysplex of a file of fixtures/topologies, as System does, with the other implementation on the stacks that are
// named and the one under test on all others. Profiles keep what both act upon.
func (f Family) Mixed(file string, others []string, change func(*topo.Topology)) *SystemTrial {
	ginkgo.GinkgoHelper()
	f.Needed()
	own, other := implementation(), otherImplementation()
	topology := f.topology(file, change)
	reduce(topology, own.Features()&other.Features())
	manifests := map[string]*impl.Manifest{}
	for i := range topology.Stacks {
		if stack := &topology.Stacks[i]; slices.Contains(others, stack.Name) {
			stack.Implementation = other.Name
			manifests[stack.Name] = other
		}
	}
	t := &Trial{Plan: planned(topology), Implementation: own, others: manifests}
	return &SystemTrial{family: f, Trial: t.build(nil), Client: "CLIENT"}
}

// OtherDeclares reports whether the implementation beside the one under test, in mixed plexes, declares a capability.
func OtherDeclares(capability impl.Capability) bool {
	ginkgo.GinkgoHelper()
	return otherImplementation().Has(capability)
}

func otherImplementation() *impl.Manifest {
	ginkgo.GinkgoHelper()
	other, err := impl.Read(otherPath(implementation()))
	verdict.Engine(err, "read the manifest of the other implementation")
	return other
}
