// Package fig12 certifies Figure 12: a packet from the network at the routing stack.
package fig12

import (
	"testing"

	"github.com/plexlab-dev/plexlab/conformance/trial"
	"github.com/plexlab-dev/plexlab/harness/impl"
)

func TestFigure12(t *testing.T) { trial.Suite(t, "fig12", impl.Core) }
