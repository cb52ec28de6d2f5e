// Package topo says what a Sysplex is: a topology file becomes a checked specification, and that
// a deterministic plan. It touches nothing.
package topo

import "net/netip"

// Plan is what must exist for a topology to live: everything decided, nothing touched. The
// same topology gives the same plan, byte for byte. It is passed to a supervisor as JSON.
type Plan struct {
	// Name is the name of the plex, 1 to 8 characters of A-Z, 0-9, @, # and $ as in a Sysplex name, upper case.
	Name string `json:"name"`
	// Symbols are the names for addresses that the file gives, in upper case.
	Symbols map[string]netip.Addr `json:"symbols,omitempty"`
	// Networks, each a bridge in the hub namespace, in the order of the file.
	Networks []PlanNetwork `json:"networks"`
	// Nodes, each a network namespace: routers, then stacks, then hosts, in the order of the file.
	Nodes []PlanNode `json:"nodes"`
	// Timers of the XCF group; handed to every stack.
	Timers Timers `json:"timers"`
	// ClusterPorts are handed to every stack.
	ClusterPorts PlanClusterPorts `json:"cluster_ports"`
	// Advertising of DVIPAs by a routing protocol; the zero value where owners answer for them on their
	// adapters.
	Advertising Advertising `json:"advertising,omitzero"`
	// Selection other than by the weights of the profiles; the zero value where there is none.
	Selection Selection `json:"selection,omitzero"`
	// Faults to be applied by the clock after the lab is ready, in order of time.
	Faults []PlanFault `json:"faults,omitempty"`
}

// PlanNetwork is one broadcast domain.
type PlanNetwork struct {
	Name   string       `json:"name"`
	Bridge string       `json:"bridge"` // name of the bridge in the hub, at most 15 bytes
	Subnet netip.Prefix `json:"subnet"`
	XCF    bool         `json:"xcf"`
	MTU    int          `json:"mtu"` // 1500 where the file says nothing
}

// Kind says what a node is.
type Kind string

// The kinds of node.
const (
	KindRouter Kind = "router" // forwards between its networks
	KindStack  Kind = "stack"  // runs an implementation
	KindHost   Kind = "host"   // a client, or a scripted peer on XCF
)

// PlanNode is one network namespace with its links.
type PlanNode struct {
	Name   string      `json:"name"`
	Kind   Kind        `json:"kind"`
	Links  []PlanLink  `json:"links"`
	Routes []PlanRoute `json:"routes,omitempty"`
	// Stack is set for KindStack only.
	Stack *PlanStack `json:"stack,omitempty"`
	// Applications are started in order once the plex has settled; in a stack, through its launcher.
	Applications []PlanApplication `json:"applications,omitempty"`
}

// PlanLink is a veth pair: Name in the node, Port on the bridge in the hub.
type PlanLink struct {
	Name      string         `json:"name"`    // xcf0, ext0, ext1, ...; at most 15 bytes
	Port      string         `json:"port"`    // at most 15 bytes, unique in the lab
	Network   string         `json:"network"` // name of a PlanNetwork
	MAC       string         `json:"mac"`     // locally administered, derived from names
	Addresses []netip.Prefix `json:"addresses"`
}

// PlanRoute is a route that the lab sets: outside ones only, a stack's way out over XCF is its own affair.
type PlanRoute struct {
	Destination netip.Prefix `json:"destination"`
	Via         netip.Addr   `json:"via"`
}

// PlanStack is what an implementation is started with.
type PlanStack struct {
	XCF          netip.Addr `json:"xcf"`
	XCFInterface string     `json:"xcf_interface"`
	// Implementation is the name that the file gives; empty: the one that the lab is told to use.
	Implementation string `json:"implementation,omitempty"`
	// Outside are the interfaces to the outside, none for an inside stack.
	Outside []string `json:"outside"`
	// Profile is the VIPADYNAMIC text with symbols replaced by addresses; empty for a stack without.
	Profile string `json:"profile"`
}

// PlanApplication is one process with the files it needs. Of the file's templates only the
// literal {{.Dir}} is left, the directory of Files: it is known when the process is started.
type PlanApplication struct {
	Name    string            `json:"name"` // what SOURCEIPA matches: 1 to 8 characters
	Command []string          `json:"command"`
	Files   map[string]string `json:"files,omitempty"` // by relative name
}

// Timers are in milliseconds; in a file, a field that is left out stands for the default named
// beside it. A plan has none left out.
type Timers struct {
	// Between two HELLOs, 1 to 60000. If left out, 20 for up to 22 stacks, more for more: 682 for 128.
	HelloMS int `json:"hello_ms" yaml:"hello_ms,omitempty"`
	// Of silence until a member is lost, at least twice hello_ms, at most 600000. If left out, three
	// times hello_ms.
	DeadMS int `json:"dead_ms" yaml:"dead_ms,omitempty"`
}

// PlanFault is one fault verb with its time after the lab is ready. The verbs and their arguments:
//
//	kill STACK                  its process ends, as if the system failed
//	freeze STACK, thaw STACK    its process stops and goes on
//	start STACK                 it is started again
//	link-down NODE LINK         such as MVS1 xcf0; link-up undoes it
//	drop NETWORK FROM TO        frames that node FROM sends to node TO get lost, one way
//	partition NETWORK GROUP...  nodes reach those of their group only, such as MVS1,MVS2
//	heal NETWORK                ends every drop and partition of the network
type PlanFault struct {
	// Milliseconds after the lab is ready; 0 is at once.
	AfterMS int `json:"after_ms" yaml:"after_ms"`
	// What happens: kill, freeze, thaw, start, link-down, link-up, drop, partition or heal.
	Verb string `json:"verb" yaml:"verb" jsonschema:"enum=kill,enum=freeze,enum=thaw,enum=start,enum=link-down,enum=link-up,enum=drop,enum=partition,enum=heal"`
	// To what.
	Args []string `json:"args" yaml:"args"`
}
