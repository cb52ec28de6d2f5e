package topo

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
)

// Fprint writes the plan for people to read: tables of networks, links and routes, then
// profiles, applications and faults. Of files only name and size are shown.
func (p Plan) Fprint(w io.Writer) error {
	_, err := io.WriteString(w, p.String())
	return err
}

// String is what Fprint writes.
func (p Plan) String() string {
	var b strings.Builder
	p.printSummary(&b)
	p.printNetworks(&b)
	p.printLinks(&b)
	p.printRoutes(&b)
	p.printProfiles(&b)
	p.printApplications(&b)
	p.printFaults(&b)
	return b.String()
}

func (p Plan) printSummary(b *strings.Builder) {
	count := map[Kind]int{}
	for _, n := range p.Nodes {
		count[n.Kind]++
	}
	fmt.Fprintf(b, "Plex %s: %s, %s, %s, %s; HELLO every %d ms, lost after %d ms of silence\n", p.Name,
		plural(len(p.Networks), "network"), plural(count[KindRouter], string(KindRouter)),
		plural(count[KindStack], string(KindStack)), plural(count[KindHost], string(KindHost)),
		p.Timers.HelloMS, p.Timers.DeadMS)
	kept := "in the port file"
	if p.ClusterPorts.Sharing == SharingDistributor {
		kept = "by the owner of each DVIPA"
	}
	fmt.Fprintf(b, "Cluster-wide ports kept %s, port 0 from %d to %d, rest of %g s\n",
		kept, p.ClusterPorts.First, p.ClusterPorts.Last, float64(p.ClusterPorts.RestMS)/1000)
	if a := p.Advertising; a.Method != "" {
		fmt.Fprintf(b, "DVIPAs are advertised by %s: hello every %d s, lost after %d s of silence; BFD every %d ms\n",
			strings.ToUpper(a.Method), a.HelloS, a.DeadS, a.BFDMS)
	}
	switch s := p.Selection; s.Method {
	case ByWLM:
		fmt.Fprintf(b, "Connections are distributed by the load of the systems, reported every %d ms\n", s.IntervalMS)
	case ByAgent:
		fmt.Fprintf(b, "Connections are distributed by the policy agent at %s, asked every %d ms\n", s.Agent, s.IntervalMS)
	}
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func (p Plan) printNetworks(b *strings.Builder) {
	t := table(b, "NETWORK", "SUBNET", "MTU", "BRIDGE")
	for _, n := range p.Networks {
		name := n.Name
		if n.XCF {
			name += " (XCF)"
		}
		t.row(name, n.Subnet, n.MTU, n.Bridge)
	}
	t.end()
}

func (p Plan) printLinks(b *strings.Builder) {
	t := table(b, "NODE", "KIND", "LINK", "NETWORK", "ADDRESS", "MAC", "PORT")
	for _, n := range p.Nodes {
		kind := string(n.Kind)
		if n.Stack != nil && n.Stack.Implementation != "" {
			kind += " (" + n.Stack.Implementation + ")"
		}
		for _, l := range n.Links {
			address := l.Addresses[0].String()
			if more := len(l.Addresses) - 1; more > 0 {
				address += fmt.Sprintf(" and %d more", more)
			}
			t.row(n.Name, kind, l.Name, l.Network, address, l.MAC, l.Port)
		}
	}
	t.end()
}

func (p Plan) printRoutes(b *strings.Builder) {
	t := table(b, "NODE", "ROUTE", "VIA")
	for _, n := range p.Nodes {
		for _, r := range n.Routes {
			destination := r.Destination.String()
			if r.Destination.Bits() == 0 {
				destination = "default"
			}
			t.row(n.Name, destination, r.Via)
		}
	}
	t.end()
}

func (p Plan) printProfiles(b *strings.Builder) {
	for _, n := range p.Nodes {
		if n.Stack != nil && n.Stack.Profile != "" {
			fmt.Fprintf(b, "\nProfile of %s:\n%s", n.Name, indent(n.Stack.Profile))
		}
	}
}

func indent(text string) string {
	return "  " + strings.ReplaceAll(strings.TrimSuffix(text, "\n"), "\n", "\n  ") + "\n"
}

func (p Plan) printApplications(b *strings.Builder) {
	t := table(b, "NODE", "APPLICATION", "COMMAND", "FILES")
	for _, n := range p.Nodes {
		for _, a := range n.Applications {
			var files []string
			for _, name := range slices.Sorted(maps.Keys(a.Files)) {
				files = append(files, fmt.Sprintf("%s (%d bytes)", name, len(a.Files[name])))
			}
			t.row(n.Name, a.Name, strings.Join(a.Command, " "), strings.Join(files, ", "))
		}
	}
	t.end()
}

func (p Plan) printFaults(b *strings.Builder) {
	t := table(b, "AFTER", "FAULT")
	for _, f := range p.Faults {
		t.row(fmt.Sprintf("%d ms", f.AfterMS), f.Verb+" "+strings.Join(f.Args, " "))
	}
	t.end()
}

// A printedTable aligns columns; one without rows prints nothing.
type printedTable struct {
	b    *strings.Builder
	rows [][]any
}

func table(b *strings.Builder, heads ...any) *printedTable {
	return &printedTable{b: b, rows: [][]any{heads}}
}

func (t *printedTable) row(cells ...any) { t.rows = append(t.rows, cells) }

func (t *printedTable) end() {
	if len(t.rows) == 1 {
		return
	}
	var aligned strings.Builder
	w := tabwriter.NewWriter(&aligned, 0, 8, 2, ' ', 0)
	for _, cells := range t.rows {
		for i, c := range cells {
			if i > 0 {
				fmt.Fprint(w, "\t")
			}
			fmt.Fprint(w, c)
		}
		fmt.Fprintln(w)
	}
	w.Flush()
	t.b.WriteString("\n")
	for line := range strings.Lines(aligned.String()) {
		t.b.WriteString(strings.TrimRight(line, " \n") + "\n")
	}
}
