package control

import "net/netip"

// Ports is GET /v1/ports: the ports of the DVIPAs with CLUSTERPORTS, as the whole plex holds
// them. With sharing "distributor", that is so for the DVIPAs that the stack owns; of others it is
// what the stack holds itself.
type Ports struct {
	// Sharing is how the stacks share ports: "port-file", or "distributor" where the owner of
	// a DVIPA keeps its table.
	Sharing string `json:"sharing"`
	// State is "ok"; "filling" while stacks have still to tell what they hold, so that some
	// binds fail with EAGAIN; or "degraded", when binds that need the ports fail.
	State string `json:"state"`
	// Problem says why the state is not "ok", in words for a person, and what can be done.
	Problem string       `json:"problem,omitempty"`
	DVIPAs  []DVIPAPorts `json:"dvipas"`
	// Findings of the audit: the bitmap of available ports, the usage structure of each stack
	// and the sockets of the answering stack, against one another. None is what is wanted.
	Findings []PortFinding `json:"findings"`
}

// The states of Ports and of DVIPAPorts.
const (
	PortsOK       = "ok"
	PortsFilling  = "filling"
	PortsDegraded = "degraded"
)

// The sharing techniques of Ports.
const (
	SharingPortFile    = "port-file"
	SharingDistributor = "distributor"
)

// DVIPAPorts are the ports of one DVIPA.
type DVIPAPorts struct {
	DVIPA netip.Addr `json:"dvipa"`
	// Owner is the other stack that keeps the table, with sharing "distributor": then Ports and the
	// counts are of what the answering stack holds, and Available is 0. Else empty.
	Owner string `json:"owner,omitempty"`
	// State and Problem are those of this DVIPA alone, where not all suffer.
	State   string `json:"state"`
	Problem string `json:"problem,omitempty"`
	// First and Last bound the pool that port 0 is served from.
	First uint16 `json:"first"`
	Last  uint16 `json:"last"`
	// Available counts the ports of the pool that port 0 can be given now.
	Available int `json:"available"`
	// Unique, Shared and Resting count the ports in use and at rest, in the pool or not.
	Unique  int `json:"unique"`
	Shared  int `json:"shared"`
	Resting int `json:"resting"`
	// Ports are those that are unique, shared or resting, ascending, as far as the limit goes.
	Ports []ClusterPort `json:"ports"`
}

// The uses of a ClusterPort.
const (
	UseUnique  = "unique"  // one holder in the plex
	UseShared  = "shared"  // a distributed port, any stack may hold it (I15)
	UseResting = "resting" // free, given out by number only
)

// ClusterPort is one port of a DVIPA.
type ClusterPort struct {
	Port uint16 `json:"port"`
	Use  string `json:"use"`
	// Holders are the names of the stacks that hold it, ascending; none of a resting port.
	Holders []string `json:"holders"`
	// RestingMS is how long a resting port goes on resting, in milliseconds; else 0.
	RestingMS int64 `json:"resting_ms,omitempty"`
}

// The kinds of a PortFinding.
const (
	FindingInconsistent   = "inconsistent"    // an update that is not completed, or a port in use that rests
	FindingNoHolder       = "no-holder"       // in use by the bitmap, and no stack has it
	FindingHeldAvailable  = "held-available"  // available by the bitmap, and a stack has it
	FindingSeveralHolders = "several-holders" // unique, and several stacks have it
	FindingDeadHolder     = "dead-holder"     // a stack has it that does not live any more
	FindingNoSocket       = "no-socket"       // the answering stack has it, and no socket uses it
	FindingNotHeld        = "not-held"        // a socket of the answering stack uses it, and the stack does not have it
)

// PortFinding is one contradiction that the audit found.
type PortFinding struct {
	DVIPA netip.Addr `json:"dvipa"`
	Port  uint16     `json:"port"`
	Kind  string     `json:"kind"`
	// Stacks are those concerned, by name; none of FindingNoHolder.
	Stacks []string `json:"stacks,omitempty"`
	// Text says it in words for a person.
	Text string `json:"text"`
}
