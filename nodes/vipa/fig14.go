package vipa

// figure14: a listening socket is terminated; d is nil where it is not associated with a
// DVIPA. The tables of 184 are followed by whoever calls. Blocks 190 and 192 come when the
// coupling facility is changed, and 194 with the last listener of the port (I18).
func (s *Stack) figure14(d *dvipa, use Use) {
	// 180: associated with a DVIPA?
	if d == nil {
		s.pass("fig14/180-no->182", "fig14/182->end")
		return
	}
	s.pass("fig14/180-yes->184", "fig14/184->186")
	// 186: CLUSTERPORTS, so that the coupling facility notes the port as this stack's?
	if use == Local {
		s.pass("fig14/186-no->end")
		return
	}
	s.pass("fig14/186-yes->188")
}

var fig14Edges = []Edge{
	"fig14/180-no->182", "fig14/180-yes->184", "fig14/182->end", "fig14/184->186",
	"fig14/186-no->end", "fig14/186-yes->188",
	"fig14/188->190", "fig14/190->192", "fig14/192->194", "fig14/194->end",
}
