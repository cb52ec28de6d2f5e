package main

import (
	"net/netip"
	"slices"
	"sync"

	"github.com/plexlab-dev/plexlab/nodes/vipa"
)

// activations are the binds that wait until the DVIPA of a VIPARange is active. The zero value has
// none.
type activations struct {
	mu      sync.Mutex
	waiting map[netip.Addr][]chan string
}

// add returns where the answer will come: empty to go on, else the reason why not.
func (a *activations) add(dvipa netip.Addr) chan string {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.waiting == nil {
		a.waiting = make(map[netip.Addr][]chan string)
	}
	channel := make(chan string, 1)
	a.waiting[dvipa] = append(a.waiting[dvipa], channel)
	return channel
}

// remove forgets one that has been answered or has given up.
func (a *activations) remove(dvipa netip.Addr, channel chan string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.waiting[dvipa] = slices.DeleteFunc(a.waiting[dvipa], func(c chan string) bool { return c == channel })
	if len(a.waiting[dvipa]) == 0 {
		delete(a.waiting, dvipa)
	}
}

// answer tells every bind that waits for the DVIPA.
func (a *activations) answer(dvipa netip.Addr, reason string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, channel := range a.waiting[dvipa] {
		channel <- reason
	}
	delete(a.waiting, dvipa)
}

// ranges withdraws DVIPAs that binds activated in a VIPARange once nothing uses them.
type ranges struct {
	kernel kernel
	// activated are the DVIPAs of this stack that came to be so.
	activated func() []netip.Addr
	// do steps the core and returns once its actions are done.
	do func(vipa.Event) error
	// binds is held by every bind, from its first look at an address until the core knows of it, so
	// that none gets the address while it goes.
	binds *sync.RWMutex
}

// withdrawUnused tells the core of what nothing uses any more.
func (r ranges) withdrawUnused() error {
	for _, dvipa := range r.activated() {
		if err := r.check(dvipa); err != nil {
			return err
		}
	}
	return nil
}

func (r ranges) check(dvipa netip.Addr) error {
	r.binds.Lock()
	defer r.binds.Unlock()
	used, err := r.kernel.portsInUse(dvipa)
	if err != nil || len(used) > 0 {
		return err
	}
	routed, err := r.kernel.routed(dvipa)
	if err != nil || len(routed) > 0 {
		return err
	}
	return r.do(vipa.RangeUnused{DVIPA: dvipa})
}
