package sockets

import (
	"context"
	"maps"
	"time"
)

// A settling waits until the end is told of sockets that are gone.
type settling struct {
	ctx  context.Context // of who waits
	gone map[uint64]boundSocket
	done chan struct{}
}

// settlePause is the time between two drains of events while somebody waits for some. The kernel sends them from a
// queue of work, mostly within 0.1 ms after close() has returned (sock_diag_broadcast_destroy).
const settlePause = 500 * time.Microsecond

// Settle returns when everything is told that the sockets named to Bound and Connecting had let go of before it was
// called: SocketClosed of each that has no port any more. It looks which those are, so that it takes milliseconds, and
// waits for what the kernel has yet to say of them until ctx ends. Before Linux 6.8, where it cannot look, it does not
// wait. It must not be called from within Deliver.
func (m *Monitor) Settle(ctx context.Context) error {
	s := settling{ctx: ctx, gone: map[uint64]boundSocket{}, done: make(chan struct{})}
	if m.seesBound {
		s.gone = m.bound.all() // before the looks: what is bound later need not be seen by them
		there, err := m.ask.cookies(anySocket)
		if err != nil {
			return err
		}
		maps.DeleteFunc(s.gone, func(cookie uint64, _ boundSocket) bool { _, still := there[cookie]; return still })
	}
	select {
	case m.settlings <- s:
	case <-m.stopped:
		return errStopped
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case <-s.done:
		return nil
	case <-m.stopped:
		return errStopped
	case <-ctx.Done():
		return ctx.Err()
	}
}

// settle begins with a settling: of connections that have failed nothing else tells so soon.
func (m *Monitor) settle(s settling) error {
	m.settling = append(m.settling, s)
	if err := m.takeDestroyed(); err != nil {
		return err
	}
	m.remnants.hasten(time.Now())
	m.askForRemnants()
	for cookie, socket := range s.gone {
		if socket.lent == nil || m.bound.borrower(cookie, socket.local) != socket.lent {
			continue
		}
		if _, lives := socket.lent.history(cookie); lives {
			m.returned(cookie, socket.lent)
		}
	}
	m.settled()
	return nil
}

// settled lets those go on for whom all is told, and forgets those that wait no longer.
func (m *Monitor) settled() {
	waiting := m.settling[:0]
	for _, s := range m.settling {
		maps.DeleteFunc(s.gone, func(cookie uint64, socket boundSocket) bool { return !m.bound.is(cookie, socket) })
		switch {
		case len(s.gone) == 0:
			close(s.done)
		case s.ctx.Err() == nil:
			waiting = append(waiting, s)
		}
	}
	clear(m.settling[len(waiting):])
	m.settling = waiting
}
