package main

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"github.com/plexlab-dev/plexlab/nodes/contract/control"
	"github.com/plexlab-dev/plexlab/nodes/vipa"
)

// inUse tells the ports that sockets here have.
func (s *stack) inUse() (control.InUse, error) {
	view := control.InUse{XCF: s.self.XCF, DVIPAs: []control.DVIPAInUse{}}
	var known []vipa.Marking
	if err := s.loop.look(viewLimit, func() { known = s.loop.core.InUse() }); err != nil {
		return view, err
	}
	for _, m := range known {
		used, err := sight{s.monitor, s.path}.portsInUse(m.DVIPA)
		if err != nil {
			return view, err
		}
		row := control.DVIPAInUse{DVIPA: m.DVIPA, Ports: slices.Sorted(maps.Keys(used)), Chosen: []uint16{}}
		for _, port := range m.Chosen {
			if used[port] {
				row.Chosen = append(row.Chosen, port)
			}
		}
		if row.Ports == nil {
			row.Ports = []uint16{}
		}
		view.DVIPAs = append(view.DVIPAs, row)
	}
	return view, nil
}

// users are the stacks that use a port, by XCF address, and how the port would be assigned for each.
type users map[uint16]map[netip.Addr]vipa.Use

// add notes a user; what is unique for one reason stays so.
func (u users) add(port uint16, stack netip.Addr, use vipa.Use) {
	if u[port] == nil {
		u[port] = make(map[netip.Addr]vipa.Use)
	}
	u[port][stack] = max(u[port][stack], use)
}

// conflicting are the ports, in order, that several stacks use and one of them as a unique one.
func (u users) conflicting() []uint16 {
	var ports []uint16
	for port, stacks := range u {
		if len(stacks) > 1 && slices.Contains(slices.Collect(maps.Values(stacks)), vipa.Unique) {
			ports = append(ports, port)
		}
	}
	slices.Sort(ports)
	return ports
}

// A portConflict is a port that marking gives to several stacks, although one of them is to have it alone (T21).
type portConflict struct {
	dvipa netip.Addr
	text  string
}

// portConflicts finds what marking would find where DVIPAs get CLUSTERPORTS. Of other stacks it takes what they
// told; of those that did not, what the CRT and the DPT have.
func (s *stack) portConflicts(def vipa.Definition, told []control.InUse) ([]portConflict, error) {
	var names map[netip.Addr]string
	var markings []vipa.Marking
	if err := s.loop.look(viewLimit, func() {
		names, markings = stackNames(s.self, s.loop.core.Members()), s.loop.core.Markings(def)
	}); err != nil {
		return nil, err
	}
	var found []portConflict
	for _, m := range markings {
		used, err := sight{s.monitor, s.path}.portsInUse(m.DVIPA)
		if err != nil {
			return nil, err
		}
		routed, err := sight{s.monitor, s.path}.routed(m.DVIPA)
		if err != nil {
			return nil, err
		}
		use := usersOf(m, s.self.XCF, used, routed, told)
		for _, port := range use.conflicting() {
			stacks := slices.Collect(maps.Keys(use[port]))
			if m.Numbered(port) == vipa.Unique && len(stacks) == len(m.Served[port]) {
				continue // the core has told of those that listen
			}
			found = append(found, portConflict{m.DVIPA, fmt.Sprintf("%s: port %d would be a unique one, and is in use by %s",
				m.DVIPA, port, strings.Join(named(stacks, names), " and "))})
		}
	}
	return found, nil
}

// usersOf are the users of the ports of a DVIPA: used are the ports of this stack's sockets, routed the connections of
// the CRT by target.
func usersOf(m vipa.Marking, self netip.Addr, used map[uint16]bool, routed map[netip.Addr][]uint16, told []control.InUse) users {
	all := make(users)
	for port := range used {
		all.add(port, self, m.Own(port))
	}
	known := map[netip.Addr]bool{self: true}
	for _, stack := range told {
		for _, row := range stack.DVIPAs {
			if row.DVIPA != m.DVIPA || known[stack.XCF] {
				continue
			}
			known[stack.XCF] = true
			theirs := vipa.Marking{Distribution: m.Distribution, Chosen: row.Chosen}
			for _, port := range row.Ports {
				all.add(port, stack.XCF, theirs.Own(port))
			}
		}
	}
	for target, ports := range routed {
		for _, port := range ports {
			if !known[target] {
				all.add(port, target, m.Other(port))
			}
		}
	}
	for port, targets := range m.Served {
		for _, target := range targets {
			all.add(port, target, m.Other(port))
		}
	}
	return all
}

// named are the names of stacks, in order.
func named(stacks []netip.Addr, names map[netip.Addr]string) []string {
	var all []string
	for _, xcf := range stacks {
		all = append(all, cmp.Or(names[xcf], xcf.String()))
	}
	slices.Sort(all)
	return all
}
