package main

import "time"

// A retry is when the clerk tries once more: each again, and sooner after a lock that was not to be had.
type retry struct {
	timer *time.Timer
	due   time.Time     // when the timer fires
	pause time.Duration // the latest one because of a lock; 0: it was to be had since
}

func newRetry() *retry {
	return &retry{timer: time.NewTimer(again), due: time.Now().Add(again)}
}

// next sets the timer after a try. Busy: a lock was not to be had; fired: the try was that of the timer.
func (r *retry) next(busy, fired bool) {
	switch {
	case busy:
		r.pause = min(max(afterBusy, 2*r.pause), again)
		if fired || time.Until(r.due) > r.pause {
			r.set(r.pause)
		}
	case fired:
		r.pause = 0
		r.set(again)
	}
}

func (r *retry) set(pause time.Duration) {
	r.timer.Reset(pause)
	r.due = time.Now().Add(pause)
}
