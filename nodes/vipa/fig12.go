package vipa

import (
	"net/netip"

	"github.com/plexlab-dev/plexlab/nodes/contract"
)

// Packet is what Figure 12 looks at: a TCP segment from the network to a DVIPA that the
// routing stack owns. Fragments (I21) and other protocols never come this far.
type Packet struct {
	Connection contract.Connection
	SYN, ACK   bool
}

// Decision is what becomes of a packet.
type Decision struct {
	// Forward is the XCF address of the target of block 150; the zero Addr means block 152,
	// conventional processing.
	Forward netip.Addr
	// Local: the target is the routing stack itself (I7); the packet is delivered here.
	Local bool
}

// Route takes one packet through Figure 12, and a connection request through Figure 8 too,
// changes the tables as the blocks say, and returns the edges passed. It is the model; the
// data path does the same inside the kernel.
func (t *Tables) Route(p Packet) (Decision, []Edge) {
	var trace trace
	target := t.figure12(p, &trace)
	return Decision{Forward: target, Local: target.IsValid() && target == t.Self}, trace
}

// figure12: a packet from the network at the routing stack.
func (t *Tables) figure12(p Packet, trace *trace) netip.Addr {
	request := p.SYN && !p.ACK

	// 140: CRT entry for the 4-tuple?
	if target, ok := t.CRT[p.Connection]; ok {
		trace.pass("fig12/140-yes->150", "fig12/150->end")
		if request {
			figure8(trace, routed)
		}
		return target
	}
	trace.pass("fig12/140-no->142")

	// 142: a SYN without ACK? Else 152, conventional processing.
	if !request {
		trace.pass("fig12/142-no->152", "fig12/152->end")
		return netip.Addr{}
	}
	trace.pass("fig12/142-yes->143")

	// 143: CRT entry with source zero? I1: the rest of the connection must find the same stack.
	if target, ok := t.Unique[p.Connection.Local]; ok {
		t.CRT[p.Connection] = target
		trace.pass("fig12/143-yes->150", "fig12/150->end")
		figure8(trace, routed)
		return target
	}
	trace.pass("fig12/143-no->145")

	// 145: DPT entry? Else 152 (T4).
	entry, ok := t.DPT[p.Connection.Local]
	if !ok {
		trace.pass("fig12/145-no->152", "fig12/152->end")
		figure8(trace, conventional)
		return netip.Addr{}
	}

	// 144: select; 146: CRT entry; 150: forward.
	target := entry.next()
	t.CRT[p.Connection] = target
	trace.pass("fig12/145-yes->144", "fig12/144->146", "fig12/146->150", "fig12/150->end")
	figure8(trace, distributed)
	return target
}

var fig12Edges = []Edge{
	"fig12/140-yes->150", "fig12/140-no->142",
	"fig12/142-no->152", "fig12/142-yes->143",
	"fig12/143-yes->150", "fig12/143-no->145",
	"fig12/145-no->152", "fig12/145-yes->144",
	"fig12/144->146", "fig12/146->150",
	"fig12/150->end", "fig12/152->end",
}
