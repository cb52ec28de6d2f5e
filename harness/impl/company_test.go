package impl_test

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/plexlab-dev/plexlab/harness/impl"
)

// TestTheManualTellsTheCompanyOfCapabilities: whoever declares has read there what that takes.
func TestTheManualTellsTheCompanyOfCapabilities(t *testing.T) {
	manual, err := os.ReadFile("../../nodes/contract/README.md")
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(manual), "\n")
	for _, c := range impl.Capabilities() {
		var names []string
		for _, other := range impl.Company(c) {
			names = append(names, "`"+string(other)+"`")
		}
		begin, end := "| `"+string(c)+"` | ", strings.TrimSuffix("| "+strings.Join(names, ", "), " ")+" |"
		if !slices.ContainsFunc(lines, func(line string) bool { return strings.HasPrefix(line, begin) && strings.HasSuffix(line, end) }) {
			t.Errorf("nodes/contract/README.md has no row of %s that ends with %q", c, end)
		}
	}
}
