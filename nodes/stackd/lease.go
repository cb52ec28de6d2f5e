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
	ticker := time.NewTicker(portfile.BeatInterval)
	defer ticker.Stop()
	var told string
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		s.around.runs()
		problem := ""
		if err := s.renewLeases(); err != nil {
			problem = err.Error()
			if told == "" {
				s.log.Warn("leases of DVIPAs not renewed in time", "error", err)
			}
		}
		told = problem
	}
}

// lookAround keeps the core informed of the others until ctx ends. It waits where the core is busy, which the
// leases must not.
func (s *stack) lookAround(ctx context.Context) {
	ticker := time.NewTicker(portfile.BeatInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			s.around.look()
		}
	}
}

// renewLeases is one turn of that, also done at once when the stack becomes an owner.
func (s *stack) renewLeases() error {
	members := len(s.group.Members())
	return s.path.Renew(func() { s.beat(members, s.outside.Load()) }, s.ownership.holds)
}

// beginLeases is renewLeases for DVIPAs that were just advertised. One that comes late is left to the next turn.
func (s *stack) beginLeases() error {
	err := s.renewLeases()
	if errors.As(err, new(*datapath.LateError)) {
		return nil
	}
	return err
}

func isAdvertise(a vipa.Action) bool {
	_, ok := a.(vipa.Advertise)
	return ok
}
