package vipa

import (
	"net/netip"

	"github.com/plexlab-dev/plexlab/nodes/contract"
)

// opening is how Figure 5 ends.
type opening int

const (
	plain     opening = iota // 510
	announced                // 514: a candidate for distribution
	unique                   // 506: the holder of a unique port
)

// figure5: does a listening socket make its stack a target for the DVIPA? The DVIPA is active
// here, and the socket is bound to it or to the unspecified address of its family; dist is nil
// where nothing is distributed. cluster is how the port is assigned where it has to be so
// cluster-wide, and held says that this stack has it so.
func figure5(l Listener, dist *contract.Distribution, cluster Use, held bool, variant Variant, trace *trace) opening {
	unspecified := l.Local.Addr().IsUnspecified()

	// 500: a common address? The unspecified address is one only where ports are enumerated (I17).
	if cluster != Unique && (dist == nil || unspecified && len(dist.Ports) == 0) {
		trace.pass("fig05/500-no->510", "fig05/510->end")
		return plain
	}
	trace.pass("fig05/500-yes->502")

	// 502: cluster-wide? I15: not where the port is shared. 504 was done by the bind; a socket
	// that came without, and that the coupling facility has refused, ends there.
	if cluster == Unique {
		trace.pass("fig05/502-yes->504")
		if !held {
			return plain
		}
		trace.pass("fig05/504->506", "fig05/506->end")
		return unique
	}

	// T3: the specified address alone is enough.
	if !unspecified && variant == SpecifiedAddressBypass {
		trace.pass("fig05/502-no->514", "fig05/514->end")
		return announced
	}
	trace.pass("fig05/502-no->508")

	// 508: ports enumerated? T1: else every port of the address takes part.
	if len(dist.Ports) == 0 {
		trace.pass("fig05/508-no->514", "fig05/514->end")
		return announced
	}
	trace.pass("fig05/508-yes->512")

	// 512: one of them?
	if !enumerated(dist, l.Local.Port()) {
		trace.pass("fig05/512-no->510", "fig05/510->end")
		return plain
	}
	trace.pass("fig05/512-yes->514", "fig05/514->end")
	return announced
}

// conventional5 is figure5 for a socket that is not bound to any active DVIPA.
func conventional5(trace *trace) { trace.pass("fig05/500-no->510", "fig05/510->end") }

// enumerated says whether a port is among the enumerated ones; with none enumerated it is not.
func enumerated(dist *contract.Distribution, port uint16) bool {
	for _, r := range dist.Ports {
		if r.First <= port && port <= r.Last {
			return true
		}
	}
	return false
}

// takes says whether connections to the DVIPA can reach the socket.
func (l Listener) takes(dvipa netip.Addr) bool {
	local := l.Local.Addr()
	switch {
	case !local.IsUnspecified():
		return local == dvipa
	case local.Is4():
		return dvipa.Is4()
	default:
		return dvipa.Is6() || !l.V6Only
	}
}

var fig05Edges = []Edge{
	"fig05/500-no->510", "fig05/500-yes->502",
	"fig05/502-no->508", "fig05/502-no->514", "fig05/502-yes->504", "fig05/504->506", "fig05/506->end",
	"fig05/508-no->514", "fig05/508-yes->512",
	"fig05/512-yes->514", "fig05/512-no->510",
	"fig05/514->end", "fig05/510->end",
}
