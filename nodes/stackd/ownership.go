package main

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/plexlab-dev/plexlab/nodes/cf"
	"github.com/plexlab-dev/plexlab/nodes/contract"
	"github.com/plexlab-dev/plexlab/nodes/vipa"
)

const (
	// standby is how long a stack leaves to those that come before it in a backup chain.
	standby = 300 * time.Millisecond
	// takeAgain is the time until an epoch is asked for anew that could not be taken.
	takeAgain = 100 * time.Millisecond
	// waitStep is the time between two questions whether an owner before answers no more.
	waitStep = time.Millisecond
)

// ownership takes the ownership epochs that the core asks for, apart from the loop: an owner before may
// have to be waited for.
type ownership struct {
	owners cf.Owners
	// held returns the connections that this stack has to DVIPAs.
	held func(map[netip.Addr]bool) []contract.Connection
	// lives says whether the process of a stack lives, as far as that can be told.
	lives func(contract.Member) bool
	post  func(vipa.Event)
	log   *slog.Logger
	wake  chan struct{} // of capacity 1

	mu sync.Mutex
	// asked are the questions that are open, with the time before which they are not to be asked.
	asked map[netip.Addr]question
	// epochs are those of the ownerships of this stack, until they are given up.
	epochs map[netip.Addr]uint64
}

// A question is one TakeOwnership.
type question struct {
	vipa.TakeOwnership
	from time.Time
}

func newOwnership(o *ownership) *ownership {
	o.wake = make(chan struct{}, 1)
	o.asked, o.epochs = make(map[netip.Addr]question), make(map[netip.Addr]uint64)
	return o
}

// ask takes a question of the core; it does not wait. A later one for the same DVIPA replaces it.
func (o *ownership) ask(take vipa.TakeOwnership) {
	q := question{TakeOwnership: take, from: time.Now()}
	if take.Standby {
		q.from = q.from.Add(standby)
	}
	o.mu.Lock()
	o.asked[take.DVIPA] = q
	o.mu.Unlock()
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

// run answers questions until ctx ends.
func (o *ownership) run(ctx context.Context) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-o.wake:
		case <-timer.C:
		}
		timer.Reset(o.work())
	}
}

// work answers what is due, together, and returns the time until something else is.
func (o *ownership) work() time.Duration {
	now := time.Now()
	var due []question
	next := time.Hour
	o.mu.Lock()
	for _, q := range o.asked {
		if wait := q.from.Sub(now); wait > 0 {
			next = min(next, wait)
		} else {
			due = append(due, q)
		}
	}
	o.mu.Unlock()
	slices.SortFunc(due, func(a, b question) int { return a.DVIPA.Compare(b.DVIPA) })

	taken := make(map[netip.Addr]uint64)
	for _, q := range due {
		epoch, again := o.acquire(q)
		switch {
		case epoch > 0:
			taken[q.DVIPA] = epoch
		case again:
			next = min(next, takeAgain)
		}
	}
	o.answer(taken)
	return next
}

// acquire takes an epoch and waits for the owner before, where it has to. Without an epoch it has told the
// core who was faster, or the question is to be asked again.
func (o *ownership) acquire(q question) (epoch uint64, again bool) {
	epoch, err := o.owners.Acquire(q.DVIPA, q.After)
	var superseded *cf.SupersededError
	switch {
	case errors.As(err, &superseded):
		if o.done(q) {
			o.post(vipa.OwnershipRefused{
				DVIPA: q.DVIPA, Epoch: superseded.Epoch, Owner: superseded.Owner, Lives: o.lives(superseded.Owner),
			})
		}
		return 0, false
	case err != nil:
		o.log.Error("ownership not taken, will be tried again", "dvipa", q.DVIPA, "error", err)
		o.mu.Lock()
		defer o.mu.Unlock()
		if o.asked[q.DVIPA] == q {
			q.from = time.Now().Add(takeAgain)
			o.asked[q.DVIPA] = q
		}
		return 0, true
	}
	if q.Wait {
		for o.owners.Wait(q.DVIPA, epoch) > 0 {
			time.Sleep(waitStep)
		}
	}
	if !o.done(q) {
		return 0, false
	}
	return epoch, false
}

// done ends a question, unless another has replaced it.
func (o *ownership) done(q question) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.asked[q.DVIPA] != q {
		return false
	}
	delete(o.asked, q.DVIPA)
	return true
}

// answer tells the core of epochs that were taken.
func (o *ownership) answer(taken map[netip.Addr]uint64) {
	if len(taken) == 0 {
		return
	}
	event := vipa.OwnershipTaken{}
	dvipas := make(map[netip.Addr]bool, len(taken))
	o.mu.Lock()
	for _, dvipa := range slices.SortedFunc(maps.Keys(taken), netip.Addr.Compare) {
		o.epochs[dvipa] = taken[dvipa]
		dvipas[dvipa] = true
		event.Taken = append(event.Taken, vipa.Ownership{DVIPA: dvipa, Epoch: taken[dvipa]})
	}
	o.mu.Unlock()
	event.Connections = o.held(dvipas)
	o.post(event)
}

// holds says whether this stack is still the owner of a DVIPA. It is asked for each renewal of a
// lease, and tells the core where another stack is.
func (o *ownership) holds(dvipa netip.Addr) bool {
	o.mu.Lock()
	epoch, owned := o.epochs[dvipa]
	o.mu.Unlock()
	if !owned {
		return false
	}
	if o.owners.Holds(dvipa, epoch) {
		return true
	}
	// Where it cannot be found out the lease lapses, and the core goes on.
	if current, owner, err := o.owners.Current(dvipa); err == nil && current > epoch {
		go o.post(vipa.OwnershipRefused{DVIPA: dvipa, Epoch: current, Owner: owner, Lives: o.lives(owner)})
	}
	return false
}

// ended tells whoever owns the DVIPA next that this stack answers for it no more.
func (o *ownership) ended(dvipa netip.Addr) error {
	o.mu.Lock()
	epoch, owned := o.epochs[dvipa]
	delete(o.epochs, dvipa)
	o.mu.Unlock()
	if !owned {
		return nil
	}
	return o.owners.Ended(dvipa, epoch)
}
