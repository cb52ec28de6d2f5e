package cf

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"github.com/plexlab-dev/plexlab/nodes/contract"
)

// askAgain is the pause before an owner that was busy is asked once more.
const askAgain = 2 * time.Millisecond

// asking is a claim of this stack that has no port yet.
type asking struct {
	id      uint64
	request Request
	// asked is the owner that a PORT_CLAIM was sent to, not valid if none was, and answer
	// what it said.
	asked  keeper
	answer *contract.PortAnswer
	over   bool          // given up; what is granted goes back
	wake   chan struct{} // of capacity 1: look again
}

// distributedClaim is a Claim whose port the owner has granted.
type distributedClaim struct {
	d    *Distributor
	s    *share
	port uint16
	over bool
}

// Claim finds out whether this stack may have a port (Figure 15, blocks 203 to 206). A *BusyError
// or *OwnerError comes after the timeout alone.
func (d *Distributor) Claim(ctx context.Context, r Request) (Claim, error) {
	if r.Use != Shared && r.Use != Unique {
		return nil, fmt.Errorf("claim port %d of %s: use %d", r.Port, r.DVIPA, r.Use)
	}
	d.mu.Lock()
	d.lastID++
	a := &asking{id: d.lastID, request: r, wake: make(chan struct{}, 1)}
	d.claims[a.id] = a
	d.mu.Unlock()
	limited, cancel := context.WithTimeout(ctx, d.config.Timeout)
	defer cancel()
	for {
		last := limited.Err() != nil
		c, err := d.proceed(a, last)
		switch {
		case last && err != nil && ctx.Err() != nil:
			return nil, ctx.Err()
		case last || !errors.Is(err, unix.EAGAIN):
			return c, err
		}
		again := time.NewTimer(askAgain)
		select {
		case <-limited.Done():
		case <-a.wake:
		case <-again.C:
		}
		again.Stop()
	}
}

// proceed does for a claim what can be done now. An error that is EAGAIN says what it waits for, if
// this is not the last time.
func (d *Distributor) proceed(a *asking, last bool) (Claim, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	c, err := d.decide(a)
	switch {
	case err == nil || !errors.Is(err, unix.EAGAIN):
		delete(d.claims, a.id)
	case last && a.asked.valid() && a.answer == nil:
		a.over = true // the answer is still to come
	case last:
		delete(d.claims, a.id)
	}
	if err != nil {
		return nil, err
	}
	return c, nil
}

// decide is proceed without the books: a port is counted as granted once it is.
func (d *Distributor) decide(a *asking) (*distributedClaim, error) {
	r, s := a.request, d.share(a.request.DVIPA)
	port, use := r.Port, r.Use
	switch {
	case a.answer != nil && a.answer.Outcome == contract.PortGranted:
		return &distributedClaim{d: d, s: s, port: a.answer.Port}, nil
	case s.releasing[r.Port]:
		return nil, &BusyError{fmt.Sprintf("port %d of %s", r.Port, r.DVIPA), d.config.Self.Stack + ", which is giving it back"}
	case s.held.has(r.Port) && (r.Use == Shared || s.held.use(r.Port) == Unique): // I18
		use = s.held.use(r.Port)
	case s.table != nil:
		if untold := d.untold(s.table); untold != nil {
			return nil, &OwnerError{DVIPA: r.DVIPA, Owner: d.config.Self.Stack, Waiting: untold}
		}
		var holders []int
		if port, holders = s.table.claim(ownSlot, r.Port, r.Use); port == 0 {
			return nil, refusal(r, d.stacks(holders))
		}
	default:
		return nil, d.inquire(a, s)
	}
	s.grant(port, use)
	return &distributedClaim{d: d, s: s, port: port}, nil
}

// refusal is the error of a claim that whoever keeps the table refused.
func refusal(r Request, holder string) error {
	if r.Port == 0 {
		return &ExhaustedError{r.DVIPA}
	}
	return &InUseError{r.DVIPA, r.Port, holder}
}

// inquire asks the owner, or says what it has answered.
func (d *Distributor) inquire(a *asking, s *share) error {
	err := &OwnerError{DVIPA: s.dvipa, Owner: s.keeper.Stack}
	if answer := a.answer; answer != nil {
		a.answer, a.asked = nil, keeper{}
		if answer.Outcome != contract.PortBusy {
			return refusal(a.request, answer.Holder)
		}
		if answer.Holder != "" {
			err.Waiting = []string{answer.Holder}
		}
		return err // to be asked again after the pause
	}
	if s.keeper.valid() && !a.asked.valid() {
		a.asked = s.keeper
		d.config.Send(s.keeper.XCF, contract.PortClaim{
			ID: a.id, DVIPA: s.dvipa, XCF: d.config.Self.XCF, Port: a.request.Port, Unique: a.request.Use == Unique, Epoch: s.keeper.epoch,
		})
	}
	return err
}

// answered takes an answer in. A port that nobody waits for any more goes back.
func (d *Distributor) answered(from *partner, answer contract.PortAnswer) {
	a := d.claims[answer.ID]
	if a == nil || a.asked.Member != from.Member || a.answer != nil {
		return
	}
	s := d.share(a.request.DVIPA)
	granted := answer.Outcome == contract.PortGranted
	if a.over {
		delete(d.claims, a.id)
		if granted {
			d.dropUnheld(s, answer.Port)
		}
		return
	}
	if granted {
		s.grant(answer.Port, a.request.Use)
	}
	a.answer = &answer
	a.nudge()
}

// forget makes the claims that an owner was asked for be asked anew, of one DVIPA: it is not the owner
// any more, or was out of reach. What it granted is told to the next one.
func (d *Distributor) forget(s *share) {
	for _, a := range d.claims {
		switch {
		case a.request.DVIPA != s.dvipa || a.answer != nil:
		case a.over:
			delete(d.claims, a.id)
		default:
			a.asked = keeper{}
			a.nudge()
		}
	}
}

// nudge makes the claims for a DVIPA look again.
func (d *Distributor) nudge(s *share) {
	for _, a := range d.claims {
		if a.request.DVIPA == s.dvipa && !a.over {
			a.nudge()
		}
	}
}

func (a *asking) nudge() {
	select {
	case a.wake <- struct{}{}:
	default:
	}
}

// grant notes a port for one more claim.
func (s *share) grant(port uint16, use Use) {
	s.granted[port] = grant{s.granted[port].claims + 1, max(s.granted[port].use, use)}
}

// ungrant ends that.
func (s *share) ungrant(port uint16) {
	if g := s.granted[port]; g.claims > 1 {
		s.granted[port] = grant{g.claims - 1, g.use}
		return
	}
	delete(s.granted, port)
}

// dropUnheld gives a port back that a claim has not used, unless the stack has it otherwise.
func (d *Distributor) dropUnheld(s *share, port uint16) {
	if !s.held.has(port) && !d.wanted(s, port) {
		d.giveBack(s, []uint16{port}, false)
	}
}

func (c *distributedClaim) Port() uint16 { return c.port }

func (c *distributedClaim) Commit() error {
	c.d.mu.Lock()
	defer c.d.mu.Unlock()
	if !c.over {
		c.over = true
		use, known := c.s.granted[c.port].use, c.s.held.has(c.port)
		c.s.held.add(c.port, use)
		c.s.ungrant(c.port)
		if use == Unique && !known {
			c.d.tellOwn(c.s, []uint16{c.port})
		}
	}
	return nil
}

func (c *distributedClaim) Abort() {
	c.d.mu.Lock()
	defer c.d.mu.Unlock()
	if !c.over {
		c.over = true
		c.s.ungrant(c.port)
		c.d.dropUnheld(c.s, c.port)
	}
}
