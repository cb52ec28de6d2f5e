// Package fig13 certifies Figure 13: a routing stack receives a message from another stack.
package fig13

import (
	"testing"

	"github.com/plexlab-dev/plexlab/conformance/trial"
	"github.com/plexlab-dev/plexlab/harness/impl"
)

func TestFigure13(t *testing.T) { trial.Suite(t, "fig13", impl.Core) }
