package cf

import (
	"context"
	"maps"
	"net/netip"
	"slices"

	"github.com/plexlab-dev/plexlab/nodes/contract/portfile"
)

// View is the tables that this stack keeps, and of the DVIPAs of other owners what it holds itself.
// Ports of its own claims under way are not shown.
func (d *Distributor) View(context.Context) (View, error) {
	view, entries, members := d.copied()
	for i, e := range entries {
		if e != nil {
			view.DVIPAs[i].fill(e, members)
		}
	}
	return view, nil
}

// State is Filling while stacks have yet to tell this one what they hold of a DVIPA that it keeps.
func (d *Distributor) State() State {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, s := range d.shares {
		if s.table != nil && d.untold(s.table) != nil {
			return Filling
		}
	}
	return OK
}

// copied is a view of one moment with the entries that have still to be filled in, nil for the
// DVIPAs of other owners, and the stacks by slot.
func (d *Distributor) copied() (View, []entry, map[int]portfile.Member) {
	d.mu.Lock()
	defer d.mu.Unlock()
	view := View{State: OK, Pool: d.pool(), Rest: d.config.Rest}
	members := make(map[int]portfile.Member)
	for slot, taken := range d.slots {
		if taken {
			m := d.member(slot)
			members[slot] = portfile.Member{Stack: m.Stack, XCF: m.XCF}
			view.Members = append(view.Members, MemberView{slot, m.Stack, m.XCF, m.Incarnation, 0, portfile.SlotLive.String()})
		}
	}
	var entries []entry
	for _, dvipa := range slices.SortedFunc(maps.Keys(d.shares), netip.Addr.Compare) {
		s := d.shares[dvipa]
		row, e := s.view(d.config.Self.Stack, d.config.Self.XCF, d.pool())
		switch {
		case s.table != nil:
			if untold := d.untold(s.table); untold != nil {
				view.State, view.Waiting = Filling, untold
				view.Problem = (&OwnerError{DVIPA: dvipa, Owner: d.config.Self.Stack, Waiting: untold}).Error()
			}
		case s.keeper.valid():
			row.Owner = s.keeper.Stack
		case len(row.Ports) > 0:
			row.Problem = (&OwnerError{DVIPA: dvipa}).Error()
		default:
			continue
		}
		view.DVIPAs, entries = append(view.DVIPAs, row), append(entries, e)
	}
	return view, entries, members
}

// view is the copy of the table, or else what the stack holds itself.
func (s *share) view(stack string, xcf netip.Addr, pool portfile.Pool) (DVIPAView, entry) {
	row := DVIPAView{DVIPA: s.dvipa, Pool: pool}
	if s.table == nil {
		for _, held := range s.held.ports() {
			row.Ports = append(row.Ports, PortView{Port: held.Port, Use: held.Use, Holders: []string{stack}, XCF: []netip.Addr{xcf}})
		}
		return row, nil
	}
	row.Pool = s.table.pool
	e := slices.Clone(s.table.entry)
	for port := range s.granted {
		if !s.held.has(port) {
			e.free(port, ownSlot, 0)
		}
	}
	return row, e
}
