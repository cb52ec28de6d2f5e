package sockets

// holdings are the connections that the last sweep found.
type holdings struct {
	byConnection map[Connection]holding
	byCookie     map[uint64]Connection
}

type holding struct {
	cookie uint64 // of its socket
	held   bool   // found by two sweeps, so reported
}

func newHoldings() *holdings {
	return &holdings{byConnection: map[Connection]holding{}, byCookie: map[uint64]Connection{}}
}

// sweep compares what the kernel has now, by the cookie of its socket, with what it had at
// the last sweep: held are those that lived through the time between and were not reported
// yet, missing those that are there no more. What is missing stays known until it is
// forgotten.
func (h *holdings) sweep(now map[Connection]uint64) (held []Connection, missing []closed) {
	next := newHoldings()
	for c, cookie := range now {
		known, again := h.byConnection[c]
		again = again && known.cookie == cookie // else its addresses and ports are in use again
		if again && !known.held {
			held = append(held, c)
		}
		next.add(c, holding{cookie: cookie, held: again})
	}
	for c, known := range h.byConnection {
		if _, there := now[c]; !there {
			missing = append(missing, closed{probe{connection: c}, known.cookie})
			next.add(c, known)
		}
	}
	*h = *next
	return held, missing
}

func (h *holdings) add(c Connection, known holding) {
	h.byConnection[c] = known
	h.byCookie[known.cookie] = c
}

// bySocket finds the connection of a socket.
func (h *holdings) bySocket(cookie uint64) (Connection, bool) {
	c, known := h.byCookie[cookie]
	return c, known
}

func (h *holdings) forget(c Connection) {
	if known, there := h.byConnection[c]; there {
		delete(h.byCookie, known.cookie)
		delete(h.byConnection, c)
	}
}
