// Package netstat renders what a stack tells of itself over the control API as tables for
// people, in the manner of the NETSTAT reports of the field.
package netstat

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"

	"github.com/plexlab-dev/plexlab/nodes/contract/control"
)

// A Report is one display of a stack.
type Report struct {
	// Name is the last word of its path in the control API: "home" is GET /v1/home.
	Name string
	// Title heads the table.
	Title string
	// About is one line for a list of reports.
	About string

	ask func(*control.Client, context.Context) (any, error)
	lay func(answer any) layout
}

// of makes a report of a question to the control API and of how its answer is laid out.
func of[Answer any](name, title, about string,
	ask func(*control.Client, context.Context) (Answer, error), lay func(Answer) layout) Report {
	return Report{
		Name: name, Title: title, About: about,
		ask: func(client *control.Client, ctx context.Context) (any, error) { return ask(client, ctx) },
		lay: func(answer any) layout { return lay(answer.(Answer)) },
	}
}

// layout is a table before it is drawn.
type layout struct {
	columns []string
	rows    []table.Row
	// right names the columns that hold numbers.
	right []string
	// notes follow the table, a line each.
	notes []string
}

// Reports are all that a stack can be asked for, in the order in which they are listed.
func Reports() []Report {
	return []Report{home, vipadcfg, vipadyn, vdpt, vcrt, ports, group}
}

// ByName finds the report of that name.
func ByName(name string) (Report, bool) {
	for _, report := range Reports() {
		if report.Name == name {
			return report, true
		}
	}
	return Report{}, false
}

// Ask has the stack behind client answer; the answer is for Write or for json.Marshal.
func (r Report) Ask(ctx context.Context, client *control.Client) (answer any, err error) {
	return r.ask(client, ctx)
}

// Write draws what Ask returned of stack to w. An empty table says so.
func (r Report) Write(w io.Writer, stack string, answer any) error {
	l := r.lay(answer)
	var out strings.Builder
	fmt.Fprintf(&out, "%s  %s\n", stack, r.Title)
	if len(l.rows) == 0 {
		out.WriteString("  none\n")
	} else {
		for line := range strings.Lines(l.draw()) {
			out.WriteString("  " + strings.TrimRight(line, " \n") + "\n")
		}
	}
	for _, note := range l.notes {
		out.WriteString("  " + note + "\n")
	}
	_, err := io.WriteString(w, out.String())
	return err
}

func (l layout) draw() string {
	t := table.NewWriter()
	t.SetStyle(Style)
	header := make(table.Row, len(l.columns))
	for i, column := range l.columns {
		header[i] = column
	}
	t.AppendHeader(header)
	t.AppendRows(l.rows)
	configs := make([]table.ColumnConfig, len(l.right))
	for i, name := range l.right {
		configs[i] = table.ColumnConfig{Name: name, Align: text.AlignRight, AlignHeader: text.AlignRight}
	}
	t.SetColumnConfigs(configs)
	return t.Render()
}

// Style is how every table of the command looks: columns apart by two spaces, a line below the
// header, no frame.
var Style = table.Style{
	Name: "netstat",
	Box: table.BoxStyle{
		MiddleHorizontal: "-",
		MiddleSeparator:  "  ",
		MiddleVertical:   "  ",
		PaddingLeft:      "",
		PaddingRight:     "",
	},
	Format:  table.FormatOptions{Header: text.FormatDefault},
	Options: table.Options{SeparateColumns: true, SeparateHeader: true},
}
