// Package fig05 certifies Figure 5, a server opens a listening socket, where ports are assigned
// cluster-wide; suite fig11 certifies it where they are not. The stack under test is a target; the
// routing stack is scripted.
package fig05

import (
	"testing"

	"github.com/plexlab-dev/plexlab/conformance/trial"
	"github.com/plexlab-dev/plexlab/harness/impl"
)

func TestFigure05(t *testing.T) { trial.Suite(t, "fig05", impl.ClusterPorts) }

var at = trial.At
