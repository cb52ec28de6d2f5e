// Package fig07 certifies Figure 7: the distributing processor receives a message.
package fig07

import (
	"testing"

	"github.com/plexlab-dev/plexlab/conformance/trial"
	"github.com/plexlab-dev/plexlab/harness/impl"
)

func TestFigure7(t *testing.T) { trial.Suite(t, "fig07", impl.Core) }
