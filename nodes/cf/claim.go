package cf

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/plexlab-dev/plexlab/nodes/contract/portfile"
)

// fileClaim is a Claim with the entry of m locked.
type fileClaim struct {
	f     *File
	m     *mapping
	entry int
	port  uint16
	use   Use
	keep  bool // the stack holds the port already
	over  bool
}

// Claim finds out whether this stack may have a port (Figure 15, blocks 203 to 206).
func (f *File) Claim(ctx context.Context, r Request) (Claim, error) {
	if r.Use != Shared && r.Use != Unique {
		return nil, fmt.Errorf("claim port %d of %s: use %d", r.Port, r.DVIPA, r.Use)
	}
	m, err := f.use()
	if err != nil {
		return nil, err
	}
	c := &fileClaim{f: f, m: m, port: r.Port, use: r.Use}
	var deadline time.Time
	for {
		c.entry, err = m.lockDVIPA(ctx, r.DVIPA, f.pool(), func(i int) error { return c.decide(i, r) })
		if err == nil {
			return c, nil
		}
		if !errors.As(err, new(*FillingError)) {
			break
		}
		if deadline.IsZero() {
			deadline = m.deadline(ctx)
		}
		if err = f.awaitSettled(ctx, m, deadline); err != nil {
			break
		}
	}
	m.leave()
	return nil, f.explain(err)
}

// decide answers the request from the entry, which is locked.
func (c *fileClaim) decide(i int, r Request) error {
	m, e := c.m, c.m.entry(i)
	if !m.settled() {
		return &FillingError{Path: m.path}
	}
	if err := m.prepare(i, m.slot); err != nil {
		return err
	}
	if r.Port == 0 {
		port, found := e.choose(m.entries[i].record.Pool, r.Avoid, bootTime)
		if !found {
			return &ExhaustedError{r.DVIPA}
		}
		c.port = port
	}
	switch v := e.ask(c.port, m.slot, r.Use); v.outcome {
	case refused:
		return &InUseError{r.DVIPA, c.port, m.stacks(v.holders)}
	case inconsistent:
		return m.damagedEntry(i, fmt.Errorf("port %d is unavailable and no stack holds it, or available and one does", c.port))
	case kept:
		c.keep, c.use = true, useOf(e, c.port)
	}
	return nil
}

// awaitSettled waits until the file is settled, as it has a part in; it fails with a *FillingError
// at the deadline.
func (f *File) awaitSettled(ctx context.Context, m *mapping, deadline time.Time) error {
	for !f.isSettled(m) {
		waiting, err := m.settle(ctx, func(portfile.Member) bool { return false })
		switch {
		case err != nil:
			return err
		case ctx.Err() != nil:
			return ctx.Err()
		case time.Now().After(deadline):
			return &FillingError{Path: m.path, Waiting: waiting}
		}
		nap(lockLastPause)
	}
	return nil
}

func (c *fileClaim) Port() uint16 { return c.port }

func (c *fileClaim) Commit() (err error) {
	if c.over {
		return nil
	}
	if !c.keep {
		err = c.m.safely(func() error {
			c.m.entries[c.entry].held.interrupted.note(c.m.entry(c.entry), c.port)
			c.m.entry(c.entry).take(c.port, c.m.slot, c.use)
			return nil
		})
	}
	if err == nil {
		c.m.entries[c.entry].held.add(c.port, c.use)
	}
	c.Abort()
	return c.f.explain(err)
}

func (c *fileClaim) Abort() {
	if c.over {
		return
	}
	c.over = true
	c.m.unlockEntry(c.entry)
	c.m.leave()
}
