package vipa

// request is how Figure 8 deals with a connection request.
type request int

const (
	routed       request = iota // 804: by the table
	conventional                // 808
	distributed                 // 810, 812
)

// figure8: the distributing processor receives a connection request. The figure tells of a
// SYN what Figure 12 tells of every packet: 802 looks into the CRT as 140 and 143 do, 806 asks
// for a DPT entry as 145 does, 810 and 812 are 144 and 150. Figure 12 does the work.
func figure8(trace *trace, r request) {
	switch r {
	case routed:
		trace.pass("fig08/802-yes->804", "fig08/804->end")
	case conventional:
		trace.pass("fig08/802-no->806", "fig08/806-no->808", "fig08/808->end")
	case distributed:
		trace.pass("fig08/802-no->806", "fig08/806-yes->810", "fig08/810->812", "fig08/812->end")
	}
}

var fig08Edges = []Edge{
	"fig08/802-yes->804", "fig08/802-no->806",
	"fig08/806-no->808", "fig08/806-yes->810",
	"fig08/810->812",
	"fig08/804->end", "fig08/808->end", "fig08/812->end",
}
