// Package fig15 certifies Figure 15, an application binds: what it gets, what the coupling facility
// shows and what the routing stack is told.
package fig15

import (
	"net/netip"
	"testing"

	. "github.com/onsi/ginkgo/v2"

	"github.com/plexlab-dev/plexlab/conformance/trial"
	"github.com/plexlab-dev/plexlab/harness/impl"
	"github.com/plexlab-dev/plexlab/nodes/contract"
)

func TestFigure15(t *testing.T) { trial.Suite(t, "fig15", impl.ClusterPorts) }

var at = trial.At

// The ways through Figure 15 that end well: with a port named, with port 0, without cluster-wide
// ports, and to an address that is no DVIPA.
const (
	named        = "200-yes->203 203-no->204 204-yes->208 208->210 210-yes->216 216-yes->220 220-yes->224 224->228 228->end"
	selected     = "200-yes->203 203-yes->205 205-selected->208 208->210 210-yes->216 216-yes->220 220-yes->224 224->228 228->end"
	plain        = "200-no->210 210-yes->216 216-yes->220 220-yes->224 224->228 228->end"
	conventional = "200-no->210 210-no->212 212-yes->214 214->end"
)

// owner is the profile of a stack that owns DVA1 with cluster-wide ports, port 80 distributed, and
// DVB1 without.
const owner = `
	VIPADYNAMIC
	VIPADEFINE CLUSTERPORTS MASK DVA1
	VIPADEFINE MASK DVB1
	VIPADISTRIBUTE DVA1 PORT 80 DESTIP ALL
	ENDVIPADYNAMIC`

// clustered is what MVS2 lists in place of that, where the stack under test is a target.
func clustered(f trial.Family) contract.DVIPA {
	return f.Clustered(f.DVA1, 1, trial.On(trial.ToAll, trial.Only(80)))
}

// A stack is the one under test with a program on it, MVS2 as its partner and the port file.
type stack struct {
	*trial.UnitTrial
	mvs2    *trial.Partner
	program *trial.Program
	ports   *trial.PortFile
}

// newStack starts a stack; with a list it is a target of MVS2.
func newStack(f trial.Family, c trial.UnitConfig, list ...contract.DVIPA) *stack {
	GinkgoHelper()
	c.Partners = []int{2}
	u := f.Unit(c)
	s := &stack{UnitTrial: u, mvs2: u.Join(2)}
	s.program = u.Program(u.Stack, "APPA")
	s.ports = u.PortFile()
	if len(list) > 0 {
		s.mvs2.Tell(list...)
	}
	for _, d := range list {
		if d.ClusterPorts {
			s.ports.Activate(d.Prefix.Addr())
		}
	}
	return s
}

// binds expects that a bind succeeds on one way through the figure.
func (s *stack) binds(name string, to netip.AddrPort, path string) (bound netip.AddrPort) {
	GinkgoHelper()
	s.ExpectPath("fig15", path, func() { bound = s.program.Binds(name, to) })
	return bound
}
