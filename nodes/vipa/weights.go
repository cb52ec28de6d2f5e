package vipa

import (
	"maps"
	"net/netip"
	"slices"

	"github.com/plexlab-dev/plexlab/nodes/contract"
)

// weightsChanged gives the targets of a DVIPA other weights than the profile's. An entry whose
// rotation stays the same is not put anew: with equal weights round robin goes on as it was.
func (s *Stack) weightsChanged(ev WeightsChanged) {
	d := s.dvipas[ev.DVIPA]
	if d == nil || d.routing == nil {
		return
	}
	r := d.routing
	if len(ev.Weights) == 0 {
		delete(r.weights, ev.Port)
	} else {
		r.weights[ev.Port] = maps.Clone(ev.Weights)
	}
	for _, port := range slices.Sorted(maps.Keys(r.dpt)) {
		if targets := r.weigh(port, r.dpt[port]); !slices.Equal(Rotation(targets), Rotation(r.dpt[port])) {
			s.do(r.put(d.address, port, targets))
		}
	}
}

// weigh returns the targets of a port with the weights that they have now.
func (r *routing) weigh(port uint16, targets []contract.Target) []contract.Target {
	weighed := make([]contract.Target, len(targets))
	for i, t := range targets {
		weighed[i], _ = r.candidate(port, t.XCF)
	}
	return weighed
}

// given is the weight of a target for a port that was given from outside.
func (r *routing) given(port uint16, xcf netip.Addr) (uint32, bool) {
	weights, own := r.weights[port]
	if !own {
		weights = r.weights[0]
	}
	w, named := weights[xcf]
	return max(w, 1), named
}
