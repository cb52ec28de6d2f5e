package report

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"

	"github.com/plexlab-dev/plexlab/harness/verdict"
)

// Coverage is one file of coverage: how often edges were passed, by their ids, counted from the
// trace of a stack or from the counters of its data path.
type Coverage struct {
	Suite string            `json:"suite"`
	Edges map[string]uint64 `json:"edges"`
}

// readCoverage adds up the files of coverage and measures each flowchart with them.
func (r *Report) readCoverage(dir string, catalogue []Requirement) {
	files, _ := filepath.Glob(filepath.Join(dir, coverageDir, "*.json")) // the pattern is well-formed
	passed := map[string]uint64{}
	for _, file := range files {
		var c Coverage
		if _, err := readJSON(file, &c); err != nil {
			r.problem("coverage: %v", err)
			continue
		}
		for edge, count := range c.Edges {
			passed[edge] += count
		}
	}
	r.measure(passed, catalogue)
}

func (r *Report) measure(passed map[string]uint64, catalogue []Requirement) {
	r.Coverage = map[string]FigureCoverage{}
	edges, blocks := map[string]bool{}, map[string]bool{}
	for _, requirement := range catalogue {
		if requirement.Kind != kindEdge {
			continue
		}
		edges[requirement.ID] = true
		if passed[requirement.ID] > 0 {
			// Whoever takes an edge passes both of its blocks.
			for _, block := range requirement.Blocks {
				blocks[block] = true
			}
		}
	}
	for _, requirement := range catalogue {
		if requirement.Kind != kindEdge && requirement.Kind != kindBlock {
			continue
		}
		name := fmt.Sprintf("fig%02d", requirement.Figure)
		figure := r.Coverage[name]
		share, isCovered := &figure.Blocks, blocks[requirement.ID]
		if requirement.Kind == kindEdge {
			share, isCovered = &figure.Edges, passed[requirement.ID] > 0
			if isCovered {
				if figure.Passed == nil {
					figure.Passed = map[string]uint64{}
				}
				figure.Passed[requirement.ID] = passed[requirement.ID]
			} else if requirement.due() {
				figure.Uncovered = append(figure.Uncovered, requirement.ID)
			}
		}
		r.count(requirement, share, isCovered)
		r.Coverage[name] = figure
	}
	if len(edges) == 0 {
		return // without the requirements nobody knows the flowcharts
	}
	for _, edge := range slices.Sorted(maps.Keys(passed)) {
		if !edges[edge] {
			r.UnknownEdges = append(r.UnknownEdges, edge)
		}
	}
}

func (r *Report) count(requirement Requirement, share *Share, isCovered bool) {
	result := r.Requirements[requirement.ID]
	share.Total++
	if requirement.due() {
		share.Due++
	}
	if isCovered {
		share.Covered++
		result.Covered = true
		r.Requirements[requirement.ID] = result
	}
	if result.Verdict == verdict.Pass {
		share.Verified++
	}
}
