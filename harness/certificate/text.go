package certificate

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"

	"github.com/plexlab-dev/plexlab/harness/verdict"
)

// Text is the certificate as a person reads it; its last line is the verdict.
func (c *Certificate) Text() string {
	var out strings.Builder
	box := "black box: packets, messages and the port file alone"
	if c.WhiteBox {
		box = "black box, and white box by its traces"
	}
	fmt.Fprintf(&out, "%s %s\n%s; suites %s on Linux %s; %s\n", c.Implementation.Name, c.Implementation.Version,
		box, c.SuiteCommit, c.Kernel, c.runs())
	out.WriteString(c.profileTable() + "\n")
	fmt.Fprintf(&out, "specs that passed and rest on packets that were judged again: %d of %d; the others on messages, the port file, what clients and servers saw\n",
		c.Packets.Derived, c.Packets.Passed)
	fmt.Fprintf(&out, "packet judgements derived again from the evidence: %d of %d, of %d specs\n",
		c.Packets.Again, c.Packets.Again+c.Packets.Opaque, c.Packets.Specs)
	list(&out, "not declared", c.undeclared())
	if !c.WhiteBox {
		list(&out, "unobserved, for nothing but a trace shows them", c.with(Unobserved))
	}
	list(&out, "chosen otherwise, as declared, and found so", c.with(Deviates))
	if len(c.Excused) > 0 { // all of them, however many
		out.WriteString("failed, and excused by a deviation:\n")
		for _, e := range c.Excused {
			fmt.Fprintf(&out, "  %s\n", e)
		}
	}
	list(&out, "deviations that the implementation declares", c.deviations())
	list(&out, "because", c.Reasons)
	fmt.Fprintf(&out, "%s: %s", c.Outcome().Name, c.Meaning())
	if c.Level != "" {
		fmt.Fprintf(&out, "; level: %s", c.Level)
	}
	out.WriteByte('\n')
	return out.String()
}

func (c *Certificate) runs() string {
	if c.Repeat == 1 {
		return "one run"
	}
	return fmt.Sprintf("%d runs of the same", c.Repeat)
}

func (c *Certificate) profileTable() string {
	t := table.NewWriter()
	t.SetStyle(table.StyleRounded)
	t.AppendHeader(table.Row{"profile", "verdict", "requirements", "verified", "unobserved", "specs", "passed"})
	var columns []table.ColumnConfig
	for number := 3; number <= 7; number++ {
		columns = append(columns, table.ColumnConfig{Number: number, Align: text.AlignRight, AlignHeader: text.AlignRight})
	}
	t.SetColumnConfigs(columns)
	for _, p := range c.Profiles {
		t.AppendRow(table.Row{p.Name, p.Verdict, p.Due, p.Verified, p.Unobserved, p.Specs, p.Passed})
	}
	return t.Render()
}

// undeclared are the profiles that the implementation does not declare, with their shares.
func (c *Certificate) undeclared() []string {
	var lines []string
	for _, p := range c.Profiles {
		if p.Verdict == verdict.Unimplemented && !p.Declared {
			lines = append(lines, fmt.Sprintf("%s: %d requirements, %.1f %% of all that are due; %d specs, %.1f %% of all",
				p.Name, p.Due, 100*p.Share, p.Specs, 100*p.SpecShare))
		}
	}
	return lines
}

func (c *Certificate) with(v verdict.Verdict) []string {
	var ids []string
	for _, r := range c.Requirements {
		if r.Verdict == v {
			ids = append(ids, r.ID)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	return []string{strings.Join(ids, " ")}
}

func (c *Certificate) deviations() []string {
	var lines []string
	for _, d := range c.Deviations {
		var given time.Duration
		if i := slices.IndexFunc(c.Tolerances, func(t Tolerance) bool { return t.Name == d.Tolerance }); i >= 0 {
			given = c.Tolerances[i].Given
		}
		lines = append(lines, d.Words(given))
	}
	return lines
}

func list(out *strings.Builder, title string, lines []string) {
	const most = 20
	if len(lines) == 0 {
		return
	}
	fmt.Fprintf(out, "%s:\n", title)
	for _, line := range lines[:min(most, len(lines))] {
		fmt.Fprintf(out, "  %s\n", line)
	}
	if left := len(lines) - most; left > 0 {
		fmt.Fprintf(out, "  and %d more, see the reports of the runs\n", left)
	}
}
