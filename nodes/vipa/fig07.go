package vipa

// messageType is what block 700 tells apart.
type messageType int

const (
	candidateServer messageType = iota // a SRVSTAT: 702
	uniquePort                         // a SRVSTAT for a cluster-wide port: 706
	otherMessage                       // 704
)

// figure7: the distributing processor receives a message. Figure 13 tells the same and does the
// work: 702 is 166, 706 is 167, and 704 is whatever the type asks for, for NEWCONN 164, for
// TERMCONN 162, for a VIPA list Figure 11; unknown types are ignored (I11).
func (s *Stack) figure7(t messageType) {
	switch t {
	case candidateServer:
		s.pass("fig07/700-candidate->702", "fig07/702->end")
	case uniquePort:
		s.pass("fig07/700-unique->706", "fig07/706->end")
	case otherMessage:
		s.pass("fig07/700-other->704", "fig07/704->end")
	}
}

var fig07Edges = []Edge{
	"fig07/700-candidate->702", "fig07/700-unique->706", "fig07/700-other->704",
	"fig07/702->end", "fig07/706->end", "fig07/704->end",
}
