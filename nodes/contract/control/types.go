// Package control is the control API of a stack: HTTP and JSON over a Unix socket, as
// openapi.yaml of this directory describes it. It holds the bodies and a client.
package control

import "net/netip"

// Ready is the answer to GET /v1/ready, with status 200 when the stack is ready and 503 before.
type Ready struct {
	Implementation string `json:"implementation"`
	Version        string `json:"version"`
	Stack          string `json:"stack"`
	Incarnation    uint64 `json:"incarnation,string"`
	// Ready: the stack serves its applications and takes part in the plex.
	Ready bool `json:"ready"`
	// Members counts the members that the stack sees, itself included.
	Members int `json:"members"`
	// Settled: every member that the stack sees has ended its list (END_OF_LIST).
	Settled bool `json:"settled"`
	// Reason says why a stack is not ready, in words for a person.
	Reason string `json:"reason,omitempty"`
}

// Home is GET /v1/home: the home list, every address the stack has.
type Home struct {
	Addresses []HomeAddress `json:"addresses"`
}

// HomeAddress is one row of the home list.
type HomeAddress struct {
	Address   netip.Prefix `json:"address"`
	Interface string       `json:"interface"`
	// Kind is "real", "xcf", "loopback" or "dvipa".
	Kind string `json:"kind"`
	// Advertised: the network is told that this stack has the address.
	Advertised bool `json:"advertised"`
}

// VIPADCFG is GET /v1/vipadcfg: the definitions in force, as statements of the profile language.
type VIPADCFG struct {
	Statements []string `json:"statements"`
}

// VIPADYN is GET /v1/vipadyn: every DVIPA that the stack knows.
type VIPADYN struct {
	DVIPAs []DynamicVIPA `json:"dvipas"`
}

// DynamicVIPA is one row of VIPADYN.
type DynamicVIPA struct {
	DVIPA        netip.Addr `json:"dvipa"`
	PrefixLength int        `json:"prefix_length"`
	// Status is "active" (owned and advertised here), "target" (internal address),
	// "backup" (list kept) or "inactive".
	Status string `json:"status"`
	// Origin is the statement: "VIPADEFine", "VIPABackup", "VIPARange" or "VIPA_LIST".
	Origin string `json:"origin"`
	// Rank is 1 to 254 for a backup, else 0.
	Rank int `json:"rank,omitempty"`
	// Owner is the name of the routing stack, empty if unknown.
	Owner        string `json:"owner,omitempty"`
	Epoch        uint64 `json:"epoch,string"`
	Distributed  bool   `json:"distributed"`
	ClusterPorts bool   `json:"cluster_ports"`
}

// VDPT is GET /v1/vdpt: the destination port table.
type VDPT struct {
	Entries []DPTEntry `json:"entries"`
}

// DPTEntry is one current actual target of one service.
type DPTEntry struct {
	DVIPA  netip.Addr `json:"dvipa"`
	Port   uint16     `json:"port"`
	Target netip.Addr `json:"target"`
	Stack  string     `json:"stack,omitempty"`
	Weight uint32     `json:"weight"`
}

// VCRT is GET /v1/vcrt: the connection routing table, at most Limit entries of Total.
type VCRT struct {
	Total   int        `json:"total"`
	Entries []CRTEntry `json:"entries"`
}

// CRTEntry is one row of the connection routing table.
type CRTEntry struct {
	// Source is zero (0.0.0.0:0 or [::]:0) for a unique port.
	Source netip.AddrPort `json:"source"`
	DVIPA  netip.AddrPort `json:"dvipa"`
	Target netip.Addr     `json:"target"`
	Stack  string         `json:"stack,omitempty"`
	Unique bool           `json:"unique,omitempty"`
	// ExpiresMS is the rest of its timeout in milliseconds; 0: stays until ended.
	ExpiresMS int64 `json:"expires_ms,omitempty"`
}

// Group is GET /v1/group: the members of the XCF group.
type Group struct {
	Plex    string        `json:"plex"`
	Members []GroupMember `json:"members"`
	// Problem says what keeps this stack out of the group (a name already taken), else empty.
	Problem string `json:"problem,omitempty"`
}

// GroupMember is one row of Group; the stack itself is in it.
type GroupMember struct {
	Stack       string     `json:"stack"`
	XCF         netip.Addr `json:"xcf"`
	Incarnation uint64     `json:"incarnation,string"`
	Outside     bool       `json:"outside"`
	Self        bool       `json:"self,omitempty"`
	// HeardMS is the age of the last HELLO in milliseconds; 0 for the stack itself.
	HeardMS int64 `json:"heard_ms"`
}

// Trace is GET /v1/trace?since=N: the steps after number N, oldest first, and for every edge
// passed since start how often, those that packets passed in the data path included.
type Trace struct {
	Steps []TraceStep       `json:"steps"`
	Next  uint64            `json:"next,string"`
	Edges map[string]uint64 `json:"edges"`
}

// TraceStep is one event and the edges it passed.
type TraceStep struct {
	Number uint64   `json:"number,string"`
	Event  string   `json:"event"`
	Edges  []string `json:"edges"`
}

// Problem is the body of every answer with a status of 400 and above.
type Problem struct {
	Error string `json:"error"`
	// Errors are the places in a text that was sent, with status 400, in the order of the text.
	Errors []TextError `json:"errors,omitempty"`
}

// TextError is one thing wrong at one place of a text that was sent.
type TextError struct {
	File string `json:"file"` // as the request named it
	// Line and Column count from 1, Column in characters; both are 0 where there is no place.
	Line    int    `json:"line,omitempty"`
	Column  int    `json:"column,omitempty"`
	Message string `json:"message"`
}
