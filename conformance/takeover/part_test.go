package takeover

import (
	"slices"

	"github.com/plexlab-dev/plexlab/conformance/trial"
	"github.com/plexlab-dev/plexlab/topo"
)

// aroundDVA1 leaves of Figure 9 what has a part in the service of APPA: MVS1, which owns DVA1, MVS5, which backs it up, and the
// targets MVS2 and MVS4.
func aroundDVA1(t *topo.Topology) {
	trial.Serving("APPA")(t)
	trial.Without("MVS3")(t)
}

// withoutBackup is aroundDVA1 without MVS5, for what leaves DVA1 where it is.
func withoutBackup(t *topo.Topology) {
	aroundDVA1(t)
	trial.Without("MVS5")(t)
}

// servedOnlyBy has the one service that is left run on some of its targets only. Other inside stacks on which nothing runs then are left out.
func servedOnlyBy(t *topo.Topology, targets ...string) {
	for _, stack := range t.Applications[0].On {
		if !slices.Contains(targets, stack) {
			trial.Without(stack)(t)
		}
	}
	t.Applications[0].On = targets
}
