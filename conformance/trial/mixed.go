package trial

import (
	"slices"

	"github.com/onsi/ginkgo/v2"

	"github.com/plexlab-dev/plexlab/harness/impl"
	"github.com/plexlab-dev/plexlab/harness/verdict"
	"github.com/plexlab-dev/plexlab/topo"
)

// A Mix says which stacks of a mixed plex run which implementation: those that are named the other one, all others
// the one under test.
type Mix struct {
	Others []string
	// BacksUp is a stack that takes over for others; empty for a plex without.
	BacksUp string
}

// Mixed starts the Sysplex of a file of fixtures/topologies of stacks of two implementations, as System does. Profiles
// keep what both act upon. An implementation that does not declare takeover backs nothing up: where it is the one under test
// the spec ends as UNIMPLEMENTED, where it is the other one the spec is skipped.
func (f Family) Mixed(file string, mix Mix, change func(*topo.Topology)) *SystemTrial {
	ginkgo.GinkgoHelper()
	f.Needed()
	own := implementation()
	other, err := impl.Read(otherPath(own))
	verdict.Engine(err, "read the manifest of the other implementation")
	switch {
	case mix.BacksUp == "":
	case !slices.Contains(mix.Others, mix.BacksUp):
		Needs(impl.Takeover)
	case !other.Has(impl.Takeover):
		ginkgo.Skip(other.Name + ", beside the implementation under test, does not declare takeover")
	}
	topology := f.topology(file, change)
	reduce(topology, own.Features()&other.Features())
	others := map[string]*impl.Manifest{}
	for i := range topology.Stacks {
		if stack := &topology.Stacks[i]; slices.Contains(mix.Others, stack.Name) {
			stack.Implementation = other.Name
			others[stack.Name] = other
		}
	}
	t := &Trial{Plan: planned(topology), Implementation: own, others: others}
	return &SystemTrial{family: f, Trial: t.build(nil), Client: "CLIENT"}
}
