package wire

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"github.com/plexlab-dev/plexlab/harness/impl"
	"github.com/plexlab-dev/plexlab/harness/netns"
	"github.com/plexlab-dev/plexlab/topo"
)

// Setup is the first message to a supervisor, on the socket that it inherits.
type Setup struct {
	Version int        `json:"version"`
	Name    string     `json:"name"` // of the lab
	Plan    *topo.Plan `json:"plan"`
	// Implementation starts every stack that Implementations does not name.
	Implementation  *impl.Manifest            `json:"implementation,omitempty"`
	Implementations map[string]*impl.Manifest `json:"implementations,omitempty"`
	// UID is the user of the client, for the name of the lab's abstract socket.
	UID int `json:"uid"`
	// Names: namespaces get names under /run/netns, which lead there by Pid, the supervisor's
	// number as its client sees it.
	Names bool `json:"names,omitempty"`
	Pid   int  `json:"pid,omitempty"`
}

// Detach follows Setup once the client has seen that the lab is ready, if it is to stay when the
// client goes. The end of the stream without it ends the lab, at any time.
type Detach struct {
	Detach bool `json:"detach"`
}

// Report is what a supervisor says on that socket until the lab is ready. Exactly one field is set.
type Report struct {
	Step  *Step  `json:"step,omitempty"`
	Ready bool   `json:"ready,omitempty"`
	Error *Error `json:"error,omitempty"`
}

// Step tells of one thing that was done on the way to a lab that is ready.
type Step struct {
	// Kind of thing.
	Kind StepKind `json:"kind"`
	// Object is the node, or NODE/APPLICATION; empty for the lab as a whole.
	Object string `json:"object,omitempty"`
	// Detail is a few words for a person.
	Detail string `json:"detail,omitempty"`
	// Took is the time for this thing alone, At the time since the lab was asked for.
	Took time.Duration `json:"took"`
	At   time.Duration `json:"at"`
}

// StepKind is a kind of step.
type StepKind string

// The kinds of step, in the order in which they come.
const (
	StepSupervisor  StepKind = "supervisor"  // namespaces of its own, file system
	StepNetworks    StepKind = "networks"    // namespaces, bridges, links, addresses, routes
	StepRouter      StepKind = "router"      // a router's routing daemon was started
	StepStack       StepKind = "stack"       // a stack's process was started
	StepSettled     StepKind = "settled"     // every stack is ready and sees all others
	StepApplication StepKind = "application" // an application runs
	StepRoutes      StepKind = "routes"      // routers know the DVIPAs that are advertised to them
	StepReady       StepKind = "ready"
)

// Request asks a supervisor for something. Which other fields count depends on the operation.
type Request struct {
	Version     int       `json:"version"`
	Operation   Operation `json:"operation"`
	Node        string    `json:"node,omitempty"`
	Application string    `json:"application,omitempty"`
	Socket      *Socket   `json:"socket,omitempty"`
	Exec        *Exec     `json:"exec,omitempty"`
	Fault       *Fault    `json:"fault,omitempty"`
}

// Operation is what a request asks for.
type Operation string

// The operations.
const (
	OperationStatus   Operation = "status"   // answered by Status
	OperationPlan     Operation = "plan"     // by topo.Plan
	OperationKey      Operation = "key"      // by the plex key, base64 as JSON has it
	OperationDown     Operation = "down"     // by nothing: the lab ends
	OperationSocket   Operation = "socket"   // Node, Socket; by one file
	OperationExec     Operation = "exec"     // Node, Exec, three files or none; by Started, in the end by Exited
	OperationLog      Operation = "log"      // Node, Application; by one file
	OperationFault    Operation = "fault"    // Fault; by nothing
	OperationCounters Operation = "counters" // by map[string]map[string]Counters
)

// Answer answers a request. Error and Body are never both set.
type Answer struct {
	Error *Error          `json:"error,omitempty"`
	Body  json.RawMessage `json:"body,omitempty"`
}

// Socket describes a socket to be created in a node.
type Socket struct {
	Domain   int `json:"domain"`
	Type     int `json:"type"`
	Protocol int `json:"protocol"`
	// Interface, for a packet socket, is the link to bind to, with promiscuous mode on.
	Interface string `json:"interface,omitempty"`
}

// Exec describes a process to be started in a node.
type Exec struct {
	Argv []string `json:"argv"`
	Env  []string `json:"env,omitempty"` // added to the supervisor's environment
	Dir  string   `json:"dir,omitempty"`
	// Application, in a stack: run through the launcher under this name.
	Application string `json:"application,omitempty"`
}

// Started says that a process runs; files received with it: its log, where it has no other
// standard output.
type Started struct {
	Pid int `json:"pid"` // in the lab's PID namespace
}

// Exited is the end of a process.
type Exited struct {
	Code   int         `json:"code"`             // exit status, or -1 when Signal is set
	Signal unix.Signal `json:"signal,omitempty"` // that ended it
}

// Success reports an exit status of zero.
func (e Exited) Success() bool { return e.Code == 0 && e.Signal == 0 }

// String says in words how the process ended.
func (e Exited) String() string {
	if e.Signal != 0 {
		return fmt.Sprintf("killed by signal %d (%s)", int(e.Signal), unix.SignalName(e.Signal))
	}
	return fmt.Sprintf("exit status %d", e.Code)
}

// Signal is sent by the client of a running process.
type Signal struct {
	Number unix.Signal `json:"number"`
}

// Fault is a verb with its arguments, as in topo.PlanFault.
type Fault struct {
	Verb string   `json:"verb"`
	Args []string `json:"args"`
}

// Counters are the counters of a link since it was created, as its node sees them.
type Counters struct {
	ReceivedPackets uint64 `json:"received_packets"`
	ReceivedBytes   uint64 `json:"received_bytes"`
	ReceivedDropped uint64 `json:"received_dropped"`
	SentPackets     uint64 `json:"sent_packets"`
	SentBytes       uint64 `json:"sent_bytes"`
	SentDropped     uint64 `json:"sent_dropped"`
	// Carrier: both ends of the link are up.
	Carrier bool `json:"carrier"`
}

// Status is the state of a lab.
type Status struct {
	Name    string        `json:"name"`
	Plex    string        `json:"plex"`
	Started time.Time     `json:"started"`
	Hub     netns.ID      `json:"hub"`
	Nodes   []StatusNode  `json:"nodes"` // in the order of the plan
	Limits  []string      `json:"limits,omitempty"`
	Faults  []StatusFault `json:"faults,omitempty"` // the scheduled ones, in their order
}

// StatusNode is the state of a node.
type StatusNode struct {
	Name      string    `json:"name"`
	Kind      topo.Kind `json:"kind"`
	Namespace netns.ID  `json:"namespace"`
	// State of a stack; empty for other nodes.
	State State `json:"state,omitempty"`
	// Pid of a stack's process in the lab's PID namespace, 0 if there is none.
	Pid int `json:"pid,omitempty"`
	// Implementation of a stack, by name.
	Implementation string `json:"implementation,omitempty"`
	// Reason says how a stack that failed ended.
	Reason       string              `json:"reason,omitempty"`
	Applications []StatusApplication `json:"applications,omitempty"`
}

// StatusApplication is the state of an application of the plan.
type StatusApplication struct {
	Name  string `json:"name"`
	State State  `json:"state"`
	// Pid as above; 0 also for one that has put itself into the background.
	Pid    int    `json:"pid,omitempty"`
	Reason string `json:"reason,omitempty"`
}

// State of a process of the lab.
type State string

// The states.
const (
	StateStopped    State = "stopped"    // not started yet
	StateRunning    State = "running"    // its process runs
	StateFrozen     State = "frozen"     // stopped by the freeze verb
	StateFailed     State = "failed"     // its process ended, not by down
	StateBackground State = "background" // an application whose first process left others behind
)

// StatusFault is one scheduled fault.
type StatusFault struct {
	topo.PlanFault
	Done  bool   `json:"done"`
	Error string `json:"error,omitempty"`
}

// Error is an error on its way to the other side. The errno survives, and the stack of a StackError; the rest is text.
type Error struct {
	Message string     `json:"message"`
	Errno   unix.Errno `json:"errno,omitempty"`
	Stack   string     `json:"stack,omitempty"`
}

// NewError packs an error.
func NewError(err error) *Error {
	packed := &Error{Message: err.Error()}
	errors.As(err, &packed.Errno)
	if stack := (*StackError)(nil); errors.As(err, &stack) {
		packed.Stack = stack.Stack
	}
	return packed
}

// Error is the text of the original.
func (e *Error) Error() string { return e.Message }

// Unwrap lets errors.Is find the errno of the original, and errors.As its StackError.
func (e *Error) Unwrap() (errs []error) {
	if e.Errno != 0 {
		errs = append(errs, e.Errno)
	}
	if e.Stack != "" {
		errs = append(errs, &StackError{e.Stack, errors.New(e.Message)})
	}
	return errs
}

// A StackError is of a stack that did not come up although its program was started: it has ended, or was not ready in time.
// That is the implementation's doing, unlike every other error of a lab.
type StackError struct {
	Stack string // name
	Err   error
}

func (e *StackError) Error() string { return e.Err.Error() }

// Unwrap is the error.
func (e *StackError) Unwrap() error { return e.Err }
