package sockets

import "time"

// breath is the time between two drains of events, so that one wake-up serves many. The first event
// after a breath without any wakes the monitor at once.
type breath time.Duration

const (
	// shortBreath keeps the end of a listening socket quick where little else happens.
	shortBreath = breath(5 * time.Millisecond)
	// longBreath is no longer than the time between two checks of listening sockets, by which
	// their end is found as well.
	longBreath = breath(20 * time.Millisecond)
	// manyEvents of one short breath (3,200 a second) are worth a longer one.
	manyEvents = 16
	// roomyBuffer holds the events of a long breath at 90,000 a second, at about 2 KiB each; the
	// buffer that everybody gets (net.core.rmem_max) overflowed at a tenth of that.
	roomyBuffer = 4 << 20
)

// after is the breath that follows a drain of so many events, 1 or more. Within says that it came
// before the end of the breath, so that few may have been yet; roomy that the kernel keeps many
// for us. Under load it doubles up to longBreath.
func (b breath) after(events int, within, roomy bool) breath {
	switch {
	case !roomy:
		return shortBreath
	case events >= manyEvents:
		return min(max(2*b, shortBreath), longBreath)
	case within:
		return b
	default:
		return shortBreath
	}
}
