// Package fig14 certifies Figure 14, a listening socket is terminated.
package fig14

import (
	"testing"

	"github.com/plexlab-dev/plexlab/conformance/trial"
	"github.com/plexlab-dev/plexlab/harness/impl"
)

func TestFigure14(t *testing.T) { trial.Suite(t, "fig14", impl.ClusterPorts) }

var at = trial.At
