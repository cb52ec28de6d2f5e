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
	// listLimit is how long a list may take to leave this stack until its DVIPAs are advertised.
	listLimit = 5 * time.Millisecond
	// waitStep is the time between two questions whether an owner before answers no more.
	waitStep = time.Millisecond
)

// ownership takes the ownership epochs that the core asks for, apart from the loop: an owner before may
// have to be waited for.
type ownership struct {
	owners cf.Owners
	// lives says whether a stack may be waited for that took a DVIPA (surroundings.owns).
	lives func(contract.Member) bool
	// unsure and informed say whether this stack may have lost what it owns unseen, and whether it
	// knows of every epoch (surroundings).
	unsure, informed func() bool
	post             func(vipa.Event)
	log              *slog.Logger
	wake             chan struct{} // of capacity 1

	mu sync.Mutex
	// asked are the questions that are open, with the time before which they are not to be asked.
	asked map[netip.Addr]*question
	// epochs are those of the ownerships of this stack, until they are given up.
	epochs map[netip.Addr]uint64
}

// A question is one TakeOwnership.
type question struct {
	vipa.TakeOwnership
	from  time.Time
	epoch uint64 // that was taken for it, and is not answered yet
}

// told is the epoch of whoever need not be waited for; 0: nobody.
func (q *question) told() uint64 {
	if q.Wait {
		return 0
	}
	return q.After
}

func newOwnership(o *ownership) *ownership {
	o.wake = make(chan struct{}, 1)
	o.asked, o.epochs = make(map[netip.Addr]*question), make(map[netip.Addr]uint64)
	return o
}

// ask takes a question of the core; it does not wait. A later one for the same DVIPA replaces it.
func (o *ownership) ask(take vipa.TakeOwnership) {
	q := &question{TakeOwnership: take, from: time.Now()}
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

// leave takes a question back, unless its epoch is taken.
func (o *ownership) leave(dvipa netip.Addr) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if q := o.asked[dvipa]; q != nil && q.epoch == 0 {
		delete(o.asked, dvipa)
	}
}

// work asks for the epochs that are due, answers those that nobody has to be waited for, and returns the
// time until there is more to do.
func (o *ownership) work() time.Duration {
	now := time.Now()
	var due []*question
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
	slices.SortFunc(due, func(a, b *question) int { return a.DVIPA.Compare(b.DVIPA) })

	var taken []*question
	for _, q := range due {
		switch again, held := o.acquire(q); {
		case !held:
			next = min(next, again)
		case o.owners.Wait(q.DVIPA, q.epoch, q.told()) > 0:
			next = min(next, waitStep)
		default:
			taken = append(taken, q)
		}
	}
	o.answer(taken)
	return next
}

// acquire takes the epoch of a question; held says that it is this stack's. Otherwise the core knows who was
// faster, or the question was taken back, or is due again.
func (o *ownership) acquire(q *question) (again time.Duration, held bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case o.asked[q.DVIPA] != q:
		return time.Hour, false
	case q.epoch > 0:
		return 0, true
	case !o.informed():
		q.from = time.Now().Add(takeAgain)
		return takeAgain, false
	}
	epoch, err := o.owners.Acquire(q.DVIPA, q.After)
	var superseded *cf.SupersededError
	switch {
	case errors.As(err, &superseded):
		delete(o.asked, q.DVIPA)
		go o.refused(superseded)
		return time.Hour, false
	case err != nil:
		o.log.Error("ownership not taken, will be tried again", "dvipa", q.DVIPA, "error", err)
		q.from = time.Now().Add(takeAgain)
		return takeAgain, false
	}
	q.epoch = epoch
	return 0, true
}

// refused tells the core who has a DVIPA.
func (o *ownership) refused(by *cf.SupersededError) {
	o.post(vipa.OwnershipRefused{DVIPA: by.DVIPA, Epoch: by.Epoch, Owner: by.Owner, Lives: o.lives(by.Owner)})
}

// answer tells the core of epochs that were taken, apart from questions that others have replaced
// meanwhile: these get the same epoch.
func (o *ownership) answer(taken []*question) {
	event := vipa.OwnershipTaken{}
	o.mu.Lock()
	for _, q := range taken {
		if o.asked[q.DVIPA] == q {
			delete(o.asked, q.DVIPA)
			o.epochs[q.DVIPA] = q.epoch
			event.Taken = append(event.Taken, vipa.Ownership{DVIPA: q.DVIPA, Epoch: q.epoch, Waited: q.Wait})
		}
	}
	o.mu.Unlock()
	if len(event.Taken) > 0 {
		o.post(event)
	}
}

// holds says whether this stack may answer for a DVIPA: it is still the owner, and sure of it. It is asked for each renewal of a
// lease, and tells the core where another stack is.
func (o *ownership) holds(dvipa netip.Addr) bool {
	epoch, owned := o.epoch(dvipa)
	if !owned || o.unsure() {
		return false
	}
	// Where it cannot be found out the lease lapses, and the core goes on.
	if o.owners.Holds(dvipa, epoch) {
		return true
	}
	o.overtaken(dvipa, epoch)
	return false
}

// lost says whether a DVIPA is known not to be this stack's any more, and tells the core of it. An owner that is not sure has not lost it.
func (o *ownership) lost(dvipa netip.Addr) bool {
	epoch, owned := o.epoch(dvipa)
	return !owned || !o.owners.Holds(dvipa, epoch) && o.overtaken(dvipa, epoch)
}

func (o *ownership) epoch(dvipa netip.Addr) (epoch uint64, owned bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	epoch, owned = o.epochs[dvipa]
	return epoch, owned
}

// overtaken tells the core of a later epoch than this stack's, if another stack has one.
func (o *ownership) overtaken(dvipa netip.Addr, epoch uint64) bool {
	current, owner, err := o.owners.Current(dvipa)
	if err != nil || current <= epoch {
		return false
	}
	go o.refused(&cf.SupersededError{DVIPA: dvipa, Epoch: current, Owner: owner})
	return true
}

// look finds out whether this stack is still the owner of what it owns; the core hears of what it is not.
func (o *ownership) look() {
	o.mu.Lock()
	dvipas := slices.Collect(maps.Keys(o.epochs))
	o.mu.Unlock()
	for _, dvipa := range dvipas {
		o.holds(dvipa)
	}
}

// ended tells whoever owns the DVIPA next that this stack answers for it no more.
func (o *ownership) ended(dvipa netip.Addr) error {
	epoch, owned := o.epoch(dvipa)
	if !owned {
		return nil
	}
	return o.end(dvipa, epoch)
}

// end does that for one epoch.
func (o *ownership) end(dvipa netip.Addr, epoch uint64) error {
	o.mu.Lock()
	if o.epochs[dvipa] == epoch {
		delete(o.epochs, dvipa)
	}
	o.mu.Unlock()
	return o.owners.Ended(dvipa, epoch)
}
