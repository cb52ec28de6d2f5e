package netstat

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/jedib0t/go-pretty/v6/table"

	"github.com/plexlab-dev/plexlab/nodes/contract/control"
)

var home = of("home", "home list",
	"every address that the stack has",
	(*control.Client).Home,
	func(body control.Home) layout {
		l := layout{columns: []string{"Address", "Interface", "Kind", "Advertised"}}
		for _, a := range body.Addresses {
			l.rows = append(l.rows, table.Row{a.Address, a.Interface, a.Kind, yes(a.Advertised)})
		}
		return l
	})

var vipadcfg = of("vipadcfg", "dynamic VIPA configuration",
	"the VIPADYNAMIC definitions in force",
	(*control.Client).VIPADCFG,
	func(body control.VIPADCFG) layout {
		l := layout{columns: []string{"Statement"}}
		for _, statement := range body.Statements {
			l.rows = append(l.rows, table.Row{statement})
		}
		return l
	})

var vipadyn = of("vipadyn", "dynamic VIPAs",
	"every DVIPA that the stack knows, with status and owner",
	(*control.Client).VIPADYN,
	func(body control.VIPADYN) layout {
		l := layout{
			columns: []string{"DVIPA", "Status", "Origin", "Rank", "Owner", "Epoch", "Distributed", "Cluster ports"},
			right:   []string{"Rank", "Epoch"},
		}
		for _, d := range body.DVIPAs {
			l.rows = append(l.rows, table.Row{
				fmt.Sprintf("%s/%d", d.DVIPA, d.PrefixLength), d.Status, d.Origin, unlessZero(d.Rank),
				d.Owner, d.Epoch, yes(d.Distributed), yes(d.ClusterPorts),
			})
		}
		return l
	})

var vdpt = of("vdpt", "destination port table",
	"the current actual targets of every service (DPT)",
	(*control.Client).VDPT,
	func(body control.VDPT) layout {
		l := layout{
			columns: []string{"DVIPA", "Port", "Target", "Stack", "Weight"},
			right:   []string{"Port", "Weight"},
		}
		for _, e := range body.Entries {
			l.rows = append(l.rows, table.Row{e.DVIPA, e.Port, e.Target, e.Stack, e.Weight})
		}
		return l
	})

var vcrt = of("vcrt", "connection routing table",
	"the connections, each with its target (CRT)",
	everyConnection,
	func(body control.VCRT) layout {
		l := layout{
			columns: []string{"Source", "DVIPA and port", "Target", "Stack", "Expires"},
			right:   []string{"Expires"},
		}
		// The kernel's map has no order of its own.
		entries := slices.SortedFunc(slices.Values(body.Entries), func(a, b control.CRTEntry) int {
			return cmp.Or(a.DVIPA.Compare(b.DVIPA), a.Source.Compare(b.Source))
		})
		for _, e := range entries {
			source, expires := e.Source.String(), ""
			if e.Unique {
				source = "any"
			}
			if e.ExpiresMS > 0 {
				expires = fmt.Sprintf("%.1f s", float64(e.ExpiresMS)/1000)
			}
			l.rows = append(l.rows, table.Row{source, e.DVIPA, e.Target, e.Stack, expires})
		}
		if body.Total > len(body.Entries) {
			l.notes = append(l.notes, fmt.Sprintf("%d of %d entries shown", len(body.Entries), body.Total))
		}
		return l
	})

var group = of("group", "XCF group",
	"the members of the XCF group as the stack sees them",
	(*control.Client).Group,
	func(body control.Group) layout {
		l := layout{
			columns: []string{"Stack", "XCF address", "Outside", "Heard", "Incarnation"},
			right:   []string{"Heard", "Incarnation"},
			notes:   []string{"plex " + body.Plex},
		}
		for _, m := range body.Members {
			heard := fmt.Sprintf("%d ms ago", m.HeardMS)
			if m.Self {
				heard = "itself"
			}
			l.rows = append(l.rows, table.Row{m.Stack, m.XCF, yes(m.Outside), heard, m.Incarnation})
		}
		if body.Problem != "" {
			l.notes = append(l.notes, "not in the group: "+body.Problem)
		}
		return l
	})

// everyConnection leaves the limit to the stack, which says in the answer what it left out.
func everyConnection(client *control.Client, ctx context.Context) (control.VCRT, error) {
	return client.VCRT(ctx, 0)
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return ""
}

func unlessZero(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprint(n)
}
