package portfile

import (
	"testing"
	"time"
)

// A stack answers no longer than others wait for it, and these go by the same silence.
func TestLapse(t *testing.T) {
	const ms = time.Millisecond
	for dead, want := range map[time.Duration]time.Duration{
		20 * ms: 110 * ms, 100 * ms: 110 * ms, 101 * ms: 111 * ms, 300 * ms: 310 * ms, 500 * ms: 510 * ms, 6820 * ms: 510 * ms,
	} {
		if got := Lapse(dead); got != want {
			t.Errorf("after %v of silence: %v, want %v", dead, got, want)
		}
	}
}
