package vipa

// figure6: a socket is closed; d is nil if its address is no common one. use is how the stack
// holds its port, and participates says that it was announced through 514. What follows 608, when
// the coupling facility is changed, and the message of 610 have their own time (I18).
func (s *Stack) figure6(d *dvipa, use Use, participates bool) {
	// 602: a common IP address?
	s.pass("fig06/600->602")
	if d == nil {
		s.pass("fig06/602-no->end")
		return
	}
	s.pass("fig06/602-yes->604")
	// 604: a cluster-wide port? I15: a shared one is not.
	if use == Unique {
		s.pass("fig06/604-yes->608")
		return
	}
	s.pass("fig06/604-no->606", "fig06/606->612")
	// 612: does the port participate in distribution?
	if participates {
		s.pass("fig06/612-yes->610")
	} else {
		s.pass("fig06/612-no->end")
	}
}

var fig06Edges = []Edge{
	"fig06/600->602", "fig06/602-no->end", "fig06/602-yes->604",
	"fig06/604-yes->608", "fig06/604-no->606", "fig06/608->610",
	"fig06/606->612", "fig06/612-yes->610", "fig06/612-no->end", "fig06/610->end",
}
