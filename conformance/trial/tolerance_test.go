package trial

import (
	"testing"
	"time"
)

// Specs that look for mutants state a maximum of a second for whatever they wait for, routers included.
func TestNoWaitIsLongerThanTheStrictLimit(t *testing.T) {
	for _, limit := range []func() time.Duration{Limit, routingLimit, tellLimit} {
		t.Setenv("PLEXLAB_LIMIT", "")
		loose := limit()
		t.Setenv("PLEXLAB_LIMIT", "1s")
		if got := limit(); got != time.Second || loose <= got {
			t.Errorf("%s, with a strict limit of 1s %s", loose, got)
		}
		t.Setenv("PLEXLAB_LIMIT", "1h")
		if got := limit(); got != loose {
			t.Errorf("with a limit of 1h %s, want %s", got, loose)
		}
	}
}
