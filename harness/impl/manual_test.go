package impl

import (
	"os"
	"strings"
	"testing"
)

// The vendor's manual says what a manifest may declare.
func TestTheManualNamesTheCapabilities(t *testing.T) {
	t.Parallel()
	manual, err := os.ReadFile("../../nodes/contract/README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, row, _ := strings.Cut(string(manual), "\n| `capabilities` | ")
	row, _, _ = strings.Cut(row, "\n")
	for _, capability := range Capabilities() {
		if !strings.Contains(row, "`"+string(capability)+"`: ") {
			t.Errorf("the row of capabilities does not say what %s is", capability)
		}
	}
}
