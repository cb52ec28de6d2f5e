package topo

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/plexlab-dev/plexlab/nodes/profile"
)

// Picture draws the plex for a terminal: each network a line from top to bottom, the XCF network
// doubled, each node a row that is joined to its networks. It grows by one row a node, so that
// 128 stacks can be drawn as well as one. The error is that of Plan.
//
//	lan     xcf
//	 │       ║
//	 ●───────●  MVS1    lan .101, xcf .1   primary of DVA1
//	 │       ║
//	 ●       ║  CLIENT  lan .50
func (t *Topology) Picture() (string, error) {
	plan, err := t.Plan()
	if err != nil {
		return "", err
	}
	d := drawing{networks: make([]PlanNetwork, 0, len(plan.Networks))}
	for _, outside := range []bool{true, false} { // the XCF network comes last
		for i := range plan.Networks {
			if n := plan.Networks[len(plan.Networks)-1-i]; n.XCF != outside {
				d.networks = append(d.networks, n)
			}
		}
	}
	roles := t.roles(plan)
	nameWidth, whereWidth := 0, 0
	for _, n := range plan.Nodes {
		nameWidth = max(nameWidth, len(n.Name))
		whereWidth = max(whereWidth, len(d.where(n)))
	}
	for _, hosts := range []bool{true, false} { // hosts above, as clients come from there
		for i, n := range plan.Nodes {
			if (n.Kind == KindHost) == hosts {
				row := fmt.Sprintf("%-*s  %-*s  %s", nameWidth, n.Name, whereWidth, d.where(n), roles[i])
				d.rows = append(d.rows, d.joined(n)+"  "+strings.TrimRight(row, " "))
			}
		}
	}
	return d.String(), nil
}

// A drawing is a column for each network and a row for each node.
type drawing struct {
	networks []PlanNetwork
	rows     []string
}

func (d drawing) String() string {
	var b strings.Builder
	for _, text := range []func(PlanNetwork) string{
		func(n PlanNetwork) string { return n.Name },
		func(n PlanNetwork) string { return n.Subnet.String() },
	} {
		var line strings.Builder
		for i, n := range d.networks {
			fmt.Fprintf(&line, "%-*s", d.width(i), text(n))
		}
		b.WriteString(strings.TrimRight(line.String(), " ") + "\n")
	}
	between := strings.TrimRight(d.line(func(n PlanNetwork) bool { return false }), " ") + "\n"
	for _, row := range d.rows {
		b.WriteString(between + row + "\n")
	}
	return b.String() + between
}

// width is that of the column of a network.
func (d drawing) width(i int) int {
	return max(len(d.networks[i].Name), len(d.networks[i].Subnet.String())) + 2
}

// joined is the part of a node's row that lies on the networks.
func (d drawing) joined(node PlanNode) string {
	return d.line(func(n PlanNetwork) bool {
		_, on := addressOn(&node, n.Name)
		return on
	})
}

// line draws all networks, with a dot on those that are on, and joins the dots.
func (d drawing) line(on func(PlanNetwork) bool) string {
	first, last := -1, -1
	for i, n := range d.networks {
		if on(n) {
			if first < 0 {
				first = i
			}
			last = i
		}
	}
	var b strings.Builder
	for i, n := range d.networks {
		within := i >= first && i < last
		before, after := " ", " "
		if first >= 0 && i > first && i <= last {
			before = "─"
		}
		if first >= 0 && within {
			after = "─"
		}
		b.WriteString(before + d.crossing(n, on(n), first >= 0 && i > first && i < last))
		rest := d.width(i) - 2
		if i == len(d.networks)-1 {
			rest = 0
		}
		b.WriteString(strings.Repeat(after, rest))
	}
	return b.String()
}

// crossing is the sign where a row meets a network.
func (d drawing) crossing(n PlanNetwork, on, crossed bool) string {
	switch {
	case on:
		return "●"
	case n.XCF && crossed:
		return "╫"
	case n.XCF:
		return "║"
	case crossed:
		return "┼"
	}
	return "│"
}

// where lists the addresses of a node.
func (d drawing) where(node PlanNode) string {
	var all []string
	for _, n := range d.networks {
		for _, l := range node.Links {
			if l.Network == n.Name {
				text := l.Addresses[0].Addr().String()
				if more := len(l.Addresses) - 1; more > 0 {
					text += fmt.Sprintf(" +%d", more)
				}
				all = append(all, text)
			}
		}
	}
	return strings.Join(all, ", ")
}

// roles says of each node which DVIPAs it holds and what runs on it.
func (t *Topology) roles(plan Plan) []string {
	names := map[netip.Addr]string{}
	for name, text := range t.Symbols {
		if a, err := netip.ParseAddr(text); err == nil && (names[a] == "" || name < names[a]) {
			names[a] = name
		}
	}
	named := func(list []profile.Address) string {
		var all []string
		for _, a := range list {
			name, ok := names[a.Addr]
			if !ok {
				name = a.String()
			}
			all = append(all, name)
		}
		return strings.Join(all, ", ")
	}
	roles := make([]string, len(plan.Nodes))
	for i, n := range plan.Nodes {
		var parts []string
		if n.Stack != nil {
			// The text comes from the plan, where it parsed already.
			if p, err := profile.Parse(n.Name, []byte(n.Stack.Profile), nil); err == nil {
				for _, d := range p.Defines {
					parts = append(parts, "primary of "+named(d.Addresses))
				}
				for _, b := range p.Backups {
					parts = append(parts, "backup of "+named(b.Addresses))
				}
			}
		}
		if len(n.Applications) > 0 {
			var running []string
			for _, a := range n.Applications {
				running = append(running, a.Name)
			}
			parts = append(parts, "runs "+strings.Join(running, ", "))
		}
		roles[i] = strings.Join(parts, "; ")
	}
	return roles
}
