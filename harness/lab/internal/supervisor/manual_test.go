package supervisor

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// The vendor's manual says how long a stack has to end in order.
func TestTheManualSaysWhenAStackIsKilled(t *testing.T) {
	t.Parallel()
	manual, err := os.ReadFile("../../../../nodes/contract/README.md")
	if err != nil {
		t.Fatal(err)
	}
	if words := fmt.Sprintf("kills after %d ms", graceful.Milliseconds()); !strings.Contains(string(manual), words) {
		t.Errorf("nodes/contract/README.md does not say: %s", words)
	}
}
