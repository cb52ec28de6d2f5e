package netstat

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"

	"github.com/plexlab-dev/plexlab/nodes/contract/control"
)

var ports = of("ports", "cluster-wide ports",
	"who holds the ports of DVIPAs with CLUSTERPORTS, and an audit",
	everyPort,
	func(body control.Ports) layout {
		l := layout{
			columns: []string{"DVIPA", "Port", "Use", "Stacks", "Rests"},
			right:   []string{"Port", "Rests"},
		}
		l.notes = append(l.notes, condition(body.State, "", body.Problem)...)
		for _, d := range body.DVIPAs {
			for _, r := range runs(d.Ports) {
				rests := ""
				if r.RestingMS > 0 {
					rests = fmt.Sprintf("%.1f s", float64(r.RestingMS)/1000)
				}
				l.rows = append(l.rows, table.Row{d.DVIPA, r.name(), r.Use, strings.Join(r.Holders, ", "), rests})
			}
			l.notes = append(l.notes, condition(d.State, d.DVIPA.String()+" ", d.Problem)...)
			l.notes = append(l.notes, summary(d))
			if total := d.Unique + d.Shared + d.Resting; total > len(d.Ports) {
				l.notes = append(l.notes, fmt.Sprintf("%s: %d of %d ports shown", d.DVIPA, len(d.Ports), total))
			}
		}
		l.notes = append(l.notes, "ports are shared by: "+body.Sharing)
		for _, f := range body.Findings {
			l.notes = append(l.notes, fmt.Sprintf("AUDIT %s port %d: %s (%s)", f.DVIPA, f.Port, f.Text, f.Kind))
		}
		degraded := body.State == control.PortsDegraded ||
			slices.ContainsFunc(body.DVIPAs, func(d control.DVIPAPorts) bool { return d.State == control.PortsDegraded })
		switch {
		case degraded:
			l.notes = append(l.notes, "audit: not of what is degraded")
		case len(body.Findings) == 0:
			l.notes = append(l.notes, "audit: clean")
		}
		return l
	})

// summary counts the ports of a DVIPA.
func summary(d control.DVIPAPorts) string {
	if d.Owner != "" {
		return fmt.Sprintf("%s: %s keeps the table; held here: %d unique, %d shared", d.DVIPA, d.Owner, d.Unique, d.Shared)
	}
	return fmt.Sprintf("%s: %d of %d to %d available; %d unique, %d shared, %d resting",
		d.DVIPA, d.Available, d.First, d.Last, d.Unique, d.Shared, d.Resting)
}

// condition is a line that says what is not in order, if anything is.
func condition(state, of, problem string) []string {
	if state == control.PortsOK {
		return nil
	}
	line := of + strings.ToUpper(state)
	if problem != "" {
		line += ": " + problem
	}
	return []string{line}
}

// A run is one port, or several in a row that are used alike. A resting run rests as long as
// the last of its ports.
type run struct {
	control.ClusterPort
	last uint16
}

func (r run) name() string {
	if r.last == r.Port {
		return fmt.Sprint(r.Port)
	}
	return fmt.Sprintf("%d-%d", r.Port, r.last)
}

// runs are the ports of one DVIPA, which come in ascending order.
func runs(ports []control.ClusterPort) []run {
	var all []run
	for _, p := range ports {
		if n := len(all) - 1; n >= 0 {
			r := &all[n]
			if int(r.last)+1 == int(p.Port) && r.Use == p.Use && slices.Equal(r.Holders, p.Holders) {
				r.last, r.RestingMS = p.Port, max(r.RestingMS, p.RestingMS)
				continue
			}
		}
		all = append(all, run{p, p.Port})
	}
	return all
}

// everyPort leaves the limit to the stack; the counts say what it left out.
func everyPort(client *control.Client, ctx context.Context) (control.Ports, error) {
	return client.Ports(ctx, 0)
}
