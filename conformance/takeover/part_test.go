package takeover

import (
	"github.com/plexlab-dev/plexlab/conformance/trial"
	"github.com/plexlab-dev/plexlab/topo"
)

// aroundDVA1 leaves of Figure 9 what has a part in the service of APPA: MVS1, which owns DVA1, MVS5, which backs it up, and the
// targets MVS2 and MVS4.
func aroundDVA1(t *topo.Topology) {
	trial.Serving("APPA")(t)
	trial.Without("MVS3")(t)
}
