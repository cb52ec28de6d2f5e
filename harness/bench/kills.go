package bench

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/plexlab-dev/plexlab/harness/portfile"
	"github.com/plexlab-dev/plexlab/nodes/contract/claimer"
	layout "github.com/plexlab-dev/plexlab/nodes/contract/portfile"
)

const (
	// killLanes processes are under way at a time, each with a port file of its own: what it leaves
	// there when it is killed can be read before anybody else gets the lock.
	killLanes = 4
	// witnesses are stacks that live and take back what the others leave, both at once.
	witnesses = 2
	// killWithin bounds the random time from when a process has been seen inside an update until it is
	// killed; insideLimit the wait for that.
	killWithin  = time.Millisecond
	insideLimit = 10 * time.Second
)

// A killCount counts kills.
type killCount struct {
	all, inside, interrupted atomic.Int64
}

// portKills kills processes at random moments until so many kills have struck inside an update: the
// entry says that the process had its lock. Of those, interrupted are the ones that left a part of an
// update undone. In each lane two stacks take turns, so that each finds what the other left. An error
// is what a process finds wrong; and in the end, when the witnesses have taken back what the last left,
// a lock that is held, a port that is not available, or anything that an audit finds.
func portKills(ctx context.Context, config Config, results *Results) error {
	begun := time.Now()
	var count killCount
	group, groupCtx := errgroup.WithContext(ctx)
	for range killLanes {
		group.Go(func() error { return killLane(groupCtx, config, &count) })
	}
	if err := group.Wait(); err != nil {
		return fmt.Errorf("after %d kills: %w", count.all.Load(), err)
	}
	results.add("ports.kills.inside", float64(count.inside.Load()), "")
	results.add("ports.kills.interrupted", float64(count.interrupted.Load()), "")
	results.add("ports.kills.all", float64(count.all.Load()), "")
	results.add("ports.kills.s", time.Since(begun).Seconds(), "s")
	return nil
}

// killLane kills one process after the other until all lanes together have enough.
func killLane(ctx context.Context, config Config, count *killCount) error {
	p, err := newPortPlex(config)
	if err != nil {
		return err
	}
	defer p.close()
	living, err := startWorkers(witnesses, func(i int) (*worker, error) { return p.start(ctx, i) })
	defer living.end()
	if err != nil {
		return err
	}
	file, err := portfile.Open(p.portFile())
	if err != nil {
		return err
	}
	defer file.Close()
	for turn := 0; count.inside.Load() < int64(config.Kills); turn++ {
		pid, err := p.kill(ctx, witnesses+1+turn%2, file)
		if err != nil {
			return err
		}
		left, err := file.Glance(portDVIPA)
		if err != nil {
			return err
		}
		count.add(left, pid, config)
	}
	return afterKills(file, living)
}

// add counts a kill of a process after which an entry is left.
func (c *killCount) add(left layout.Entry, pid int, config Config) {
	c.all.Add(1)
	if left.Holder.PID() != uint32(pid) {
		return
	}
	if left.Intent != 0 {
		c.interrupted.Add(1)
	}
	if n := c.inside.Add(1); n%1000 == 0 {
		config.Progress(fmt.Sprintf("ports: %d of %d kills inside updates", n, config.Kills))
	}
}

// kill has the claimer of a stack churn, kills it, and returns what its process ID was.
func (p *portPlex) kill(ctx context.Context, stack int, file *portfile.File) (pid int, err error) {
	victim, err := p.start(ctx, stack)
	if err != nil {
		return 0, err
	}
	if err = victim.begin(claimer.Job{Do: claimer.Churn, DVIPA: portDVIPA}); err == nil {
		err = victim.ready()
	}
	if err == nil {
		err = inside(file, victim.command.Process.Pid)
	}
	if err == nil {
		<-time.After(rand.N(killWithin))
	}
	return victim.command.Process.Pid, errors.Join(err, victim.end())
}

// inside waits until a process has been seen with the lock of the entry. On a machine with
// much else to do it may be long after it is ready.
func inside(file *portfile.File, pid int) error {
	ticker := time.NewTicker(100 * time.Microsecond)
	defer ticker.Stop()
	for limit := time.Now().Add(insideLimit); ; <-ticker.C {
		entry, err := file.Glance(portDVIPA)
		switch {
		case err == nil && entry.Holder.PID() == uint32(pid):
			return nil
		case err != nil && !errors.Is(err, portfile.ErrNoEntry):
			return err
		case time.Now().After(limit):
			return fmt.Errorf("process %d does not update the entry of %s, as it was told", pid, portDVIPA)
		}
	}
}

// afterLimit bounds the wait until the witnesses have taken everything back.
const afterLimit = 10 * time.Second

// afterKills checks that nothing is left of those that were killed.
func afterKills(file *portfile.File, living workers) error {
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for limit := time.Now().Add(afterLimit); ; <-ticker.C {
		members, err := file.Members()
		if err != nil {
			return err
		}
		if len(members) == len(living) {
			break
		}
		if time.Now().After(limit) {
			return fmt.Errorf("%d stacks that were killed have slots still after %v", len(members)-len(living), afterLimit)
		}
	}
	if err := checkUnused(file); err != nil {
		return err
	}
	// It can be used as before.
	_, err := living.do(claimer.Job{Do: claimer.Cycle, DVIPA: portDVIPA, For: time.Millisecond})
	return err
}
