package vipa

import "slices"

// An Edge names one way from a block of a flowchart to the next, by the numbers of the
// specification: "fig11/124-yes->126", "fig11/128->end".
type Edge string

// Result is what one event led to.
type Result struct {
	Actions []Action
	// Trace holds the edges passed, in order, of every figure that the event concerned.
	Trace []Edge
}

// Edges are all edges that the core, its model of Figure 12 and a Bind can pass, figure by figure.
func Edges() []Edge {
	return slices.Concat(fig05Edges, fig06Edges, fig07Edges, fig08Edges, fig10Edges, fig11Edges, fig12Edges, fig13Edges,
		fig14Edges, fig15Edges)
}

// trace collects edges in the order they are passed; a nil trace forgets them.
type trace []Edge

func (t *trace) pass(edges ...Edge) {
	if t != nil {
		*t = append(*t, edges...)
	}
}
