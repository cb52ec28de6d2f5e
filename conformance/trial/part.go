package trial

import (
	"slices"

	"github.com/plexlab-dev/plexlab/topo"
)

// The topologies of the fixtures are whole examples. A spec that is about one of their services need start neither the
// servers of the others nor stacks that have no part in it.

// Serving leaves out of a topology all applications but the named ones.
func Serving(applications ...string) func(*topo.Topology) {
	return func(t *topo.Topology) {
		t.Applications = slices.DeleteFunc(t.Applications, func(a topo.Application) bool {
			return !slices.Contains(applications, a.Name)
		})
	}
}

// Without leaves out of a topology stacks on which nothing runs that is left.
func Without(stacks ...string) func(*topo.Topology) {
	return func(t *topo.Topology) {
		t.Stacks = slices.DeleteFunc(t.Stacks, func(s topo.Stack) bool { return slices.Contains(stacks, s.Name) })
	}
}

// AroundDVB1 leaves of Figure 9 what has a part in the service of APPB: MVS5, which owns DVB1, and the targets MVS2 and
// MVS3. DVA1, which nobody asks for, falls to MVS5.
func AroundDVB1(t *topo.Topology) {
	Serving("APPB")(t)
	Without("MVS1", "MVS4")(t)
}
