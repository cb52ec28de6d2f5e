package requirements

import (
	"embed"
	"fmt"
	"slices"
	"strings"
	"sync"
)

//go:embed *.yaml
var files embed.FS

// The data is part of the program: it is read once, and a defect in it is a defect of the program.
var embedded = sync.OnceValue(func() *catalogue {
	c, err := load(files)
	if err != nil {
		panic(err)
	}
	return c
})

// catalogue holds requirements in the order of their files; byID is keyed in lower case.
type catalogue struct {
	all    []Requirement
	byID   map[string]int
	charts []Chart
}

// All returns every requirement: those of the figures in order, then interpretations, forms of the
// profile language, statements and pairs.
func All() []Requirement { return slices.Clone(embedded().all) }

// ByID returns the requirement with that id, spelled exactly.
func ByID(id string) (Requirement, bool) { return embedded().find(id) }

// Figures returns the numbers of the flowcharts in order.
func Figures() []int {
	var numbers []int
	for _, chart := range embedded().charts {
		numbers = append(numbers, chart.Figure)
	}
	return numbers
}

// Figure returns the flowchart of that number.
func Figure(number int) (Chart, bool) {
	for _, chart := range embedded().charts {
		if chart.Figure == number {
			chart.Blocks, chart.Edges = slices.Clone(chart.Blocks), slices.Clone(chart.Edges)
			return chart, true
		}
	}
	return Chart{}, false
}

// Implied returns the ids that a spec of id verifies besides: whoever takes an edge passes both of
// its blocks. For anything but an edge there are none.
func Implied(id string) []string { return embedded().implied(id) }

func (c *catalogue) implied(id string) []string {
	r, ok := c.find(id)
	if !ok || r.Kind != Edge {
		return nil
	}
	blocks := []string{blockID(r.Figure, r.From)}
	if r.To != End {
		blocks = append(blocks, blockID(r.Figure, r.To))
	}
	return blocks
}

func (c *catalogue) find(id string) (Requirement, bool) {
	i, ok := c.byID[strings.ToLower(id)]
	if !ok || c.all[i].ID != id {
		return Requirement{}, false
	}
	return c.all[i], true
}

func (c *catalogue) add(r Requirement) error {
	if err := r.check(); err != nil {
		return fmt.Errorf("requirement %s: %w", r.ID, err)
	}
	key := strings.ToLower(r.ID)
	if _, ok := c.byID[key]; ok {
		return fmt.Errorf("requirement %s: id is used twice", r.ID)
	}
	c.byID[key] = len(c.all)
	c.all = append(c.all, r)
	return nil
}
