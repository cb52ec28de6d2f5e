package vipa_test

import (
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
	"github.com/plexlab-dev/plexlab/nodes/vipa"
)

// TestGolden runs the scripts of testdata and compares actions and traces. Run with -rewrite
// to write the results anew, and read the difference. A script named after a figure has to
// pass every edge of that figure that can be passed.
func TestGolden(t *testing.T) {
	scripts, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(scripts) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, path := range scripts {
		t.Run(filepath.Base(path), func(t *testing.T) {
			script := newScript()
			datadriven.RunTest(t, path, script.run)

			figure := strings.TrimSuffix(filepath.Base(path), ".txt")
			for _, edge := range edgesOf(figure) {
				if !script.passed[edge] {
					t.Errorf("%s: edge %s is not passed", path, edge)
				}
			}
			known := vipa.Edges()
			for _, edge := range slices.Sorted(maps.Keys(script.passed)) {
				if !slices.Contains(known, edge) {
					t.Errorf("%s: edge %s is passed and not listed in Edges", path, edge)
				}
			}
		})
	}
}

// TestEdgesHaveAScript: every figure of Edges has its script in testdata, and no edge is listed twice.
func TestEdgesHaveAScript(t *testing.T) {
	seen := make(map[vipa.Edge]bool)
	for _, edge := range vipa.Edges() {
		if seen[edge] {
			t.Errorf("%s is listed twice", edge)
		}
		seen[edge] = true
		figure, _, _ := strings.Cut(string(edge), "/")
		if found, _ := filepath.Glob("testdata/" + figure + ".txt"); len(found) == 0 {
			t.Errorf("%s: no script for %s", edge, figure)
		}
	}
}

func edgesOf(figure string) []vipa.Edge {
	var edges []vipa.Edge
	for _, edge := range vipa.Edges() {
		if strings.HasPrefix(string(edge), figure+"/") {
			edges = append(edges, edge)
		}
	}
	return edges
}
