package sockets

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"sync"
	"time"

	"github.com/plexlab-dev/plexlab/nodes/pulse"
)

// MonitorConfig is what a Monitor needs; Deliver, Relevant and Pulse have no default.
type MonitorConfig struct {
	// Deliver takes the events, in order, one at a time, from one goroutine. While it does
	// not return, nothing more is noticed, and in the long run the kernel drops events.
	Deliver func(Event)
	// Relevant says whether connections of a local address matter. It is asked for every
	// connection that ends, from several goroutines, so it must be fast. What it says may
	// change: connections that became relevant later are found by the next sweep.
	Relevant func(netip.Addr) bool

	// Check is the time between two checks that the reported listening sockets of relevant
	// addresses still listen; 0 means 20 ms. Nothing else tells of shutdown() of a listening
	// socket, nor soon of close() of one with half-open requests.
	Check time.Duration
	// Look is the time between two looks at all listening sockets, by which those of programs
	// without a launcher are found; 0 means 1 s.
	Look time.Duration
	// Sweep is the time between two sweeps of all connections; 0 means 2 s. A connection is
	// held at the second sweep that finds it, so aged one to two of these times.
	Sweep time.Duration
	// Batch is about how long a destroyed connection waits for others to be asked about and
	// reported with, and the time between two looks for remnants; 0 means 3 ms.
	Batch time.Duration
	// Pulse says when it is time for something. It has to go on as long as Run.
	Pulse *pulse.Pulse
	// ReceiveBuffer is the size in bytes of the kernel's buffer of events; 0 means 32 MiB.
	// Without CAP_NET_ADMIN in the initial user namespace, net.core.rmem_max limits it.
	ReceiveBuffer int
	// Log takes what a person may want to know; nil discards it.
	Log *slog.Logger
}

// A Monitor tells what becomes of the TCP sockets of one network namespace: by the
// kernel's events of destroyed sockets, and by looking, because events come late or not at
// all for some and may overflow.
//
// Of connections that began and ended between two sweeps it misses those whose event
// overflowed, and those that their own side aborted, with SO_LINGER of zero or by closing a
// listening socket that had not accepted them: their event does not name the peer.
type Monitor struct {
	c         MonitorConfig
	destroyed *destroyed
	diag      *diagConn // of the goroutine that runs
	ask       *diagConn // of Connections
	remainder *remainder
	announced chan announcement
	opened    chan opening
	settlings chan settling
	kicked    chan struct{}
	stopped   chan struct{}

	// seesBound: the kernel tells of sockets that are bound and nothing more.
	seesBound bool
	bound     *bound
	listeners *listeners
	holdings  *holdings
	remnants  *remnants
	requests  *requests
	// reportedAlive are the cookies of sockets whose connection was reported as ended while
	// their process has not closed them (a reset); their own end is not reported again.
	reportedAlive map[uint64]struct{}
	// returning are sockets by their cookie whose connection has ended, and who has them; at nextReturn the kernel is
	// asked whether they have their port still.
	returning  map[uint64]*borrower
	nextReturn time.Time
	settling   []settling
	// resting: events are drained at nextDrain; else the alarm is set.
	resting   bool
	breath    breath
	nextDrain time.Time
	// gathered are destroyed connections that wait for others until nextGather.
	gathered   []closed
	nextGather time.Time
	// walkable: a walk over all connections costs little where there are few; there were crowd of them at the last.
	walkable bool
	crowd    int
	// probes is what lookUp asks with, kept for the next time.
	probes []probe
	// nextAsk is when remnants are asked about again, at the earliest.
	nextAsk   time.Time
	nextCheck time.Time
	lastLook  time.Time
	nextLook  time.Time
	nextSweep time.Time
}

// relevance is the filter of MonitorConfig.
type relevance func(netip.Addr) bool

// announcement is a listening socket that the broker reports.
type announcement struct {
	socket Socket
	done   chan struct{}
}

// opening is a connection that the broker is about to let an application open.
type opening struct {
	socket  closed // which it will be
	attempt *attempt
	done    chan struct{}
}

// errStopped: the monitor does not run any more.
var errStopped = errors.New("monitor has stopped")

// NewMonitor opens the sockets; Run must follow. The network namespace is the one of the
// calling thread. It needs no privilege; a kernel without sock_diag is an error.
func NewMonitor(c MonitorConfig) (_ *Monitor, err error) {
	c.setDefaults()
	m := &Monitor{
		c:             c,
		announced:     make(chan announcement),
		opened:        make(chan opening),
		settlings:     make(chan settling),
		kicked:        make(chan struct{}, 1),
		stopped:       make(chan struct{}),
		bound:         newBound(),
		listeners:     newListeners(),
		holdings:      newHoldings(),
		remnants:      newRemnants(),
		requests:      newRequests(),
		reportedAlive: map[uint64]struct{}{},
		returning:     map[uint64]*borrower{},
		walkable:      hasOwnTable(),
	}
	defer func() {
		if err != nil {
			m.close()
			err = fmt.Errorf("new monitor: %w", err)
		}
	}()
	if m.destroyed, err = dialDestroyed(c.ReceiveBuffer); err != nil {
		return nil, err
	}
	if m.diag, err = dialDiag(); err != nil {
		return nil, err
	}
	if m.ask, err = dialDiag(); err != nil {
		return nil, err
	}
	if m.remainder, err = dialRemainder(); err != nil {
		return nil, err
	}
	if m.seesBound, err = m.ask.probeBound(); err != nil {
		return nil, err
	}
	if !m.seesBound {
		c.Log.Warn("kernel does not tell of sockets that are bound and nothing more (Linux 6.8): " +
			"if events of destroyed sockets are lost, their ports stay in use")
	}
	return m, nil
}

func (m *Monitor) close() {
	if m.destroyed != nil {
		m.destroyed.close()
	}
	if m.remainder != nil {
		m.remainder.close()
	}
	for _, d := range []*diagConn{m.diag, m.ask} {
		if d != nil {
			d.close()
		}
	}
}

func (c *MonitorConfig) setDefaults() {
	for _, d := range []struct {
		field *time.Duration
		value time.Duration
	}{
		{&c.Check, 20 * time.Millisecond},
		{&c.Look, time.Second},
		{&c.Sweep, 2 * time.Second},
		{&c.Batch, 3 * time.Millisecond},
	} {
		if *d.field == 0 {
			*d.field = d.value
		}
	}
	if c.ReceiveBuffer == 0 {
		c.ReceiveBuffer = defaultReceiveBuffer
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
}

// Run delivers events until ctx ends, and then returns nil with everything closed.
func (m *Monitor) Run(ctx context.Context) error {
	defer close(m.stopped)
	var watching sync.WaitGroup
	watching.Go(m.destroyed.watch)
	err := m.run(ctx)
	m.close()
	watching.Wait()
	if err != nil {
		return fmt.Errorf("monitor sockets: %w", err)
	}
	return nil
}

// Listening reports a socket that listens, for a Handler to call from its own Listening.
// It returns after ListenStarted was delivered, unless the socket was reported before. It
// must not be called from within Deliver.
func (m *Monitor) Listening(ctx context.Context, s Socket) error {
	a := announcement{socket: s, done: make(chan struct{})}
	return handIn(ctx, m, m.announced, a, a.done)
}

// handIn gives something to the goroutine that runs, and waits until it is done with.
func handIn[T any](ctx context.Context, m *Monitor, in chan<- T, what T, done <-chan struct{}) error {
	select {
	case in <- what:
	case <-m.stopped:
		return errStopped
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case <-done:
		return nil
	case <-m.stopped:
		return errStopped
	}
}

// Bound names a socket whose end matters: SocketClosed will tell of it, once. It must be called
// while the socket is certain not to go, or its end may have been missed: by a Handler from its
// own Bind or Connect, or from within Deliver for the socket of a ListenStarted. A second call
// replaces the address.
func (m *Monitor) Bound(cookie uint64, local netip.AddrPort) { m.bound.add(cookie, local) }

// Connecting names a connection that an application is about to open from a source that matters,
// for a Handler to call from its own Connect once the socket is bound. The connection counts as
// held and as reported so: nothing more is told until one ConnectionsEnded, when it has ended or
// was not established, although its socket may live on. The socket is Bound by this too: SocketClosed tells that it is
// closed or, where it had no port when its application called connect() and the kernel sees to it
// (Linux 6.8), that it has none again. Connecting must not be called from within Deliver.
func (m *Monitor) Connecting(ctx context.Context, request ConnectRequest, source netip.AddrPort) error {
	a, err := beginAttempt(request.TID)
	if err != nil {
		return err
	}
	m.bound.lend(request.Cookie, source, &borrower{request.PID, request.FD}, request.Local.Port() == 0)
	o := opening{
		socket: closed{
			probe:  probe{Connection{Local: source, Remote: request.Remote}, request.Device},
			cookie: request.Cookie,
		},
		attempt: a,
		done:    make(chan struct{}),
	}
	return handIn(ctx, m, m.opened, o, o.done)
}

// Kick makes the monitor look at the listening sockets now rather than later.
func (m *Monitor) Kick() {
	select {
	case m.kicked <- struct{}{}:
	default:
	}
}

// Connections returns the connections of relevant addresses that the kernel holds now,
// also those not yet established and remnants (TIME_WAIT and the like), in no order. The end of
// each is told, that of a half-open request too. It may be called from within Deliver.
func (m *Monitor) Connections(relevant func(netip.Addr) bool) ([]Connection, error) {
	var all []Connection
	err := m.ask.dump(anyConnection, func(s diagSocket) {
		if !relevant(s.local.Addr()) {
			return
		}
		all = append(all, s.connection())
		if s.state == tcpSynRecv {
			m.requests.add(closed{probe{s.connection(), s.device}, s.cookie})
		}
	})
	return all, err
}
