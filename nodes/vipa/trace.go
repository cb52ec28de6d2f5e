package vipa

// An Edge names one way from a block of a flowchart to the next, by the numbers of the
// specification: "fig11/124-yes->126", "fig11/128->end".
type Edge string

// Result is what one event led to.
type Result struct {
	Actions []Action
	// Trace holds the edges passed, in order, of every figure that the event concerned.
	Trace []Edge
}
