// Package fig06 certifies Figure 6, a socket is closed, in every way that a socket ends.
package fig06

import (
	"testing"

	. "github.com/onsi/ginkgo/v2"

	"github.com/plexlab-dev/plexlab/conformance/trial"
	"github.com/plexlab-dev/plexlab/harness/impl"
	"github.com/plexlab-dev/plexlab/nodes/contract"
)

func TestFigure06(t *testing.T) { trial.Suite(t, "fig06") }

var at = trial.At

// clustered has MVS2 own DVA1 with cluster-wide ports, port 80 distributed to every stack.
func clustered(f trial.Family) contract.DVIPA {
	return f.Clustered(f.DVA1, 1, trial.On(trial.ToAll, trial.Only(80)))
}

// A target is a stack under test that is a target of what MVS2 owns, and a program on it.
type target struct {
	*trial.UnitTrial
	f       trial.Family
	mvs2    *trial.Partner
	program *trial.Program
	ports   *trial.PortFile
}

// newTarget starts a stack that is a target of addresses with cluster-wide ports.
func newTarget(f trial.Family, variant impl.Variant, dvipas ...contract.DVIPA) *target {
	GinkgoHelper()
	u := f.Unit(trial.UnitConfig{Inside: true, Partners: []int{2}, Variant: variant})
	t := &target{UnitTrial: u, f: f, mvs2: u.Join(2)}
	t.mvs2.Tell(dvipas...)
	t.program = u.Program(u.Stack, "APPA")
	t.ports = u.PortFile()
	t.ports.Activate(f.DVA1)
	return t
}

// passes has the stack take note of one more socket that is bound and closed, so that whatever was
// closed before has been dealt with.
func (t *target) passes() {
	GinkgoHelper()
	marker := t.program.Binds("marker", t.f.At(0))
	t.ports.Expect(marker, "unique MVS1")
	t.program.Do("close marker")
	t.ports.Eventually(marker, "available")
}
