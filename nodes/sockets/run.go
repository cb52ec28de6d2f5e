package sockets

import (
	"context"
	"slices"
	"time"
)

const (
	// checksOfShadowed is how many checks pass until listening sockets that cannot be found by
	// their address are looked at.
	checksOfShadowed = 4
	// suspicion is how long a connection that a sweep missed waits for its event.
	suspicion = 200 * time.Millisecond
)

// run is the one goroutine that owns what the monitor knows. It returns when ctx ends, or with
// what keeps it from receiving events.
func (m *Monitor) run(ctx context.Context) error {
	timer := m.c.Pulse.Timer()
	defer timer.Stop()
	for {
		var err error
		select {
		case <-ctx.Done():
			return nil
		case a := <-m.announced:
			m.announce(a)
		case o := <-m.opened:
			m.open(o)
		case <-m.destroyed.wake:
			err = m.takeDestroyed()
		case s := <-m.settlings:
			err = m.settle(s)
		case <-m.requests.wake:
			m.watchRequests()
		case <-m.kicked:
			m.nextLook = time.Time{}
			err = m.work()
		case <-timer.C:
			err = m.work()
		}
		if err != nil {
			return err
		}
		timer.Reset(m.due())
	}
}

// due is when work has something to do.
func (m *Monitor) due() time.Time {
	due := m.nextLook
	sooner := func(t time.Time) {
		if t.Before(due) {
			due = t
		}
	}
	sooner(m.nextSweep)
	if m.watches() {
		sooner(m.nextCheck)
	}
	if m.resting {
		sooner(m.nextDrain)
	}
	if ask, some := m.askAt(); some {
		sooner(ask)
	}
	if len(m.returning) > 0 {
		sooner(m.nextReturn)
	}
	if len(m.settling) > 0 {
		sooner(time.Now().Add(settlePause))
	}
	return due
}

// askAt is when the kernel is to be asked what is left of connections, if there are any.
func (m *Monitor) askAt() (at time.Time, some bool) {
	at, some = m.remnants.next()
	if at.Before(m.nextAsk) {
		at = m.nextAsk
	}
	if len(m.gathered) > 0 && (!some || m.nextGather.Before(at)) {
		return m.nextGather, true
	}
	return at, some
}

// watches says whether a listening socket is to be checked often.
func (m *Monitor) watches() bool { return m.listeners.anyAt(m.c.Relevant) }

// work does what is due. What the kernel refuses now is asked again later.
func (m *Monitor) work() error {
	now := time.Now()
	asks := m.asksNow(now)
	if asks || len(m.settling) > 0 || m.resting && !now.Before(m.nextDrain) {
		if err := m.takeDestroyed(); err != nil {
			return err
		}
		asks = asks || m.asksNow(now)
	}
	if asks {
		m.askForRemnants()
	}
	if len(m.returning) > 0 && !now.Before(m.nextReturn) {
		m.takeReturned()
	}
	switch now := time.Now(); {
	case !now.Before(m.nextLook):
		m.look()
	case m.watches() && !now.Before(m.nextCheck.Add(-m.early())):
		m.check()
	}
	if !time.Now().Before(m.nextSweep) {
		m.sweep()
	}
	return nil
}

// early is by how much the regular checks, and gathered connections, come before their time rather
// than wake the monitor once more.
func (m *Monitor) early() time.Duration { return time.Duration(m.breath) / 2 }

// asksNow says whether the kernel is to be asked what is left of connections.
func (m *Monitor) asksNow(now time.Time) bool {
	if len(m.gathered) > 0 && !now.Before(m.nextGather.Add(-m.early())) {
		return true
	}
	at, some := m.askAt()
	return some && !now.Before(at)
}

func (m *Monitor) announce(a announcement) {
	if m.listeners.start(a.socket) {
		m.c.Deliver(ListenStarted{a.socket})
	}
	close(a.done)
}

// open counts a connection as held from the beginning.
func (m *Monitor) open(o opening) {
	delete(m.reportedAlive, o.socket.cookie) // of an earlier connection of the socket
	delete(m.returning, o.socket.cookie)
	m.holdings.add(o.socket.connection, holding{cookie: o.socket.cookie, held: true})
	m.remnants.open(o.socket, time.Now().Add(firstBackoff), o.attempt)
	close(o.done)
}

func (m *Monitor) watchRequests() {
	due := time.Now().Add(firstBackoff)
	for _, request := range m.requests.take() {
		if !m.remnants.has(request.connection) {
			m.remnants.add(request, due, false)
		}
	}
}

func (m *Monitor) lookWithin(wait time.Duration) {
	if soon := time.Now().Add(wait); soon.Before(m.nextLook) {
		m.nextLook = soon
	}
}

// takeDestroyed works off the events; connections wait for others. It returns what keeps it
// from receiving any.
func (m *Monitor) takeDestroyed() error {
	q, events, err := m.destroyed.drain(m.c.Relevant, m.bound)
	if err != nil {
		return err
	}
	now := time.Now()
	switch within := m.resting && now.Before(m.nextDrain); {
	case events > 0:
		m.breath = m.breath.after(events, within, m.destroyed.roomy)
		m.resting, m.nextDrain = true, now.Add(time.Duration(m.breath))
	case !within:
		m.breath, m.resting = shortBreath, false
		err = m.destroyed.alarm.set()
	}
	m.takeBacklog(q, now)
	return err
}

func (m *Monitor) takeBacklog(q *backlog, now time.Time) {
	if len(m.gathered) == 0 {
		m.nextGather = now.Add(m.c.Batch)
	}
	for _, cookie := range q.unconnected {
		delete(m.reportedAlive, cookie)
		if m.listeners.end(cookie) {
			m.c.Deliver(ListenEnded{cookie})
			m.lookWithin(m.c.Check)
		} else if c, known := m.holdings.bySocket(cookie); known {
			m.gathered = append(m.gathered, closed{probe{connection: c}, cookie})
		}
	}
	m.gathered = append(m.gathered, q.connections...)
	for _, socket := range q.bound {
		m.closed(socket)
	}
	if q.overflow {
		m.c.Log.Warn("events of destroyed sockets overflowed, looking instead")
		clear(m.reportedAlive) // some of the events it waits for may be lost
		m.nextLook, m.nextSweep = time.Time{}, time.Time{}
		m.compareBound()
	}
	m.settled()
}

func (m *Monitor) closed(socket gone) {
	delete(m.returning, socket.cookie)
	if local, known := m.bound.end(socket.cookie); known {
		m.c.Deliver(SocketClosed{socket.cookie, local, socket.neverConnected})
	}
}

// compareBound finds out which of the sockets that somebody waits for are not there any more.
func (m *Monitor) compareBound() {
	if !m.seesBound {
		return
	}
	awaited := m.bound.cookies() // before the looks: what is bound later need not be seen by them
	there, err := m.diag.cookies(anySocket)
	if err != nil {
		m.c.Log.Error("no look at bound sockets", "error", err)
		return
	}
	for _, cookie := range awaited {
		if _, still := there[cookie]; !still {
			m.closed(gone{cookie: cookie})
		}
	}
}

// check looks at the reported listening sockets alone, which is cheap, and at all if one of
// them cannot be found any more; those that cannot be found by their address are looked at with
// all, less often.
func (m *Monitor) check() {
	now := time.Now()
	m.nextCheck = m.c.Pulse.Next(now, m.c.Check)
	suspect := false
	for some := range slices.Chunk(m.listeners.at(m.c.Relevant), maxProbes) {
		probes := make([]probe, len(some))
		for i, s := range some {
			probes[i] = probe{Connection{Local: s.Local}, s.Device}
		}
		found, err := m.diag.lookup(probes)
		if err != nil {
			m.c.Log.Error("no check of listening sockets", "error", err)
			return
		}
		for i, s := range some {
			if m.listeners.lookedUp(s.Cookie, found[i].cookie == s.Cookie) {
				suspect = true
			}
		}
	}
	if suspect || len(m.listeners.shadowed) > 0 && !now.Before(m.lastLook.Add(checksOfShadowed*m.c.Check)) {
		m.look()
	}
}

// look compares all listening sockets with those reported.
func (m *Monitor) look() {
	m.lastLook = time.Now()
	m.nextLook = m.c.Pulse.Next(m.lastLook, m.c.Look)
	there := map[uint64]Socket{}
	see := func(s diagSocket) {
		there[s.cookie] = Socket{Cookie: s.cookie, Local: s.local, V6Only: s.v6Only, Device: s.device}
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
	m.crowd = 0
	err := m.diag.dump(synchronized, func(s diagSocket) {
		m.crowd++
		if m.c.Relevant(s.local.Addr()) {
			there[s.connection()] = s.cookie
		}
	})
	now := time.Now()
	m.nextSweep = m.c.Pulse.Next(now, m.c.Sweep)
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

// askForRemnants reports those connections, of which it is time to ask, that are gone. Events
// must have been drained just before: a connection whose last use is known to have ended is
// reported once.
func (m *Monitor) askForRemnants() {
	now := time.Now()
	all := m.takeGathered()
	due := m.remnants.takeDue(now, maxReported)
	if len(due) < maxReported {
		m.nextAsk = now.Add(m.c.Batch)
	}
	all = append(all, due...)

	ended := make([]Connection, 0, len(all))
	atOnce := maxProbes
	if m.worthWalk(len(all)) {
		atOnce = len(all)
	}
	for some := range slices.Chunk(all, max(1, atOnce)) {
		ended = m.lookUp(ended, some, now)
	}
	for some := range slices.Chunk(ended, maxReported) {
		m.c.Deliver(ConnectionsEnded{some})
	}
}

// takeGathered are the destroyed connections that have waited for others, each once.
func (m *Monitor) takeGathered() []*remnant {
	all := make([]*remnant, 0, len(m.gathered))
	for _, c := range m.gathered {
		if _, reported := m.reportedAlive[c.cookie]; reported {
			delete(m.reportedAlive, c.cookie)
		} else if r := m.remnants.take(c); r != nil {
			all = append(all, r)
		}
	}
	m.gathered = m.gathered[:0]
	return all
}

// lookUp asks about at most maxProbes remnants, or as many as are worth a walk, and appends to ended those that
// are gone.
func (m *Monitor) lookUp(ended []Connection, some []*remnant, now time.Time) []Connection {
	m.probes = m.probes[:0]
	for _, r := range some {
		m.probes = append(m.probes, r.probe)
	}
	ask := m.remainder.lookup
	if m.worthWalk(len(some)) {
		ask = m.walk
	}
	found, err := ask(m.probes)
	if err != nil {
		m.c.Log.Error("no look-up of ended connections", "error", err)
	}
	var again []*remnant
	for i, r := range some {
		switch {
		case err != nil:
			m.remnants.keep(r, now, diagSocket{})
		case r.isAnsweredBy(found[i]):
			m.left(r, now, found[i])
		case r.attempt == nil:
			ended = append(ended, r.connection)
			m.ended(r)
		case r.attempt.over():
			r.attempt = nil
			again = append(again, r) // what is found from now on counts
		default:
			m.remnants.keep(r, now, diagSocket{})
		}
	}
	for some := range slices.Chunk(again, maxProbes) {
		ended = m.lookUp(ended, some, now)
	}
	return ended
}

// left puts off a connection of which something is left, and forgets that an established one was
// being opened.
func (m *Monitor) left(r *remnant, now time.Time, found diagSocket) {
	switch {
	case found.remnant: // established and ended meanwhile
		r.opening, r.attempt = false, nil
	case r.opening && r.cookie == found.cookie:
		if found.state != tcpSynSent {
			m.remnants.forget(r)
			return
		}
		r.attempt = nil
	}
	m.remnants.keep(r, now, found)
}

// ended forgets a connection of which nothing is left.
func (m *Monitor) ended(r *remnant) {
	if r.suspected {
		m.reportedAlive[r.cookie] = struct{}{}
	}
	m.mayReturn(r.closed)
	m.holdings.forget(r.connection)
	m.remnants.forget(r)
}
