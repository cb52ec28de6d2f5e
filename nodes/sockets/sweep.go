package sockets

// holdings are the connections that the sweeps found, by the cookie of their socket.
type holdings struct {
	seen map[Connection]uint64 // by the last sweep for the first time
	held map[Connection]uint64 // by two sweeps, so reported
}

func newHoldings() *holdings {
	return &holdings{seen: map[Connection]uint64{}, held: map[Connection]uint64{}}
}

// sweep compares what the kernel has now with what it had at the last sweep: held are those
// that lived through the time between and were not reported yet, missing those that are
// there no more. Missing ones stay known until they are forgotten.
func (h *holdings) sweep(now map[Connection]uint64) (held []Connection, missing []closed) {
	seen := map[Connection]uint64{}
	for c, cookie := range now {
		switch {
		case h.held[c] == cookie:
		case h.seen[c] == cookie:
			h.held[c] = cookie
			held = append(held, c)
		default:
			delete(h.held, c) // its addresses and ports are in use again
			seen[c] = cookie
		}
	}
	for _, known := range []map[Connection]uint64{h.seen, h.held} {
		for c, cookie := range known {
			if _, there := now[c]; !there {
				missing = append(missing, closed{probe{connection: c}, cookie})
			}
		}
	}
	h.seen = seen
	return held, missing
}

func (h *holdings) forget(c Connection) {
	delete(h.seen, c)
	delete(h.held, c)
}
