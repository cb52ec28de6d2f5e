package supervisor

import (
	"testing"
	"time"
)

func TestPauseGrowsWithWhatHasPassed(t *testing.T) {
	for _, c := range []struct{ took, want time.Duration }{
		{0, 2 * time.Millisecond},
		{60 * time.Millisecond, 10 * time.Millisecond},
		{400 * time.Millisecond, 20 * time.Millisecond},
		{1600 * time.Millisecond, 50 * time.Millisecond},
		{time.Minute, 100 * time.Millisecond},
	} {
		if got := pause(c.took); got != c.want {
			t.Errorf("pause(%v) = %v, want %v", c.took, got, c.want)
		}
	}
}
