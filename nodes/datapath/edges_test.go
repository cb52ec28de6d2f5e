package datapath

import (
	"slices"
	"testing"
	"time"
)

// Every comment is within what nft reads, and together they name every edge of both figures.
func TestComments(t *testing.T) {
	t.Parallel()
	for name, a := range everyFamily {
		t.Run(name, func(t *testing.T) { testComments(t, a.family) })
	}
}

func testComments(t *testing.T, f family) {
	g := figure{family: f, tables: newTables(f, 1), embryonic: time.Second}
	named := make(map[string]bool)
	for _, r := range slices.Concat(g.rules(set{}), g.localRules(), leaseRules([]figure{g})) {
		if len(r.comment) > 128 {
			t.Errorf("comment of %d bytes: %s", len(r.comment), r.comment)
		}
		for _, edge := range edges(r.comment) {
			named[edge] = true
		}
	}
	for _, edge := range []string{
		"fig12/140-yes->150", "fig12/140-no->142", "fig12/142-no->152", "fig12/142-yes->143",
		"fig12/143-yes->150", "fig12/143-no->145", "fig12/145-no->152", "fig12/145-yes->144",
		"fig12/144->146", "fig12/146->150", "fig12/150->end", "fig12/152->end",
		"fig08/802-yes->804", "fig08/802-no->806", "fig08/806-no->808", "fig08/806-yes->810",
		"fig08/810->812", "fig08/804->end", "fig08/808->end", "fig08/812->end",
		"I1", "I7", "I20", "I21",
	} {
		if !named[edge] {
			t.Errorf("no rule counts %s", edge)
		}
		delete(named, edge)
	}
	want(t, "other counts", map[string]bool{pathFull: true, pathICMPError: true, pathNotOwner: true, pathRenewed: true, pathLate: true}, named)
}

// The turns go on over a change of targets.
func TestSelectorGoesOn(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name          string
		before, after []int
		taken         uint64
		want          []int
	}{
		{"first", nil, []int{1, 2, 3}, 0, []int{1, 2, 3}},
		{"in the middle of a round", []int{1, 2, 3}, []int{1, 2, 3, 4}, 7, []int{2, 3, 4, 1}},
		{"the next one left", []int{1, 2, 3}, []int{1, 3}, 4, []int{3, 1}},
		{"the next two left", []int{1, 2, 3}, []int{1}, 4, []int{1}},
		{"all are new", []int{1, 2}, []int{3, 4}, 1, []int{3, 4}},
	} {
		var before *selector
		if c.before != nil {
			before = newSelector(of4.distribute(80, c.before...).Targets, nil, 0)
		}
		var turns []string
		for _, n := range c.want {
			turns = append(turns, of4.xcf(n).String())
		}
		var got []string
		for _, target := range newSelector(of4.distribute(80, c.after...).Targets, before, c.taken).sequence {
			got = append(got, target.String())
		}
		want(t, c.name, turns, got)
	}
}
