// Package claimer is the reference's claimer (nodes/contract/claimer): it takes and gives back
// ports through a coupling facility when it is told to.
package claimer

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"github.com/plexlab-dev/plexlab/nodes/cf"
	"github.com/plexlab-dev/plexlab/nodes/contract/claimer"
)

// A Claimer does jobs through a facility.
type Claimer struct {
	// Facility of the stack.
	Facility cf.Facility
	// XCF is the address of the stack.
	XCF netip.Addr

	held []uint16
	busy int // how often something had to be tried again
}

// Settle waits until ports are given out: until the stacks of a new file have registered.
func (c *Claimer) Settle(ctx context.Context) error {
	for {
		view, err := c.Facility.View(ctx)
		if err != nil || view.State == cf.OK {
			return err
		}
		if view.State == cf.Degraded {
			return errors.New(view.Problem)
		}
		// Under way are tenths of a second, and nothing tells when they are over.
		time.Sleep(time.Millisecond)
	}
}

// Do does a job.
func (c *Claimer) Do(ctx context.Context, job claimer.Job) (claimer.Answer, error) {
	switch job.Do {
	case claimer.Cycle:
		return c.cycle(ctx, job)
	case claimer.Hold:
		return c.hold(ctx, job.DVIPA)
	case claimer.Release:
		return claimer.Answer{}, c.release(ctx, job.DVIPA)
	case claimer.Churn:
		return claimer.Answer{}, c.churn(ctx, job.DVIPA)
	}
	return claimer.Answer{}, fmt.Errorf("job %q: no such work", job.Do)
}

func (c *Claimer) cycle(ctx context.Context, job claimer.Job) (claimer.Answer, error) {
	took, busy := claimer.Histogram{}, c.busy
	answer, err := claimer.Repeat(job.For, 2, func() error {
		var begun time.Time
		if job.Timed {
			begun = time.Now()
		}
		port, err := c.claim(ctx, job.DVIPA)
		if err != nil {
			return err
		}
		if job.Timed {
			took.Add(time.Since(begun))
		}
		return c.giveBack(ctx, job.DVIPA, cf.Release{Port: port})
	})
	answer.Took, answer.Busy = took, c.busy-busy
	return answer, err
}

// hold takes ports until none is left.
func (c *Claimer) hold(ctx context.Context, dvipa netip.Addr) (claimer.Answer, error) {
	for {
		port, err := c.claim(ctx, dvipa)
		if errors.As(err, new(*cf.ExhaustedError)) {
			return claimer.Answer{Ports: c.held}, nil
		}
		if err != nil {
			return claimer.Answer{Ports: c.held}, err
		}
		c.held = append(c.held, port)
	}
}

func (c *Claimer) release(ctx context.Context, dvipa netip.Addr) error {
	for len(c.held) > 0 {
		last := len(c.held) - 1
		if err := c.giveBack(ctx, dvipa, cf.Release{Port: c.held[last]}); err != nil {
			return err
		}
		c.held = c.held[:last]
	}
	return nil
}

// In churn, so many ports are claimed one by one, and then given back and marked as in use under one
// lock each, so many times.
const (
	churnPorts = 64
	churnTimes = 16
)

// churn is in the middle of updates nearly all the time. It chooses ports from the pool, so that what
// another left wrong there is not put right by being done again.
func (c *Claimer) churn(ctx context.Context, dvipa netip.Addr) error {
	released, marked := make([]cf.Release, churnPorts), make([]cf.Held, churnPorts)
	for ctx.Err() == nil {
		for i := range churnPorts {
			port, err := c.claim(ctx, dvipa)
			if err != nil {
				return err
			}
			released[i], marked[i] = cf.Release{Port: port, Rest: i == 0}, cf.Held{Port: port, Use: cf.Unique}
		}
		for range churnTimes {
			if err := c.giveBack(ctx, dvipa, released...); err != nil {
				return err
			}
			if err := c.mark(ctx, dvipa, marked); err != nil {
				return err
			}
		}
		if err := c.giveBack(ctx, dvipa, released...); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// mark takes ports that are available.
func (c *Claimer) mark(ctx context.Context, dvipa netip.Addr, ports []cf.Held) error {
	return c.patiently(func() error {
		conflicts, err := c.Facility.Mark(ctx, dvipa, c.XCF, ports)
		if err == nil && len(conflicts) > 0 {
			err = fmt.Errorf("port %d of %s is held by %s, too", conflicts[0].Port, dvipa, conflicts[0].Holder)
		}
		return err
	})
}

// claim takes a port of the pool.
func (c *Claimer) claim(ctx context.Context, dvipa netip.Addr) (port uint16, err error) {
	err = c.patiently(func() error {
		claim, err := c.Facility.Claim(ctx, cf.Request{DVIPA: dvipa, Use: cf.Unique})
		if err != nil {
			return err
		}
		port = claim.Port()
		return claim.Commit()
	})
	return port, err
}

// giveBack gives ports back that this stack holds.
func (c *Claimer) giveBack(ctx context.Context, dvipa netip.Addr, ports ...cf.Release) error {
	return c.patiently(func() error {
		freed, err := c.Facility.Release(ctx, dvipa, ports, nil)
		if err == nil && len(freed) != len(ports) {
			err = fmt.Errorf("%d of %d ports of %s, from %d on, were not this stack's any more", len(ports)-len(freed), len(ports), dvipa, ports[0].Port)
		}
		return err
	})
}

// patiently tries what others keep from being done until it is.
func (c *Claimer) patiently(try func() error) error {
	for {
		err := try()
		if !errors.Is(err, unix.EAGAIN) {
			return err
		}
		c.busy++
	}
}
