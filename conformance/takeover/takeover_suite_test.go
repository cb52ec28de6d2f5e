// Package takeover certifies what becomes of DVIPAs when stacks and links fail, come back, join and leave: takeover
// by the backup chain, takeback, one owner at most, and what an operator may ask for.
package takeover

import (
	"slices"
	"testing"

	. "github.com/onsi/ginkgo/v2"

	"github.com/plexlab-dev/plexlab/conformance/trial"
	"github.com/plexlab-dev/plexlab/harness/impl"
)

func TestTakeover(t *testing.T) { trial.Suite(t, "takeover", impl.Backup) }

// forBackups is the label of specs that hold every backup to what it does. All others are of takeover as a whole.
const forBackups = "backup"

var _ = BeforeEach(func() {
	if !slices.Contains(CurrentSpecReport().Labels(), forBackups) {
		trial.Needs(impl.Takeover)
	}
})
