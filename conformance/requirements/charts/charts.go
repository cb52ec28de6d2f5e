// Package charts lays out the flowcharts of the requirements for the report to draw them, with Graphviz.
// What it makes is committed (harness/report/chart), because Graphviz takes seconds to start.
package charts

//go:generate go test -run ^TestTheLayoutsAreCurrent$ -update

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/goccy/go-graphviz"

	"github.com/plexlab-dev/plexlab/conformance/requirements"
	"github.com/plexlab-dev/plexlab/harness/report/chart"
)

// start is the name of the place from which the first block is entered.
const start = "start"

// All lays out every flowchart, by its figure: "fig12".
func All(ctx context.Context) (layouts map[string]chart.Layout, err error) {
	engine, err := graphviz.New(ctx)
	if err != nil {
		return nil, fmt.Errorf("start Graphviz: %w", err)
	}
	defer func() { err = errors.Join(err, engine.Close()) }()
	layouts = map[string]chart.Layout{}
	for _, number := range requirements.Figures() {
		figure, _ := requirements.Figure(number)
		layout, err := layOut(ctx, engine, figure)
		if err != nil {
			return nil, fmt.Errorf("lay out figure %d: %w", number, err)
		}
		layouts[fmt.Sprintf("fig%02d", number)] = layout
	}
	return layouts, nil
}

func layOut(ctx context.Context, engine *graphviz.Graphviz, figure requirements.Chart) (chart.Layout, error) {
	graph, err := graphviz.ParseBytes([]byte(dot(figure)))
	if err != nil {
		return chart.Layout{}, err
	}
	var text bytes.Buffer
	if err := engine.Render(ctx, graph, "json0", &text); err != nil {
		return chart.Layout{}, errors.Join(err, graph.Close())
	}
	if err := graph.Close(); err != nil {
		return chart.Layout{}, err
	}
	var drawn drawing
	if err := json.Unmarshal(text.Bytes(), &drawn); err != nil {
		return chart.Layout{}, err
	}
	return drawn.layout(figure)
}

// pixelsPerInch is Graphviz's own: what it calls points are the pixels of the drawing.
const pixelsPerInch = 72

// dot is the flowchart in Graphviz's language. All boxes have their sizes, and labels of edges an empty
// table of theirs, so that no font has a part in the layout.
func dot(figure requirements.Chart) string {
	var text strings.Builder
	node := func(name string, width, height int) {
		fmt.Fprintf(&text, "%q [width=%.4f height=%.4f]\n", name, inches(width), inches(height))
	}
	text.WriteString("digraph {\nnodesep=0.28 ranksep=0.22\nnode [shape=box fixedsize=true label=\"\"]\nedge [arrowhead=none]\n")
	node(start, chart.EndSize, chart.EndSize)
	for _, b := range figure.Blocks {
		width, height := chart.BoxSize(b.Text, isDecision(figure, b.From))
		node(b.ID, width, height)
	}
	fmt.Fprintf(&text, "%q -> %q\n", start, blockID(figure, figure.Start))
	for _, e := range figure.Edges {
		if e.To == requirements.End {
			node(e.ID, chart.EndSize, chart.EndSize)
		}
		height := chart.LabelHeight
		if e.Outcome == "" {
			height /= 2
		}
		fmt.Fprintf(&text, `%q -> %q [id=%q label=<<table border="0" cellborder="0" fixedsize="true" width="%d" height="%d"><tr><td></td></tr></table>>]`+"\n",
			blockID(figure, e.From), head(figure, e), e.ID, chart.LabelWidth, height)
	}
	text.WriteString("}\n")
	return text.String()
}

func inches(pixels int) float64 { return float64(pixels) / pixelsPerInch }

func blockID(figure requirements.Chart, block string) string {
	return fmt.Sprintf("fig%02d/%s", figure.Figure, block)
}

// head is the name of the node that an edge leads to: an end has one for each of its edges.
func head(figure requirements.Chart, e requirements.Requirement) string {
	if e.To == requirements.End {
		return e.ID
	}
	return blockID(figure, e.To)
}

func isDecision(figure requirements.Chart, block string) bool {
	leaving := 0
	for _, e := range figure.Edges {
		if e.From == block {
			leaving++
		}
	}
	return leaving > 1
}

// drawing is what is read of Graphviz's JSON (format json0). Its origin is the lower left corner.
type drawing struct {
	Box     string `json:"bb"`
	Objects []struct {
		Name     string `json:"name"`
		Position string `json:"pos"`
		Width    string `json:"width"`
		Height   string `json:"height"`
	} `json:"objects"`
	Edges []struct {
		ID       string `json:"id"`
		Position string `json:"pos"`
		Label    string `json:"lp"`
	} `json:"edges"`
}

func (d drawing) layout(figure requirements.Chart) (chart.Layout, error) {
	bounds, err := numbers(d.Box)
	if err != nil || len(bounds) != 4 {
		return chart.Layout{}, fmt.Errorf("bounding box %q: %w", d.Box, err)
	}
	paper := paper{height: bounds[3]}
	layout := chart.Layout{
		Title: figure.Title, Width: round(bounds[2]) + 2*margin, Height: round(bounds[3]) + 2*margin,
		Blocks: map[string]chart.Box{}, Edges: map[string]chart.Edge{},
	}
	boxes := map[string]chart.Box{}
	for _, o := range d.Objects {
		size, err := numbers(o.Width + "," + o.Height)
		if err != nil {
			return chart.Layout{}, fmt.Errorf("node %s: %w", o.Name, err)
		}
		x, y, err := paper.point(o.Position)
		if err != nil {
			return chart.Layout{}, fmt.Errorf("node %s: %w", o.Name, err)
		}
		boxes[o.Name] = chart.Box{X: x, Y: y, Width: round(size[0] * pixelsPerInch), Height: round(size[1] * pixelsPerInch)}
	}
	for _, b := range figure.Blocks {
		box := boxes[b.ID]
		box.Decision = isDecision(figure, b.From)
		layout.Blocks[b.ID] = box
	}
	byID := map[string]requirements.Requirement{}
	for _, e := range figure.Edges {
		byID[e.ID] = e
	}
	for _, e := range d.Edges {
		path, err := paper.path(e.Position)
		if err != nil {
			return chart.Layout{}, fmt.Errorf("edge %s: %w", e.ID, err)
		}
		requirement, ok := byID[e.ID]
		if !ok {
			layout.Start = path
			continue
		}
		edge := chart.Edge{Path: path, Outcome: requirement.Outcome}
		if edge.LabelX, edge.LabelY, err = paper.point(e.Label); err != nil {
			return chart.Layout{}, fmt.Errorf("label of edge %s: %w", e.ID, err)
		}
		if end, ok := boxes[e.ID]; ok {
			edge.End = &end
		}
		layout.Edges[e.ID] = edge
	}
	return layout, nil
}

// margin, in pixels, is left on every side of the drawing.
const margin = 8

// paper turns Graphviz's places into those of SVG.
type paper struct{ height float64 }

func (p paper) point(text string) (x, y int, err error) {
	at, err := numbers(text)
	if err != nil || len(at) != 2 {
		return 0, 0, fmt.Errorf("point %q: %w", text, err)
	}
	return round(at[0]) + margin, round(p.height-at[1]) + margin, nil
}

// path is a spline of Graphviz: a point, then three for each cubic curve.
func (p paper) path(text string) (chart.Path, error) {
	var data strings.Builder
	for i, point := range strings.Fields(text) {
		x, y, err := p.point(point)
		if err != nil {
			return chart.Path{}, err
		}
		switch i {
		case 0:
			fmt.Fprintf(&data, "M%d %dC", x, y)
		default:
			fmt.Fprintf(&data, "%d %d ", x, y)
		}
	}
	return chart.Path{D: strings.TrimSpace(data.String())}, nil
}

func numbers(text string) ([]float64, error) {
	var all []float64
	for part := range strings.SplitSeq(text, ",") {
		n, err := strconv.ParseFloat(part, 64)
		if err != nil {
			return nil, err
		}
		all = append(all, n)
	}
	return all, nil
}

func round(f float64) int { return int(math.Round(f)) }
