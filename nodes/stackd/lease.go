package main

import (
	"context"
	"errors"
	"time"

	"github.com/plexlab-dev/plexlab/nodes/contract/portfile"
	"github.com/plexlab-dev/plexlab/nodes/datapath"
	"github.com/plexlab-dev/plexlab/nodes/vipa"
)

// keepLeases renews the leases of the DVIPAs that this stack owns, and says that it runs, until ctx ends.
func (s *stack) keepLeases(ctx context.Context) {
	failed := false
	defer s.pulse.Add(func(now time.Time) time.Time {
		s.around.runs()
		s.processors.follow(now)
		err := s.renewLeases()
		if err != nil && !failed {
			s.log.Warn("leases of DVIPAs not renewed in time", "error", err)
		}
		failed = err != nil
		return s.pulse.Next(now, portfile.BeatInterval)
	})()
	<-ctx.Done()
}

// lookAround keeps the core informed of the others until ctx ends. It waits where the core is busy, which the
// leases must not.
func (s *stack) lookAround(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.around.stirred:
		case <-timer.C:
		}
		next := s.around.look()
		s.askNetwork()
		if next < portfile.BeatInterval {
			s.ownership.look()
		}
		timer.Reset(next)
	}
}

// tellSight tells other stacks at once how many this one sees.
func (s *stack) tellSight() { s.beat(s.group.Sight(), s.outside.Load()) }

// renewLeases is one turn of that, also done at once when the stack becomes an owner.
func (s *stack) renewLeases() error {
	return s.path.Renew(s.tellSight, s.ownership.holds)
}

// beginAttempts is how often a lease is begun anew that came late.
const beginAttempts = 3

// beginLeases is renewLeases for DVIPAs that are to be advertised. What comes late again and again is left to the next
// turn.
func (s *stack) beginLeases() error {
	for range beginAttempts {
		if err := s.renewLeases(); !errors.As(err, new(*datapath.LateError)) {
			return err
		}
	}
	return nil
}

func isAdvertise(a vipa.Action) bool {
	_, ok := a.(vipa.Advertise)
	return ok
}
