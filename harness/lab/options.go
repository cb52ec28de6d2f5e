package lab

import (
	"cmp"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"time"

	"github.com/plexlab-dev/plexlab/harness/impl"
	"github.com/plexlab-dev/plexlab/harness/lab/internal/supervisor"
	"github.com/plexlab-dev/plexlab/harness/lab/internal/wire"
	"github.com/plexlab-dev/plexlab/topo"
)

// Options say how Up builds a lab. The zero value builds one that is tied to the caller, of
// a plan without stacks.
type Options struct {
	// Name of the lab: 1 to 48 letters, digits or @ # $ . _ -, not in use by another lab of the
	// same user. Empty: the name of the plan.
	Name string
	// Implementation starts every stack that Implementations does not name. It may be nil if all
	// are named there.
	Implementation *impl.Manifest
	// Implementations start single stacks, by the stack's name.
	Implementations map[string]*impl.Manifest
	// Supervisor is the command whose process calls Supervise. Empty: this program with the
	// argument "supervise".
	Supervisor []string
	// Detach lets the lab outlive the caller once it is ready; it then stays until Down. Without
	// it, or before it is ready, the lab ends when the caller does.
	Detach bool
	// Names gives every node a name under /run/netns, LAB-NODE, for ip-netns(8). It takes
	// root. A lab that is killed leaves these names behind, pointing nowhere.
	Names bool
	// Progress, if not nil, is called for each step, one call at a time.
	Progress func(Step)
}

// SupervisorOf is the command that supervises the labs of plexlab, the program at the path: the program
// "supervisor" that is built with it and lies beside it, which takes half the time to start, or, where
// that is not there, plexlab itself.
func SupervisorOf(plexlab string) []string {
	beside := filepath.Join(filepath.Dir(plexlab), "supervisor")
	if _, err := exec.LookPath(beside); err == nil {
		return []string{beside}
	}
	return []string{plexlab, "supervise"}
}

// Supervise is the life of a supervisor. The command that Options.Supervisor names calls it
// and exits with its result. It does not work in any other process.
func Supervise() (exitStatus int) { return supervisor.Run() }

// What a supervisor tells of itself.
type (
	// Step is one step on the way to a lab that is ready.
	Step = wire.Step
	// StepKind is a kind of step.
	StepKind = wire.StepKind
	// Status is the state of a lab.
	Status = wire.Status
	// StatusNode is the state of a node.
	StatusNode = wire.StatusNode
	// StatusApplication is the state of an application of the plan.
	StatusApplication = wire.StatusApplication
	// StatusFault is the state of a scheduled fault.
	StatusFault = wire.StatusFault
	// State of a stack or an application.
	State = wire.State
	// Counters of a link.
	Counters = wire.Counters
	// Exited says how a process ended.
	Exited = wire.Exited
)

// The kinds of step, in the order in which they come.
const (
	StepSupervisor  = wire.StepSupervisor  // the supervisor has its namespaces and file system
	StepNetworks    = wire.StepNetworks    // namespaces, bridges, links, addresses, routes
	StepRouter      = wire.StepRouter      // a router's routing daemon was started
	StepStack       = wire.StepStack       // a stack's process was started
	StepSettled     = wire.StepSettled     // every stack is ready and sees all others
	StepApplication = wire.StepApplication // an application runs
	StepRoutes      = wire.StepRoutes      // routers know the DVIPAs that are advertised to them
	StepReady       = wire.StepReady       // the lab is ready
)

// The states.
const (
	StateStopped    = wire.StateStopped    // not started yet
	StateRunning    = wire.StateRunning    // its process runs
	StateFrozen     = wire.StateFrozen     // stopped by Freeze
	StateFailed     = wire.StateFailed     // its process ended, not by Down
	StateBackground = wire.StateBackground // an application whose first process left others behind
)

// ErrGone is wrapped by what is asked of a lab that has ended.
var ErrGone = errors.New("the lab has ended")

// A StackError is of a stack that did not come up although its program was started.
type StackError = wire.StackError

// RefusedError says that the machine does not let this user build a lab.
type RefusedError struct {
	Reason string // what is missing, and what to do
	Err    error
}

// Error says what is missing.
func (e *RefusedError) Error() string { return fmt.Sprintf("build a lab: %v: %s", e.Err, e.Reason) }

// Unwrap is the kernel's own error.
func (e *RefusedError) Unwrap() error { return e.Err }

// OptionsError says what is wrong with Options; nothing was started.
type OptionsError struct{ Err error }

// Error is that of Err.
func (e *OptionsError) Error() string { return e.Err.Error() }

// Unwrap is Err.
func (e *OptionsError) Unwrap() error { return e.Err }

// downTimeout bounds the wait for the end of a lab that was asked to end: the supervisor
// allows its processes 0.3 seconds.
const downTimeout = 5 * time.Second

// check completes the options and says what is wrong with them, before anything is started.
func (o Options) check(plan *topo.Plan) (Options, error) {
	if plan == nil {
		return o, errors.New("build a lab: there is no plan")
	}
	if o.Name == "" {
		o.Name = plan.Name
	}
	if err := wire.CheckLabName(o.Name); err != nil {
		return o, err
	}
	if len(o.Supervisor) == 0 {
		o.Supervisor = []string{"/proc/self/exe", "supervise"}
	}
	var stacks []string
	for _, node := range plan.Nodes {
		if node.Kind != topo.KindStack {
			continue
		}
		stacks = append(stacks, node.Name)
		implementation := cmp.Or(o.Implementations[node.Name], o.Implementation)
		if implementation == nil {
			return o, fmt.Errorf("build lab %s: no implementation for stack %s", o.Name, node.Name)
		}
		if method := plan.Advertising.Method; method != "" && len(node.Stack.Outside) > 0 && !implementation.Has(impl.Advertising) {
			return o, fmt.Errorf("build lab %s: the topology has DVIPAs advertised by %s, and implementation %s of stack %s does not declare the capability %s",
				o.Name, method, implementation.Name, node.Name, impl.Advertising)
		}
		if method := plan.Selection.Method; method != "" && !implementation.Has(impl.Selection) {
			return o, fmt.Errorf("build lab %s: the topology has connections distributed by %s, and implementation %s of stack %s does not declare the capability %s",
				o.Name, method, implementation.Name, node.Name, impl.Selection)
		}
		if err := implementation.FindProgram(impl.Parameters{Plex: plan.Name, Stack: node.Name}); err != nil {
			return o, fmt.Errorf("build lab %s: start stack %s with implementation %s: %w", o.Name, node.Name, implementation.Name, err)
		}
	}
	for name := range o.Implementations {
		if !slices.Contains(stacks, name) {
			return o, fmt.Errorf("build lab %s: an implementation is given for %s, which is no stack of the plan", o.Name, name)
		}
	}
	return o, nil
}
