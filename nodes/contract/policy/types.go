// Package policy is the interface between stacks and a policy agent (T30): a program that is asked for
// the weights by which new connections are distributed. It is HTTP and JSON over a Unix socket on
// which the agent listens, as openapi.yaml of this directory describes it. The package holds the bodies
// and the stack's side.
package policy

import "net/netip"

// Request is the body of POST /v1/weights: one service and its current actual targets.
type Request struct {
	Plex string `json:"plex"`
	// Stack is the routing stack that asks.
	Stack string     `json:"stack"`
	DVIPA netip.Addr `json:"dvipa"`
	// Port of the service, 1 to 65535.
	Port    uint16   `json:"port"`
	Targets []Target `json:"targets"`
}

// Target is a stack that connections of the service may be given to.
type Target struct {
	XCF   netip.Addr `json:"xcf"`
	Stack string     `json:"stack,omitempty"` // empty if the name is not known
	// Static is the weight that the profile gives, 1 to 65535; Weight the one in force.
	Static uint32 `json:"static"`
	Weight uint32 `json:"weight"`
	// Workload is what the system of the stack reported last; nil while it has not.
	Workload *Workload `json:"workload,omitempty"`
}

// Workload is how busy a system is.
type Workload struct {
	// Capacity is its processors in thousandths, and Load how many of them are in use: 0 to Capacity.
	Capacity uint32 `json:"capacity"`
	Load     uint32 `json:"load"`
	// Connections to DVIPAs that the stack holds.
	Connections uint32 `json:"connections"`
	// AgeMS is how long ago it was reported, in milliseconds.
	AgeMS int64 `json:"age_ms"`
}

// Answer gives weights by XCF address, 1 to 65535. A target that is not named keeps the weight in force;
// addresses that are no targets are passed over.
type Answer struct {
	Weights map[netip.Addr]uint32 `json:"weights"`
}
