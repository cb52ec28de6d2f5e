// Package monotonic is the clock that processes of a machine have in common, and that nobody sets.
package monotonic

import "golang.org/x/sys/unix"

// Now is CLOCK_MONOTONIC in nanoseconds.
func Now() int64 {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		panic(err) // cannot fail on Linux
	}
	return ts.Nano()
}
