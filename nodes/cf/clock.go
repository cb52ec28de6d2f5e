package cf

import (
	"time"

	"golang.org/x/sys/unix"
)

// A clock tells the time of CLOCK_BOOTTIME, which all processes of the machine share.
type clock func() time.Duration

func bootTime() time.Duration {
	var now unix.Timespec
	// It fails for an invalid clock alone.
	_ = unix.ClockGettime(unix.CLOCK_BOOTTIME, &now)
	return time.Duration(now.Nano())
}
