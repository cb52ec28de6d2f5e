package vipa

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"

	"github.com/plexlab-dev/plexlab/nodes/contract"
)

// routing is what a routing stack has for one DVIPA that it owns.
type routing struct {
	prefix netip.Prefix // as advertised
	epoch  uint64
	entry  bool // in the coupling facility there is one
	// before is the owner before while it lives and has not said that it knows; until then the DVIPA
	// is not advertised. Nil once it is.
	before *contract.Member
	// awaited are the stacks that have yet to tell what they hold, with the number of the list that
	// they are to end (I20).
	awaited      map[netip.Addr]uint64
	distribution *contract.Distribution // nil: not distributed
	places       map[netip.Addr]int     // of the candidate targets in DESTIP, from 0
	// weights are those given from outside, by port and XCF address; port 0 stands for the others.
	weights map[uint16]map[netip.Addr]uint32
	// dpt holds the current actual targets of each port: in the order of DESTIP, for ALL in
	// order of XCF address. No entry is empty.
	dpt map[uint16][]contract.Target
	// unique holds the stacks that say they have each unique port, the one that has the entry
	// first. Word that one has given it up, or is gone, may come after the claim of the next, which the
	// coupling facility has let it have. No entry is empty.
	unique map[uint16][]netip.Addr
}

func newRouting(prefix netip.Prefix, epoch uint64) *routing {
	return &routing{
		prefix:  prefix,
		epoch:   epoch,
		weights: make(map[uint16]map[netip.Addr]uint32),
		dpt:     make(map[uint16][]contract.Target),
		unique:  make(map[uint16][]netip.Addr),
	}
}

// distribute puts another distribution in force. Targets that are no candidates any more, and
// under EnumeratedOnly ports that are not enumerated any more, leave the DPT; their
// connections go on (I2). It returns the entries that changed.
func (r *routing) distribute(address netip.Addr, dist *contract.Distribution, variant Variant) []Action {
	r.distribution = dist
	r.places = make(map[netip.Addr]int)
	if dist != nil {
		for i, t := range dist.Targets {
			if _, twice := r.places[t.XCF]; !twice {
				r.places[t.XCF] = i
			}
		}
	}
	var changed []Action
	for _, port := range slices.Sorted(maps.Keys(r.dpt)) {
		var targets []contract.Target
		if r.distributes(port, variant) {
			for _, t := range r.dpt[port] {
				if t, ok := r.candidate(port, t.XCF); ok {
					targets = append(targets, t)
				}
			}
			slices.SortFunc(targets, r.order)
		}
		if !slices.Equal(targets, r.dpt[port]) {
			changed = append(changed, r.put(address, port, targets))
		}
	}
	return changed
}

// distributes says whether the port may have a DPT entry at all.
func (r *routing) distributes(port uint16, variant Variant) bool {
	if r.distribution == nil {
		return false
	}
	return variant == SpecifiedAddressBypass || len(r.distribution.Ports) == 0 || enumerated(r.distribution, port)
}

// candidate returns a stack as the target that the distribution makes it for a port.
func (r *routing) candidate(port uint16, xcf netip.Addr) (contract.Target, bool) {
	target := contract.Target{XCF: xcf, Weight: 1}
	switch place, ok := r.places[xcf]; {
	case r.distribution == nil, !r.distribution.All && !ok:
		return contract.Target{}, false
	case !r.distribution.All:
		target.Weight = weight(r.distribution.Targets[place])
	}
	if w, given := r.given(port, xcf); given {
		target.Weight = w
	}
	return target, true
}

// order is that of the targets of an entry.
func (r *routing) order(a, b contract.Target) int {
	if r.distribution.All {
		return a.XCF.Compare(b.XCF)
	}
	return cmp.Compare(r.places[a.XCF], r.places[b.XCF])
}

// put makes targets the entry of a port.
func (r *routing) put(address netip.Addr, port uint16, targets []contract.Target) Action {
	if len(targets) == 0 {
		delete(r.dpt, port)
	} else {
		r.dpt[port] = targets
	}
	return SetTargets{Service: netip.AddrPortFrom(address, port), Targets: targets}
}

// add enters a target for a port; nothing changes where it is one already.
func (r *routing) add(address netip.Addr, port uint16, t contract.Target) []Action {
	place, found := slices.BinarySearchFunc(r.dpt[port], t, r.order)
	if found {
		return nil
	}
	// A new slice: the old one has been handed out.
	return []Action{r.put(address, port, r.weigh(port, slices.Insert(slices.Clone(r.dpt[port]), place, t)))}
}

// remove takes a stack out of a port's entry; nothing changes where it is not in it.
func (r *routing) remove(address netip.Addr, port uint16, xcf netip.Addr) []Action {
	place := slices.IndexFunc(r.dpt[port], func(t contract.Target) bool { return t.XCF == xcf })
	if place < 0 {
		return nil
	}
	return []Action{r.put(address, port, r.weigh(port, slices.Delete(slices.Clone(r.dpt[port]), place, place+1)))}
}

// holder is the stack of a cluster-wide port, the zero Addr if none has it.
func (r *routing) holder(port uint16) netip.Addr {
	if claims := r.unique[port]; len(claims) > 0 {
		return claims[0]
	}
	return netip.Addr{}
}

// setUnique enters the stack of a cluster-wide port; where another has it, it comes next.
func (r *routing) setUnique(address netip.Addr, port uint16, xcf netip.Addr) []Action {
	before := r.holder(port)
	if !slices.Contains(r.unique[port], xcf) {
		r.unique[port] = append(r.unique[port], xcf)
	}
	return r.putUnique(address, port, before)
}

// clearUnique ends the claim of a stack to a cluster-wide port.
func (r *routing) clearUnique(address netip.Addr, port uint16, xcf netip.Addr) []Action {
	before := r.holder(port)
	r.unique[port] = slices.DeleteFunc(r.unique[port], func(claim netip.Addr) bool { return claim == xcf })
	if len(r.unique[port]) == 0 {
		delete(r.unique, port)
	}
	return r.putUnique(address, port, before)
}

// putUnique is the change of the entry, none if it is the same as before.
func (r *routing) putUnique(address netip.Addr, port uint16, before netip.Addr) []Action {
	if r.holder(port) == before {
		return nil
	}
	return []Action{SetUnique{Service: netip.AddrPortFrom(address, port), Target: r.holder(port)}}
}

// lose takes a stack out of every entry.
func (r *routing) lose(address, xcf netip.Addr) []Action {
	var changed []Action
	for _, port := range slices.Sorted(maps.Keys(r.dpt)) {
		changed = append(changed, r.remove(address, port, xcf)...)
	}
	for _, port := range slices.Sorted(maps.Keys(r.unique)) {
		changed = append(changed, r.clearUnique(address, port, xcf)...)
	}
	return changed
}

// clear empties both tables.
func (r *routing) clear(address netip.Addr) []Action {
	var changed []Action
	for _, port := range slices.Sorted(maps.Keys(r.dpt)) {
		changed = append(changed, r.put(address, port, nil))
	}
	for _, port := range slices.Sorted(maps.Keys(r.unique)) {
		r.unique[port] = r.unique[port][:1]
		changed = append(changed, r.clearUnique(address, port, r.holder(port))...)
	}
	return changed
}
