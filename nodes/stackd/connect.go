package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/plexlab-dev/plexlab/nodes/contract"
	"github.com/plexlab-dev/plexlab/nodes/sockets"
	"github.com/plexlab-dev/plexlab/nodes/vipa"
)

// acknowledgeLimit bounds how long a connect() waits for its connection to be in the CRT of the
// owner. It is below the second in which a program may expect an answer, even to a failure.
const acknowledgeLimit = 700 * time.Millisecond

// Connect gives a connection its source (SOURCEIPA) and, if that is a DVIPA, lets it go on once the
// owner would send the replies here (T31).
func (s *stack) Connect(ctx context.Context, request sockets.ConnectRequest, bind func(netip.AddrPort) (netip.AddrPort, error)) error {
	local := request.Local
	if local.Port() == 0 {
		err := s.claimed(ctx, func() (err error) {
			local, err = s.bindSource(ctx, request, bind)
			return err
		})
		if errors.Is(err, unix.EADDRINUSE) { // as connect() says that no port is left
			return unix.EADDRNOTAVAIL
		}
		if err != nil {
			return err
		}
	}
	if local.Port() == 0 || !s.addresses.Load().Active(local.Addr()) {
		return nil
	}
	if err := s.monitor.Connecting(ctx, request, local); err != nil {
		return fmt.Errorf("watch the connection: %w", err)
	}
	return s.awaitOwner(ctx, contract.Connection{Remote: request.Remote, Local: local})
}

// bindSource binds a socket without a port to the DVIPA that its connection is to come from, and
// returns where it is bound then; as before where no DVIPA is chosen.
func (s *stack) bindSource(ctx context.Context, request sockets.ConnectRequest, bind func(netip.AddrPort) (netip.AddrPort, error)) (netip.AddrPort, error) {
	s.binds.RLock()
	defer s.binds.RUnlock()
	addresses := s.addresses.Load()
	dvipa := request.Local.Addr()
	if dvipa.IsUnspecified() {
		source, ok := addresses.Source(request.Application, request.Remote.Addr())
		if !ok || s.home.IsLocal(request.Remote.Addr()) {
			return request.Local, nil
		}
		dvipa = source
	} else if !addresses.Active(dvipa) {
		return request.Local, nil
	}
	source := addresses.BindSource(dvipa)
	var local netip.AddrPort
	_, err := s.carryOut(ctx, source, past{request.Cookie, request.NeverConnected}, func(to netip.AddrPort) (at netip.AddrPort, err error) {
		local, err = bind(to)
		return local, err
	})
	s.trace.add("source "+dvipa.String(), source.Trace())
	return local, err
}

// awaitOwner returns once the owner has the connection in its CRT. If it does not the connection is
// never opened; the monitor finds that out and it is told to have ended.
func (s *stack) awaitOwner(ctx context.Context, connection contract.Connection) error {
	id, answered := s.connects.add()
	defer s.connects.remove(id)
	s.loop.post(vipa.ConnectAsked{ID: id, Connection: connection})
	ctx, cancel := context.WithTimeout(ctx, acknowledgeLimit)
	defer cancel()
	select {
	case reason := <-answered:
		if reason == "" {
			return nil
		}
		s.log.Warn("connect refused", "source", connection.Local, "destination", connection.Remote, "reason", reason)
		return unix.EADDRNOTAVAIL
	case <-ctx.Done():
		s.log.Warn("connect refused", "source", connection.Local, "destination", connection.Remote,
			"reason", "the owner of the DVIPA has not acknowledged the connection within "+acknowledgeLimit.String())
		return unix.EADDRNOTAVAIL
	}
}

// connects are the connect() calls that wait for the core. The zero value has none.
type connects struct {
	mu      sync.Mutex
	last    uint64
	waiting map[uint64]chan string
}

// add returns the number of a new one, and where the answer will come: empty to go on, else
// the reason why not.
func (c *connects) add() (id uint64, answered <-chan string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.waiting == nil {
		c.waiting = make(map[uint64]chan string)
	}
	c.last++
	channel := make(chan string, 1)
	c.waiting[c.last] = channel
	return c.last, channel
}

func (c *connects) remove(id uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.waiting, id)
}

// answer lets the call go on, or fail for a reason; one that has given up hears nothing.
func (c *connects) answer(id uint64, reason string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if channel, ok := c.waiting[id]; ok {
		delete(c.waiting, id)
		channel <- reason
	}
}
