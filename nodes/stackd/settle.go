package main

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/plexlab-dev/plexlab/nodes/cf"
)

// exhaustedLimit bounds how long a bind, or a connect() without one, waits that finds no port left. It waits for what is under way, a millisecond or
// two, and for longer only where a machine has too much to do.
const exhaustedLimit = 700 * time.Millisecond

// claimed runs a bind. Where no port is left, there may be one that a program here has just let go of: that becomes
// known some time after, and is gathered. So the bind is run once more when all that is taken in, if a port was given
// back since it began. The caller must not hold s.binds.
func (s *stack) claimed(ctx context.Context, bind func() error) error {
	before := s.clerk.given.Load()
	err := bind()
	if !errors.As(err, new(*cf.ExhaustedError)) {
		return err
	}
	limited, cancel := context.WithTimeout(ctx, exhaustedLimit)
	defer cancel()
	s.settlings.do(limited, s.settle)
	if s.clerk.given.Load() == before {
		return err
	}
	return bind()
}

// settle has the coupling facility hold no more of this stack than its sockets use.
func (s *stack) settle() {
	ctx, cancel := context.WithTimeout(context.Background(), exhaustedLimit)
	defer cancel()
	if err := s.monitor.Settle(ctx); err != nil && ctx.Err() == nil {
		s.log.Warn("no look at what sockets have let go of", "error", err)
	}
	_ = s.loop.look(exhaustedLimit, func() {}) // what was told is decided on
	s.clerk.settle(ctx)
}

// A shared does something for many at once: for all who ask before it begins. The zero value is ready.
type shared struct {
	turn sync.Mutex // held while it is done
	mu   sync.Mutex
	next chan struct{} // closed when that is done which has yet to begin; nil if nobody has asked for it
}

// do returns when work was done that began after the call, or with ctx.
func (s *shared) do(ctx context.Context, work func()) {
	s.mu.Lock()
	if s.next == nil {
		s.next = make(chan struct{})
		go s.begin(work)
	}
	done := s.next
	s.mu.Unlock()
	select {
	case <-done:
	case <-ctx.Done():
	}
}

func (s *shared) begin(work func()) {
	s.turn.Lock()
	defer s.turn.Unlock()
	s.mu.Lock()
	done := s.next
	s.next = nil
	s.mu.Unlock()
	work()
	close(done)
}
