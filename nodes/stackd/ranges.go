package main

import (
	"net/netip"
	"sync"

	"github.com/plexlab-dev/plexlab/nodes/vipa"
)

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
