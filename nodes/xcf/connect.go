package xcf

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/plexlab-dev/plexlab/nodes/contract"
)

// dialing is what is known of our attempts to connect to one incarnation.
type dialing struct {
	incarnation uint64
	cancel      context.CancelFunc // ends the attempt that is running; nil while none is
	failures    int
	next        uint64 // tick of the next attempt
}

// stop ends the attempt that is running.
func (d *dialing) stop() {
	if d.cancel != nil {
		d.cancel()
	}
}

// dialIfOurs connects to the stack that was just heard, if it is ours to do and not done.
func (g *Group) dialIfOurs(xcf netip.Addr) {
	c := g.roster.claims[xcf]
	if c == nil || c.gone || g.partners[xcf] != nil || g.roster.rival != nil || g.leaving || !g.config.Self.XCF.Less(xcf) {
		return
	}
	d := g.dialing[xcf]
	if d == nil || d.incarnation != c.Incarnation {
		if d != nil {
			d.stop()
		}
		d = &dialing{incarnation: c.Incarnation}
		g.dialing[xcf] = d
	}
	if d.cancel != nil || g.roster.tick < max(d.next, c.notBefore) {
		return
	}
	var ctx context.Context
	ctx, d.cancel = context.WithCancel(g.ctx)
	to := netip.AddrPortFrom(xcf, c.port)
	g.work.Go(func() { g.connect(ctx, to, d) })
}

// connect dials and introduces ourselves. After a failure it waits the longer the more
// failures came before, up to a time of silence.
func (g *Group) connect(ctx context.Context, to netip.AddrPort, d *dialing) {
	conn, err := dial(ctx, &g.config, to)
	if err == nil {
		err = g.introduce(ctx, conn)
	}
	quiet := ctx.Err() != nil || errors.Is(err, errLeaving)
	g.mu.Lock()
	d.cancel()
	d.cancel = nil
	if err == nil {
		d.failures = 0
	} else {
		d.next = g.roster.tick + min(1<<min(d.failures, 16), g.roster.silence)
		d.failures++
	}
	g.mu.Unlock()
	if err != nil && !quiet {
		g.warnings.add("not connected", to.Addr(), err)
	}
}

// acceptAll takes connections until the listener is closed.
func (g *Group) acceptAll() {
	for {
		conn, err := g.sockets.listener.AcceptTCP()
		switch {
		case errors.Is(err, net.ErrClosed):
			return
		case err != nil:
			g.warnings.add("connection not accepted", g.config.Self.XCF, err)
			if !g.pause() { // out of descriptors, for instance
				return
			}
			continue
		}
		source := conn.RemoteAddr().(*net.TCPAddr).AddrPort().Addr().Unmap()
		if !g.halfOpen.enter(source) {
			g.warnings.add("connection refused", source, "too many that did not introduce themselves")
			abort(conn)
			continue
		}
		g.work.Go(func() {
			defer g.halfOpen.exit(source)
			if err := g.introduce(g.ctx, conn); err != nil && g.ctx.Err() == nil && !errors.Is(err, errLeaving) {
				g.warnings.add("connection refused", source, err)
			}
		})
	}
}

// pause waits one Hello; false: the group is closed.
func (g *Group) pause() bool {
	timer := time.NewTimer(g.config.Hello)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-g.ctx.Done():
		return false
	}
}

// introduce runs the handshake on a fresh connection and takes the partner into the group.
// It owns conn, and gives up with ctx or after Dead.
func (g *Group) introduce(ctx context.Context, conn *net.TCPConn) error {
	ctx, cancel := context.WithTimeout(ctx, g.config.Dead)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	session, err := contract.Handshake{
		Key:   g.config.Key,
		Local: contract.Identity{Plex: g.config.Plex, Member: g.config.Self},
		Admit: func(partner contract.Identity) error { return g.welcome(ctx, conn, partner.Member) },
	}.Do(conn)
	if err == nil && !stop() {
		err = ctx.Err()
	}
	if err == nil {
		err = g.admit(session, conn)
	}
	if err != nil {
		abort(conn)
	}
	return err
}

// welcome decides whether a partner that says who it is may be in the group; it waits for
// its HELLO as long as ctx lasts, because both come at once. It changes nothing: the partner
// is not proved yet.
func (g *Group) welcome(ctx context.Context, conn *net.TCPConn, who contract.Member) error {
	remote := conn.RemoteAddr().(*net.TCPAddr).AddrPort().Addr().Unmap()
	local := conn.LocalAddr().(*net.TCPAddr)
	if who.XCF != remote {
		return fmt.Errorf("%s names the XCF address %s, which is not its source", who.Stack, who.XCF)
	}
	if accepted := local.AddrPort().Port() == g.sockets.port(); accepted && g.config.Self.XCF.Less(who.XCF) {
		return fmt.Errorf("%s has the higher XCF address and must wait for our connection", who.Stack)
	}
	for {
		g.mu.Lock()
		wait, err := g.roster.admissible(who)
		heard := g.heard
		if g.leaving {
			wait, err = false, errLeaving
		}
		g.mu.Unlock()
		if err == nil || !wait {
			return err
		}
		select {
		case <-heard:
		case <-ctx.Done():
			return err
		}
	}
}

// halfOpen counts accepted connections whose partner is not authenticated yet.
type halfOpen struct {
	mu       sync.Mutex
	total    int
	bySource map[netip.Addr]int
}

func (h *halfOpen) enter(source netip.Addr) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.total >= halfOpenLimit || h.bySource[source] >= halfOpenPerSource {
		return false
	}
	if h.bySource == nil {
		h.bySource = make(map[netip.Addr]int)
	}
	h.total++
	h.bySource[source]++
	return true
}

func (h *halfOpen) exit(source netip.Addr) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.total--
	if h.bySource[source]--; h.bySource[source] == 0 {
		delete(h.bySource, source)
	}
}
