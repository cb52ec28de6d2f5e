package bench

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/plexlab-dev/plexlab/harness/portfile"
	"github.com/plexlab-dev/plexlab/nodes/contract"
	"github.com/plexlab-dev/plexlab/nodes/contract/claimer"
)

const (
	// killLanes processes are under way at a time, each with a DVIPA of its own, so that what it
	// leaves there when it is killed can be read before anybody else gets the lock.
	killLanes = 4
	// witness is the stack that lives, and takes back what the others leave.
	witness = 128
	// killWithin bounds the random time from when a process is ready until it is killed.
	killWithin = 3 * time.Millisecond
)

// killPool begins above what claimers mark as in use.
var killPool = contract.PortRange{First: 49152, Last: 65535}

// A killCount counts kills.
type killCount struct {
	all, inside, interrupted atomic.Int64
}

// portKills kills processes at random moments until so many kills have struck inside an update: the
// entry says that the process had its lock. Of those, interrupted are the ones that left a part of an
// update undone. Two stacks take turns in each lane, so that each finds what the other left. An error
// is what a process finds wrong; and in the end, when the witness has taken back what the last left,
// a lock that is held, a port that is not available, or anything that an audit finds.
func portKills(ctx context.Context, config Config, results *Results) error {
	p, err := newPortPlex(config, killPool)
	if err != nil {
		return err
	}
	defer p.close()
	living, err := startWorkers(1, func(int) (*worker, error) { return p.start(ctx, witness) })
	defer living.end()
	if err != nil {
		return err
	}
	begun := time.Now()
	var count killCount
	group, groupCtx := errgroup.WithContext(ctx)
	for lane := range killLanes {
		group.Go(func() error { return p.killLane(groupCtx, lane, &count) })
	}
	if err := group.Wait(); err != nil {
		return err
	}
	if err := p.afterKills(living); err != nil {
		return fmt.Errorf("after %d kills: %w", count.all.Load(), err)
	}
	results.add("ports.kills.inside", float64(count.inside.Load()), "")
	results.add("ports.kills.interrupted", float64(count.interrupted.Load()), "")
	results.add("ports.kills.all", float64(count.all.Load()), "")
	results.add("ports.kills.s", time.Since(begun).Seconds(), "s")
	return nil
}

func laneDVIPA(lane int) netip.Addr { return netip.AddrFrom4([4]byte{44, 0, 1, byte(lane + 1)}) }

// killLane kills one process after the other until all lanes together have enough.
func (p *portPlex) killLane(ctx context.Context, lane int, count *killCount) error {
	file, err := portfile.Open(p.portFile())
	if err != nil {
		return err
	}
	defer file.Close()
	for turn := 0; count.inside.Load() < int64(p.config.Kills); turn++ {
		pid, err := p.kill(ctx, 1+2*lane+turn%2, laneDVIPA(lane))
		if err != nil {
			return err
		}
		left, err := file.Glance(laneDVIPA(lane))
		if err != nil && !errors.Is(err, portfile.ErrNoEntry) {
			return err
		}
		if left.Holder.PID() == uint32(pid) {
			if count.inside.Add(1)%1000 == 0 {
				p.config.Progress(fmt.Sprintf("ports: %d of %d kills inside updates", count.inside.Load(), p.config.Kills))
			}
			if left.Intent != 0 {
				count.interrupted.Add(1)
			}
		}
		count.all.Add(1)
	}
	return nil
}

// kill has the claimer of a stack churn, kills it, and returns what its process ID was.
func (p *portPlex) kill(ctx context.Context, stack int, dvipa netip.Addr) (pid int, err error) {
	victim, err := p.start(ctx, stack)
	if err != nil {
		return 0, err
	}
	// The job waits for it, so that it churns from the moment that it is ready.
	err = errors.Join(victim.begin(claimer.Job{Do: claimer.Churn, DVIPA: dvipa}), victim.ready())
	if err == nil {
		<-time.After(rand.N(killWithin))
	}
	return victim.command.Process.Pid, errors.Join(err, victim.end())
}

// afterLimit bounds the wait until the witness has taken everything back.
const afterLimit = 10 * time.Second

// afterKills checks that nothing is left of those that were killed.
func (p *portPlex) afterKills(living workers) error {
	file, err := portfile.Open(p.portFile())
	if err != nil {
		return err
	}
	defer file.Close()
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for limit := time.Now().Add(afterLimit); ; <-ticker.C {
		members, err := file.Members()
		if err != nil {
			return err
		}
		if len(members) == 1 {
			break
		}
		if time.Now().After(limit) {
			return fmt.Errorf("%d stacks that were killed have slots still after %v", len(members)-1, afterLimit)
		}
	}
	for lane := range killLanes {
		if err := p.checkUnused(file, laneDVIPA(lane)); err != nil {
			return err
		}
		// It can be used as before.
		if _, err := living.do(claimer.Job{Do: claimer.Cycle, DVIPA: laneDVIPA(lane), For: time.Millisecond}); err != nil {
			return err
		}
	}
	return nil
}
