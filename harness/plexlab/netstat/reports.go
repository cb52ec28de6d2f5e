package netstat

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"

	"github.com/plexlab-dev/plexlab/nodes/contract/control"
)

// decoded makes a lay function of one that takes the decoded body.
func decoded[Body any](lay func(Body) layout) func([]byte) (layout, error) {
	return func(text []byte) (layout, error) {
		var body Body
		if err := json.Unmarshal(text, &body); err != nil {
			return layout{}, err
		}
		return lay(body), nil
	}
}

var home = Report{
	Name: "home", Title: "home list",
	About: "every address that the stack has",
	lay: decoded(func(body control.Home) layout {
		l := layout{columns: []string{"Address", "Interface", "Kind", "Advertised"}}
		for _, a := range body.Addresses {
			l.rows = append(l.rows, table.Row{a.Address, a.Interface, a.Kind, yes(a.Advertised)})
		}
		return l
	}),
}

var vipadcfg = Report{
	Name: "vipadcfg", Title: "dynamic VIPA configuration",
	About: "the VIPADYNAMIC definitions in force",
	lay: decoded(func(body control.VIPADCFG) layout {
		l := layout{columns: []string{"Statement"}}
		for _, statement := range body.Statements {
			l.rows = append(l.rows, table.Row{statement})
		}
		return l
	}),
}

var vipadyn = Report{
	Name: "vipadyn", Title: "dynamic VIPAs",
	About: "every DVIPA that the stack knows, with status and owner",
	lay: decoded(func(body control.VIPADYN) layout {
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
	}),
}

var vdpt = Report{
	Name: "vdpt", Title: "destination port table",
	About: "the current actual targets of every service (DPT)",
	lay: decoded(func(body control.VDPT) layout {
		l := layout{
			columns: []string{"DVIPA", "Port", "Target", "Stack", "Weight"},
			right:   []string{"Port", "Weight"},
		}
		for _, e := range body.Entries {
			l.rows = append(l.rows, table.Row{e.DVIPA, e.Port, e.Target, e.Stack, e.Weight})
		}
		return l
	}),
}

var vcrt = Report{
	Name: "vcrt", Title: "connection routing table",
	About: "the connections, each with its target (CRT)",
	lay: decoded(func(body control.VCRT) layout {
		l := layout{
			columns: []string{"Source", "DVIPA and port", "Target", "Stack", "Expires"},
			right:   []string{"Expires"},
		}
		for _, e := range body.Entries {
			source, expires := e.Source.String(), ""
			if e.Unique {
				source = "any"
			}
			if e.ExpiresMS > 0 {
				expires = (time.Duration(e.ExpiresMS) * time.Millisecond).Round(100 * time.Millisecond).String()
			}
			l.rows = append(l.rows, table.Row{source, e.DVIPA, e.Target, e.Stack, expires})
		}
		if body.Total > len(body.Entries) {
			l.notes = append(l.notes, fmt.Sprintf("%d of %d entries shown", len(body.Entries), body.Total))
		}
		return l
	}),
}

var group = Report{
	Name: "group", Title: "XCF group",
	About: "the members of the XCF group as the stack sees them",
	lay: decoded(func(body control.Group) layout {
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
	}),
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
