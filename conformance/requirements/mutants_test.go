package requirements

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/plexlab-dev/plexlab/harness/mutant"
)

// scenarios are what mutants are for besides requirements: the defects that others had, and partners
// that misbehave. fixtures/mutants/README.md describes them.
var scenarios = []string{
	"field/time-wait", "field/port-leak", "field/dead-lock-holder", "field/takeback-listeners", "field/wrong-owner",
	"field/stale-table", "field/dead-listener", "field/young-connections", "field/failback", "field/try-again",
	"field/dead-target", "field/tcp-reuse",
	"peer/lies", "peer/repeats", "peer/reorders", "peer/delays", "peer/wrong-owner", "peer/floods",
}

// TestEveryDecisionHasAMutant: every edge that a decision leads to, every interpretation and every scenario
// has a wrong variant of the reference that breaks it; and none is for something else.
func TestEveryDecisionHasAMutant(t *testing.T) {
	mutants, err := mutant.Load(os.DirFS(filepath.Join("..", "..", "fixtures", "mutants")))
	if err != nil {
		t.Fatal(err)
	}
	broken := map[string]bool{}
	for _, m := range mutants {
		for _, id := range m.For {
			broken[id] = true
			if _, ok := ByID(id); !ok && !slices.Contains(scenarios, id) {
				t.Errorf("mutant %s is for %s, which is neither a requirement nor a scenario", m.ID, id)
			}
		}
	}
	want := slices.Clone(scenarios)
	for _, r := range All() {
		if r.Kind == Edge && r.Outcome != "" || r.Kind == Interpretation {
			want = append(want, r.ID)
		}
	}
	for _, id := range want {
		if !broken[id] {
			t.Errorf("no mutant is for %s", id)
		}
	}
}
