package vipa

import (
	"net/netip"

	"github.com/plexlab-dev/plexlab/nodes/contract"
)

// figure5: does a listening socket make its stack a target for the DVIPA? The DVIPA is active
// here, and the socket is bound to it or to the unspecified address of its family; dist is nil
// where nothing is distributed. Cluster-wide ports (504, 506) are not decided here.
//
// It returns true for block 514 and false for block 510.
func figure5(l Listener, dist *contract.Distribution, variant Variant, trace *trace) bool {
	unspecified := l.Local.Addr().IsUnspecified()

	// 500: a common address? The unspecified address is one only where ports are enumerated (I17).
	if dist == nil || unspecified && len(dist.Ports) == 0 {
		trace.pass("fig05/500-no->510", "fig05/510->end")
		return false
	}
	trace.pass("fig05/500-yes->502")

	// 502: no cluster-wide port. T3: the specified address alone is enough.
	if !unspecified && variant == SpecifiedAddressBypass {
		trace.pass("fig05/502-no->514", "fig05/514->end")
		return true
	}
	trace.pass("fig05/502-no->508")

	// 508: ports enumerated? T1: else every port of the address takes part.
	if len(dist.Ports) == 0 {
		trace.pass("fig05/508-no->514", "fig05/514->end")
		return true
	}
	trace.pass("fig05/508-yes->512")

	// 512: one of them?
	if !enumerated(dist, l.Local.Port()) {
		trace.pass("fig05/512-no->510", "fig05/510->end")
		return false
	}
	trace.pass("fig05/512-yes->514", "fig05/514->end")
	return true
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
	"fig05/502-no->508", "fig05/502-no->514",
	"fig05/508-no->514", "fig05/508-yes->512",
	"fig05/512-yes->514", "fig05/512-no->510",
	"fig05/514->end", "fig05/510->end",
}
