package report

// Requirement is what a report knows of one requirement; the catalogue of a run holds all of them.
type Requirement struct {
	// ID is that of the specification's index, Label the Ginkgo label of specs that verify it.
	ID    string `json:"id"`
	Label string `json:"label"`
	// Kind is "block", "edge", "interpretation", "statement", "form" or "pair".
	Kind string `json:"kind"`
	// Figure is the number of the flowchart of a block or an edge, else 0.
	Figure int `json:"figure,omitempty"`
	// Blocks are, for an edge, the ids of the blocks that it joins: a spec of it verifies them too.
	Blocks []string `json:"blocks,omitempty"`
	// Capability is what an implementation declares that is held to the requirement: "core".
	Capability string `json:"capability,omitempty"`
	Text       string `json:"text"`
	Citation   string `json:"citation"`
	// Observable is "packets", "messages", "port-file", "trace" or "none".
	Observable string `json:"observable"`
	// Status is "now", "not-yet" or "informative"; Reason and Later explain it.
	Status string `json:"status"`
	Reason string `json:"reason,omitempty"`
	Later  string `json:"later,omitempty"`
}

// due says whether a run must verify the requirement.
func (r Requirement) due() bool { return r.Status == "now" }

const (
	kindBlock = "block"
	kindEdge  = "edge"
	byTrace   = "trace"
)
