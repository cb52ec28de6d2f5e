package trial

import (
	"fmt"
	"net/netip"

	"github.com/onsi/ginkgo/v2"

	"github.com/plexlab-dev/plexlab/harness/verdict"
	"github.com/plexlab-dev/plexlab/nodes/profile"
	"github.com/plexlab-dev/plexlab/topo"
)

// reduce leaves out of the profiles of a topology what an implementation does not act upon, and so has to
// refuse: cluster-wide ports, ranges and source addresses. The topologies of the fixtures are whole examples;
// a spec that needs more of one than distribution says so (Needs).
func reduce(topology *topo.Topology, features profile.Features) {
	ginkgo.GinkgoHelper()
	symbols := profile.Symbols{}
	for name, address := range topology.Symbols {
		symbols[name] = netip.MustParseAddr(address)
	}
	for i := range topology.Stacks {
		stack := &topology.Stacks[i]
		p, err := profile.Parse(stack.Name, []byte(stack.Profile), symbols)
		verdict.Engine(err, "read the profile of %s", stack.Name)
		if p.Unsupported(features) == nil {
			continue
		}
		if features&profile.ClusterPorts == 0 {
			for i := range p.Defines {
				p.Defines[i].ClusterPorts = profile.Option{}
			}
			for i := range p.Distributes {
				p.Distributes[i].ClusterPorts = profile.Option{}
			}
		}
		if features&profile.Ranges == 0 {
			p.Ranges = nil
		}
		if features&profile.SourceIPAs == 0 {
			p.SourceIPAs = nil
		}
		stack.Profile = fmt.Sprint(p)
	}
}
