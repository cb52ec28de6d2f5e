package page

import (
	"fmt"
	"strings"

	"github.com/plexlab-dev/plexlab/harness/report"
	"github.com/plexlab-dev/plexlab/harness/report/chart"
)

// A figure is one flowchart.
type figure struct {
	Anchor, Title string
	Number        int
	report.FigureCoverage
	Edges, Blocks []requirement
	// Drawn is nil for a flowchart that has no layout, or another one than the run's.
	Drawn *drawn
}

// drawn is a flowchart as SVG.
type drawn struct {
	Width, Height int
	Start         string
	StartX        int
	Blocks        []drawnBlock
	Edges         []drawnEdge
}

type drawnBlock struct {
	requirement
	chart.Box
	Number string
	// Outline is the data of an SVG path around the block.
	Outline       string
	Left, NumberY int
	Lines         []drawnLine
}

type drawnLine struct {
	Text string
	Y    int
}

type drawnEdge struct {
	requirement
	chart.Edge
	Due bool
	// WordY is the base line of the verdict, OutcomeY that of the outcome above it; both begin at LabelLeft.
	LabelLeft, OutcomeY, WordY int
}

func newFigure(name string, r *report.Report) figure {
	f := figure{Anchor: name, FigureCoverage: r.Coverage[name]}
	fmt.Sscanf(name, "fig%d", &f.Number)
	f.Edges, f.Blocks = requirementsOf(r, "edge", f.Number), requirementsOf(r, "block", f.Number)
	layout, ok := chart.Of(name)
	if ok {
		f.Title = layout.Title
		f.Drawn = draw(layout, f.Blocks, f.Edges)
	}
	return f
}

// labelInset, in pixels, keeps a label off its edge.
const labelInset = 5

// draw is nil where the layout lacks a block or an edge.
func draw(layout chart.Layout, blocks, edges []requirement) *drawn {
	d := &drawn{Width: layout.Width, Height: layout.Height, Start: layout.Start.D}
	for _, b := range blocks {
		box, ok := layout.Blocks[b.ID]
		if !ok {
			return nil
		}
		d.Blocks = append(d.Blocks, newDrawnBlock(b, box))
	}
	for _, e := range edges {
		way, ok := layout.Edges[e.ID]
		if !ok {
			return nil
		}
		edge := drawnEdge{
			requirement: e, Edge: way, Due: e.Status == "now", LabelLeft: way.LabelX - chart.LabelWidth/2 + labelInset, WordY: way.LabelY + 4,
		}
		if way.Outcome != "" {
			edge.OutcomeY, edge.WordY = way.LabelY-3, way.LabelY+10
		}
		d.Edges = append(d.Edges, edge)
	}
	return d
}

func newDrawnBlock(b requirement, box chart.Box) drawnBlock {
	top, left := box.Y-box.Height/2, box.X-box.Width/2
	_, number, _ := strings.Cut(b.ID, "/")
	block := drawnBlock{requirement: b, Box: box, Number: number, Left: left + 10, NumberY: top + chart.TextTop - 2}
	block.Outline = fmt.Sprintf("M%d %dh%dv%dh%dz", left, top, box.Width, box.Height, -box.Width)
	if box.Decision {
		const inset = chart.DecisionInset
		half := box.Height / 2
		block.Left += inset
		block.Outline = fmt.Sprintf("M%d %dl%d %dh%dl%d %dl%d %dh%dz",
			left, box.Y, inset, -half, box.Width-2*inset, inset, half, -inset, half, -(box.Width - 2*inset))
	}
	for i, text := range chart.Lines(b.Text) {
		block.Lines = append(block.Lines, drawnLine{text, top + chart.TextTop + (i+1)*chart.LineHeight - 2})
	}
	return block
}
