package sockets

import (
	"context"
	"slices"
	"time"
)

// suspicion is how long a connection that a sweep missed waits for its event.
const suspicion = 200 * time.Millisecond

// run is the one goroutine that owns what the monitor knows.
func (m *Monitor) run(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case a := <-m.announced:
			m.announce(a)
		case <-m.destroyed.wake:
			m.takeDestroyed()
		case <-m.kicked:
			m.nextLook = time.Time{}
			m.work()
		case <-timer.C:
			m.work()
		}
		timer.Reset(time.Until(m.due()))
	}
}

// due is when work has something to do.
func (m *Monitor) due() time.Time {
	due := m.nextLook
	if m.nextSweep.Before(due) {
		due = m.nextSweep
	}
	if m.listeners.any() && m.nextCheck.Before(due) {
		due = m.nextCheck
	}
	if next, some := m.remnants.next(); some && next.Before(due) {
		due = next
	}
	return due
}

// work does what is due. What the kernel refuses now is asked again later.
func (m *Monitor) work() {
	switch now := time.Now(); {
	case !now.Before(m.nextLook):
		m.look()
	case m.listeners.any() && !now.Before(m.nextCheck):
		m.check()
	}
	if !time.Now().Before(m.nextSweep) {
		m.sweep()
	}
	m.askForRemnants()
}

func (m *Monitor) announce(a announcement) {
	if m.listeners.start(a.socket) {
		m.c.Deliver(ListenStarted{a.socket})
	}
	close(a.done)
}

func (m *Monitor) lookWithin(wait time.Duration) {
	if soon := time.Now().Add(wait); soon.Before(m.nextLook) {
		m.nextLook = soon
	}
}

// takeDestroyed works off the events.
func (m *Monitor) takeDestroyed() {
	q := m.destroyed.take()
	due := time.Now().Add(m.c.Batch)
	for _, cookie := range q.unconnected {
		if m.listeners.end(cookie) {
			m.c.Deliver(ListenEnded{cookie})
			m.lookWithin(m.c.Check)
		} else if c, known := m.holdings.bySocket(cookie); known {
			m.destroyedConnection(closed{probe{connection: c}, cookie}, due)
		}
	}
	for _, c := range q.connections {
		m.destroyedConnection(c, due)
	}
	if q.overflow {
		m.c.Log.Warn("events of destroyed sockets overflowed, looking instead")
		clear(m.reportedAlive) // some of the events it waits for may be lost
		m.nextLook, m.nextSweep = time.Time{}, time.Time{}
	}
}

func (m *Monitor) destroyedConnection(c closed, due time.Time) {
	if _, reported := m.reportedAlive[c.cookie]; reported {
		delete(m.reportedAlive, c.cookie)
		return
	}
	m.remnants.add(c, due, false)
}

// check looks at the reported listening sockets alone, which is cheap, and at all if one
// of them is not there. Of several that share an address and port the kernel shows but one.
func (m *Monitor) check() {
	m.nextCheck = time.Now().Add(m.c.Check)
	for some := range slices.Chunk(m.listeners.all(), maxProbes) {
		probes := make([]probe, len(some))
		for i, s := range some {
			probes[i].connection.Local = s.Local
		}
		found, err := m.diag.lookup(probes)
		if err != nil {
			m.c.Log.Error("no check of listening sockets", "error", err)
			return
		}
		for i, s := range some {
			if found[i] == nil || found[i].cookie != s.Cookie {
				m.look()
				return
			}
		}
	}
}

// look compares all listening sockets with those reported.
func (m *Monitor) look() {
	m.nextLook = time.Now().Add(m.c.Look)
	there := map[uint64]Socket{}
	see := func(s diagSocket) {
		there[s.cookie] = Socket{Cookie: s.cookie, Local: s.local, V6Only: s.v6Only}
	}
	err := m.diag.dump(listening, see)
	if err == nil && m.listeners.anyMissing(there) {
		// A dump may miss one that was there all the time; two hardly do.
		err = m.diag.dump(listening, see)
	}
	if err != nil {
		m.c.Log.Error("no look at listening sockets", "error", err)
		return
	}
	started, ended := m.listeners.compare(there)
	for _, cookie := range ended {
		m.c.Deliver(ListenEnded{cookie})
	}
	for _, s := range started {
		m.c.Deliver(ListenStarted{s})
	}
	if m.listeners.undecided() {
		m.lookWithin(m.c.Check)
	}
}

// sweep finds connections that are held, and those whose end was never told.
func (m *Monitor) sweep() {
	there := map[Connection]uint64{}
	err := m.diag.dump(synchronized, func(s diagSocket) {
		if m.c.Relevant(s.local.Addr()) {
			there[s.connection()] = s.cookie
		}
	})
	now := time.Now()
	m.nextSweep = now.Add(m.c.Sweep)
	if err != nil {
		m.c.Log.Error("no sweep of connections", "error", err)
		return
	}
	held, missing := m.holdings.sweep(there)
	for _, c := range missing {
		if !m.remnants.has(c.connection) {
			m.remnants.add(c, now.Add(suspicion), true)
		}
	}
	for batch := range slices.Chunk(held, maxReported) {
		m.c.Deliver(ConnectionsHeld{batch})
	}
}

// askForRemnants reports those connections, of which it is time to ask, that are gone.
func (m *Monitor) askForRemnants() {
	var ended []Connection
	for due := range slices.Chunk(m.remnants.takeDue(time.Now(), maxReported), maxProbes) {
		probes := make([]probe, len(due))
		for i, r := range due {
			probes[i] = r.probe
		}
		found, err := m.diag.lookup(probes)
		if err != nil {
			m.c.Log.Error("no look-up of ended connections", "error", err)
		}
		now := time.Now()
		for i, r := range due {
			switch {
			case err != nil:
				m.remnants.keep(r, now, 0)
			case r.isAnsweredBy(found[i]):
				m.remnants.keep(r, now, found[i].expires)
			default:
				m.gone(r)
				ended = append(ended, r.connection)
			}
		}
	}
	if len(ended) > 0 {
		m.c.Deliver(ConnectionsEnded{ended})
	}
}

// gone forgets a connection of which nothing is left.
func (m *Monitor) gone(r *remnant) {
	if r.suspected {
		m.reportedAlive[r.cookie] = struct{}{}
	}
	m.remnants.forget(r)
	m.holdings.forget(r.connection)
}
