package main

import (
	"context"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/plexlab-dev/plexlab/nodes/cf"
	"github.com/plexlab-dev/plexlab/nodes/contract"
	"github.com/plexlab-dev/plexlab/nodes/sockets"
	"github.com/plexlab-dev/plexlab/nodes/vipa"
)

// noticeLimit bounds how long a listen() waits for its stack to take notice.
const noticeLimit = 5 * time.Second

// Listening reports the socket before listen() returns to its application.
func (s *stack) Listening(ctx context.Context, socket sockets.Socket) {
	if err := s.monitor.Listening(ctx, socket); err != nil {
		s.log.Warn("listener not noticed", "local", socket.Local, "application", socket.Application, "error", err)
	}
}

// noticed hands what the monitor saw to the core. Listeners wait until the routing stack has
// been told of them.
func (s *stack) noticed(event sockets.Event) {
	var err error
	switch e := event.(type) {
	case sockets.ListenStarted:
		if e.Socket.PID == 0 {
			s.claimFound(e.Socket)
		}
		err = s.loop.do(vipa.ListenStarted{Listener: vipa.Listener{
			ID: e.Socket.Cookie, Local: e.Socket.Local, V6Only: e.Socket.V6Only, Application: e.Socket.Application,
		}}, noticeLimit)
	case sockets.ListenEnded:
		err = s.loop.do(vipa.ListenEnded{ID: e.Cookie}, noticeLimit)
		s.clerk.nudge()
	case sockets.SocketClosed:
		s.loop.post(vipa.SocketClosed{ID: e.Cookie, Local: e.Local, NeverConnected: e.NeverConnected})
		s.clerk.nudge()
	case sockets.ConnectionsHeld:
		s.loop.post(vipa.ConnectionsHeld{Connections: asConnections(e.Connections)})
	case sockets.ConnectionsEnded:
		s.loop.post(vipa.ConnectionsEnded{Connections: asConnections(e.Connections)})
		s.clerk.nudge()
	}
	if err != nil {
		s.log.Error("listener not told of", "error", err)
	}
}

// claimFound claims the port of a listening socket that was found by looking, for a program that
// came without the launcher: what it would have been asked for when it was bound.
func (s *stack) claimFound(found sockets.Socket) {
	use := s.addresses.Load().Use(found.Local)
	if use == vipa.Local {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), noticeLimit)
	defer cancel()
	claim, err := s.facility.Claim(ctx, cf.Request{DVIPA: found.Local.Addr(), Port: found.Local.Port(), Use: cfUse(use)})
	if err == nil {
		err = claim.Commit()
	}
	if err != nil {
		s.log.Warn("a program without launcher listens on a port that was not assigned to it", "local", found.Local, "error", err)
		return
	}
	s.monitor.Bound(found.Cookie, found.Local)
	s.loop.post(vipa.PortBound{ID: found.Cookie, Local: found.Local, Use: use})
}

func asConnections(held []sockets.Connection) []contract.Connection {
	all := make([]contract.Connection, len(held))
	for i, c := range held {
		all[i] = contract.Connection{Remote: c.Remote, Local: c.Local}
	}
	return all
}

// active is the set of DVIPAs that are addresses of this stack. It is asked for every
// connection that ends, and rarely changed. The zero value is the empty set.
type active struct {
	change sync.Mutex
	set    atomic.Pointer[map[netip.Addr]struct{}]
}

func (a *active) has(address netip.Addr) bool {
	set := a.set.Load()
	if set == nil {
		return false
	}
	_, ok := (*set)[address]
	return ok
}

func (a *active) add(address netip.Addr)    { a.replace(address, true) }
func (a *active) remove(address netip.Addr) { a.replace(address, false) }

func (a *active) replace(address netip.Addr, present bool) {
	a.change.Lock()
	defer a.change.Unlock()
	next := map[netip.Addr]struct{}{}
	if set := a.set.Load(); set != nil {
		for other := range *set {
			next[other] = struct{}{}
		}
	}
	if present {
		next[address] = struct{}{}
	} else {
		delete(next, address)
	}
	a.set.Store(&next)
}
