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

// Ports that a stack marks in churn: 256 of its own for each of 128 stacks, below every pool that
// begins at churnEnd or later.
const (
	churnPorts = 256
	churnFirst = 1024
	churnEnd   = churnFirst + 128*churnPorts
)

// churn marks many ports at once and gives them back at once, every other one to rest, so that it
// is nearly always in the middle of updates under one lock; and claims one as an application does.
func (c *Claimer) churn(ctx context.Context, dvipa netip.Addr) error {
	xcf := c.XCF.AsSlice()
	first := churnFirst + uint16(xcf[len(xcf)-1]%128)*churnPorts
	marked := make([]cf.Held, churnPorts)
	released := make([]cf.Release, churnPorts)
	for i := range marked {
		marked[i] = cf.Held{Port: first + uint16(i), Use: cf.Unique}
		released[i] = cf.Release{Port: first + uint16(i), Rest: i%2 == 0}
	}
	for ctx.Err() == nil {
		var conflicts []cf.Conflict
		err := c.patiently(func() (err error) {
			conflicts, err = c.Facility.Mark(ctx, dvipa, c.XCF, marked)
			return err
		})
		if err != nil {
			return err
		}
		if len(conflicts) > 0 {
			return fmt.Errorf("port %d of %s, which is this stack's alone, is held by %s", conflicts[0].Port, dvipa, conflicts[0].Holder)
		}
		if err := c.giveBack(ctx, dvipa, released...); err != nil {
			return err
		}
		port, err := c.claim(ctx, dvipa)
		if err != nil {
			return err
		}
		if port < churnEnd {
			return fmt.Errorf("port %d of %s was chosen: churn takes a pool that begins at %d or later", port, dvipa, churnEnd)
		}
		if err := c.giveBack(ctx, dvipa, cf.Release{Port: port}); err != nil {
			return err
		}
	}
	return ctx.Err()
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
