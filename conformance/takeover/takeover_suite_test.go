// Package takeover certifies what becomes of DVIPAs when stacks and links fail, come back, join and leave: takeover
// by the backup chain, takeback, one owner at most, and what an operator may ask for.
package takeover

import (
	"testing"

	"github.com/plexlab-dev/plexlab/conformance/trial"
	"github.com/plexlab-dev/plexlab/harness/impl"
)

func TestTakeover(t *testing.T) { trial.Suite(t, "takeover", impl.Takeover) }
