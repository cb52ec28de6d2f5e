// Package fig10 certifies Figure 10: a routing stack initializes.
package fig10

import (
	"testing"

	"github.com/plexlab-dev/plexlab/conformance/trial"
	"github.com/plexlab-dev/plexlab/harness/impl"
)

func TestFigure10(t *testing.T) { trial.Suite(t, "fig10", impl.Core) }
