// Package requirements holds what an implementation is certified against, as data: every block
// and edge of the flowcharts, the interpretations where the specification is silent (I1 ...), the
// statements that no flowchart shows (T1 ...), the forms of the profile language and the table of who has a DVIPA that is
// created twice. Each has an id, a text, the passage it comes from and the observable that shows it. Specs name the ids they
// verify with Covers; Check holds the two together.
package requirements

import (
	"fmt"

	"github.com/plexlab-dev/plexlab/harness/impl"
)

// Kind says where a requirement comes from.
type Kind string

// The kinds of requirement.
const (
	Block          Kind = "block"          // of a flowchart: fig12/142
	Edge           Kind = "edge"           // of a flowchart: fig12/142-no->152
	Interpretation Kind = "interpretation" // I1
	Statement      Kind = "statement"      // T1
	Form           Kind = "form"           // of the profile language: profile/VIPARange
	Pair           Kind = "pair"           // of what creates a DVIPA twice: twice/VIPADEFine-bind-other
)

// Observable is what shows whether a requirement is met.
type Observable string

// The observables. Where several show a requirement, the one listed first here is named.
const (
	Packets  Observable = "packets"   // on the external network or on XCF
	Messages Observable = "messages"  // on XCF
	PortFile Observable = "port-file" // its bytes, or the errno that follows from them
	Trace    Observable = "trace"     // the implementation's own account: white-box runs alone
	None     Observable = "none"      // informative requirements
)

// Status says whether specs are due.
type Status string

// The states of a requirement.
const (
	Now         Status = "now"         // has at least one spec
	NotYet      Status = "not-yet"     // Reason says what it waits for
	Informative Status = "informative" // described by the specification, taken up by nobody
)

// Requirement is one thing that is demanded of an implementation.
type Requirement struct {
	// ID is unique without regard to case: fig12/142-no->152, fig12/142, I1, T35-broadcast,
	// profile/VIPARange, twice/VIPADEFine-bind-other.
	ID   string `json:"id"`
	Kind Kind   `json:"kind"`
	// Figure is 5 to 15 for blocks and edges, else 0.
	Figure int `json:"figure,omitempty"`
	// From, Outcome and To are the parts of an edge: 142, no, 152. Outcome is empty on a way that
	// is always taken, To is "end" where the flowchart ends. A block has From alone.
	From    string `json:"from,omitempty"`
	Outcome string `json:"outcome,omitempty"`
	To      string `json:"to,omitempty"`
	// Text is the requirement in words of our own.
	Text string `json:"text"`
	// Citation says where the specification demands it: place and words of the passage.
	Citation   string     `json:"citation"`
	Observable Observable `json:"observable"`
	// Capability is what an implementation declares that is held to the requirement. The same holds
	// with IPv6 for one that declares that besides, so that no requirement is of IPv6 alone.
	Capability impl.Capability `json:"capability"`
	Status     Status          `json:"status"`
	// Reason is the word for what a NotYet requirement waits for, else empty.
	Reason string `json:"reason,omitempty"`
	// Later says what of a Now requirement its specs do not verify yet.
	Later string `json:"later,omitempty"`
}

// Chart is one flowchart.
type Chart struct {
	Figure int
	Title  string
	// Start is the block every way begins with.
	Start  string
	Blocks []Requirement
	Edges  []Requirement
}

// End is where edges that end a flowchart lead to.
const End = "end"

func blockID(figure int, block string) string { return fmt.Sprintf("fig%02d/%s", figure, block) }
