// Package chart knows where the blocks and edges of the flowcharts lie on paper, so that a report can
// draw them. The places were computed once, by Graphviz, from the requirements (charts.json); a test of
// conformance/requirements/charts holds the two together.
package chart

import (
	_ "embed"
	"encoding/json"
	"strings"
	"sync"
)

// File is the name of the file in this package's directory that holds the layouts, by figure.
const File = "charts.json"

// Layout is one flowchart on paper. Lengths are pixels of CSS, the origin is the upper left corner, places
// of boxes are their centres.
type Layout struct {
	Title  string `json:"title"`
	Width  int    `json:"width"`
	Height int    `json:"height"`
	// Start is the way into the first block.
	Start Path `json:"start"`
	// Blocks and Edges are by id: "fig12/142", "fig12/142-no->152".
	Blocks map[string]Box  `json:"blocks"`
	Edges  map[string]Edge `json:"edges"`
}

// Box is where a block lies.
type Box struct {
	X      int `json:"x"`
	Y      int `json:"y"`
	Width  int `json:"width"`
	Height int `json:"height"`
	// Decision: several edges leave the block.
	Decision bool `json:"decision,omitempty"`
}

// Edge is the way of an edge, and the centre of the room that was left for its label.
type Edge struct {
	Path
	// Outcome is empty on a way that is always taken.
	Outcome string `json:"outcome,omitempty"`
	LabelX  int    `json:"label_x"`
	LabelY  int    `json:"label_y"`
	// End is where the flowchart ends after the edge, nil where it goes on.
	End *Box `json:"end,omitempty"`
}

// Path is the data of an SVG path, from the tail to the head.
type Path struct {
	D string `json:"d"`
}

// What the layout leaves room for.
const (
	// LineLength is that of a line of a block's text, in characters, LineHeight its height.
	LineLength = 25
	LineHeight = 14
	// TextTop is from the upper edge of a box to its first line, which holds the block's number.
	TextTop = 18
	// BoxWidth holds a line, DecisionInset is what the points of a decision take on either side.
	BoxWidth      = 184
	DecisionInset = 14
	// LabelWidth and LabelHeight hold an outcome and, below it, a verdict.
	LabelWidth  = 68
	LabelHeight = 28
	// EndSize is the diameter of an end.
	EndSize = 14
)

// Lines breaks the text of a block.
func Lines(text string) []string {
	var lines []string
	for _, word := range strings.Fields(text) {
		last := len(lines) - 1
		if last >= 0 && len(lines[last])+1+len(word) <= LineLength {
			lines[last] += " " + word
			continue
		}
		lines = append(lines, word)
	}
	return lines
}

// BoxSize is the size of the box of a block with that text.
func BoxSize(text string, decision bool) (width, height int) {
	width = BoxWidth
	if decision {
		width += 2 * DecisionInset
	}
	return width, TextTop + len(Lines(text))*LineHeight + LineHeight/2 + 2
}

//go:embed charts.json
var layoutsText []byte

// The layouts are part of the program: a defect in them is a defect of the program.
var layouts = sync.OnceValue(func() map[string]Layout {
	var all map[string]Layout
	if err := json.Unmarshal(layoutsText, &all); err != nil {
		panic(err)
	}
	return all
})

// Of is the layout of a figure: "fig12".
func Of(figure string) (Layout, bool) {
	layout, ok := layouts()[figure]
	return layout, ok
}
