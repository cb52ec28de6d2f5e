package sockets

import (
	"container/heap"
	"time"
)

// How often the kernel is asked whether something is left of a connection.
const (
	firstBackoff = 20 * time.Millisecond
	// maxBackoff applies to few remnants; of many, each adds backoffPerRemnant, so that
	// looking costs a few percent of a core at most, up to slowestBackoff.
	maxBackoff        = time.Second
	backoffPerRemnant = 100 * time.Microsecond
	slowestBackoff    = 10 * time.Second
	// timerSlack is how late the kernel's timer may end a remnant after it said it would.
	timerSlack = 5 * time.Millisecond
)

// remnants are connections whose socket is gone and of which the kernel may still hold
// something: TIME_WAIT, FIN_WAIT2, or the next use of the same addresses and ports. The
// end of a remnant gives no event, so each is asked about until nothing is left. Connections
// that are being opened are among them: their failure gives no event either.
type remnants struct {
	byConnection map[Connection]*remnant
	byDue        dueHeap
	// spare are forgotten ones to be used again: most connections are looked up once, and nothing is left.
	spare []*remnant
}

// maxSpare of them, for those that end within a gathering under load.
const maxSpare = 4096

type remnant struct {
	closed
	due     time.Time
	backoff time.Duration
	// suspected: no event told that the socket is gone; a sweep missed it, or it is that of a
	// later use.
	suspected bool
	// opening: the connection is not established yet, as far as is known.
	opening bool
	// attempt is the thread that opens the connection, until that is known to have begun.
	attempt *attempt
	index   int // in byDue; -1 while it is looked up
}

func newRemnants() *remnants {
	return &remnants{byConnection: map[Connection]*remnant{}}
}

func (r *remnants) len() int { return len(r.byConnection) }

func (r *remnants) has(c Connection) bool { return r.byConnection[c] != nil }

// add takes in a connection, to be looked up at due.
func (r *remnants) add(c closed, due time.Time, suspected bool) {
	x := r.byConnection[c.connection]
	if x == nil {
		x = r.make(c.connection)
	}
	x.closed, x.due, x.backoff, x.suspected, x.opening, x.attempt = c, due, firstBackoff, suspected, false, nil
	r.place(x)
}

// make makes one that is not placed.
func (r *remnants) make(c Connection) (x *remnant) {
	if last := len(r.spare) - 1; last >= 0 {
		x, r.spare = r.spare[last], r.spare[:last]
	} else {
		x = &remnant{index: -1}
	}
	r.byConnection[c] = x
	return x
}

// open takes in a connection that a thread opens, to be looked up at due.
func (r *remnants) open(c closed, due time.Time, a *attempt) {
	r.add(c, due, true)
	x := r.byConnection[c.connection]
	x.opening, x.attempt = true, a
}

// hasten has those looked up now that are being opened.
func (r *remnants) hasten(now time.Time) {
	for _, x := range r.byConnection {
		if x.opening && x.index >= 0 {
			x.due = now
			r.place(x)
		}
	}
}

// take takes in a connection that is looked up at once; it must go to keep or forget. It
// returns nil for one that is being looked up already.
func (r *remnants) take(c closed) *remnant {
	x := r.byConnection[c.connection]
	taken := x != nil && x.index < 0
	switch {
	case x == nil:
		x = r.make(c.connection)
	case !taken:
		heap.Remove(&r.byDue, x.index)
	}
	x.closed, x.backoff, x.suspected, x.opening, x.attempt = c, firstBackoff, false, false, nil
	if taken {
		return nil
	}
	return x
}

// next is when the first one is due.
func (r *remnants) next() (time.Time, bool) {
	if len(r.byDue) == 0 {
		return time.Time{}, false
	}
	return r.byDue[0].due, true
}

// takeDue returns at most max that are due; each must go to keep or forget.
func (r *remnants) takeDue(now time.Time, max int) []*remnant {
	var due []*remnant
	for len(due) < max && len(r.byDue) > 0 && !r.byDue[0].due.After(now) {
		due = append(due, heap.Pop(&r.byDue).(*remnant))
	}
	return due
}

// keep puts off one of which something is left: what the kernel holds, zero for unknown.
func (r *remnants) keep(x *remnant, now time.Time, left diagSocket) {
	wait := x.backoff
	switch {
	case left.state == 0:
	case left.remnant, left.state == tcpSynRecv:
		wait = min(wait, left.expires+timerSlack)
	default: // a later use, whose event is to come
		x.cookie, x.suspected = left.cookie, true
	}
	x.due = now.Add(wait)
	longest := min(max(maxBackoff, time.Duration(r.len())*backoffPerRemnant), slowestBackoff)
	x.backoff = min(2*x.backoff, longest)
	r.place(x)
}

// forget forgets one that was taken; it is not to be used any more.
func (r *remnants) forget(x *remnant) {
	delete(r.byConnection, x.connection)
	if *x = (remnant{index: -1}); len(r.spare) < maxSpare {
		r.spare = append(r.spare, x)
	}
}

func (r *remnants) place(x *remnant) {
	if x.index < 0 {
		heap.Push(&r.byDue, x)
	} else {
		heap.Fix(&r.byDue, x.index)
	}
}

// dueHeap is a container/heap with the earliest first.
type dueHeap []*remnant

func (h dueHeap) Len() int           { return len(h) }
func (h dueHeap) Less(i, j int) bool { return h[i].due.Before(h[j].due) }
func (h dueHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

func (h *dueHeap) Push(x any) {
	r := x.(*remnant)
	r.index = len(*h)
	*h = append(*h, r)
}

func (h *dueHeap) Pop() any {
	old := *h
	last := len(old) - 1
	r := old[last]
	old[last] = nil
	*h = old[:last]
	r.index = -1
	return r
}
