package cf

import (
	"context"
	"maps"
	"net/netip"
	"slices"
	"time"

	"github.com/plexlab-dev/plexlab/nodes/contract/portfile"
)

// rests are ports that rest, by DVIPA, and until when. A file that is made anew knows nothing of them, and their peers
// may be in TIME_WAIT still. The zero value has none.
type rests map[netip.Addr]map[uint16]portfile.Rest

// add notes that a port rests; the longer of two rests counts.
func (r *rests) add(dvipa netip.Addr, port uint16, until portfile.Rest, now time.Duration) {
	if *r == nil {
		*r = make(rests)
	}
	ports := (*r)[dvipa]
	if ports == nil {
		ports = make(map[uint16]portfile.Rest)
		(*r)[dvipa] = ports
	}
	if ports[port].Left(now) < until.Left(now) {
		ports[port] = until
	}
}

// forget forgets those that are over.
func (r rests) forget(now time.Duration) {
	for dvipa, ports := range r {
		maps.DeleteFunc(ports, func(_ uint16, until portfile.Rest) bool { return until.Left(now) == 0 })
		if len(ports) == 0 {
			delete(r, dvipa)
		}
	}
}

// collect adds what an entry says: the ports that rest, and the unique ones of stacks alone that are gone without
// having given them back, which rest from now on. A rest that is longer than it can be is none.
func (r *rests) collect(dvipa netip.Addr, e entry, rest time.Duration, gone func(slot int) bool) {
	now := bootTime()
	whole := portfile.RestUntil(now, rest)
	for _, use := range portfile.InUse(e, now) {
		switch {
		case len(use.Slots) == 0 && use.Rest > 0 && use.Rest <= whole.Left(now):
			r.add(dvipa, use.Port, portfile.RestOf(e, use.Port), now)
		case len(use.Slots) > 0 && use.Unique && whole != 0 && !slices.ContainsFunc(use.Slots, func(slot int) bool { return !gone(slot) }):
			r.add(dvipa, use.Port, whole, now)
		}
	}
}

// remember takes in what rests in a file now, in case that it is lost with all that it says: who gave it back may
// be gone.
func (f *File) remember(m *mapping) {
	f.registering.Lock()
	defer f.registering.Unlock()
	f.resting.forget(bootTime())
	f.collect(m, func(int) bool { return false })
}

// collect takes in what the entries of a file say, as far as they can be read, and says whether all can be. The
// caller has registering locked.
func (f *File) collect(m *mapping, gone func(slot int) bool) error {
	return m.safely(func() error {
		var unread error
		for i := range m.entries {
			record, live, err := m.record(i)
			switch {
			case err != nil:
				unread = err
			case live:
				f.resting.collect(record.DVIPA, m.entry(i), f.config.Rest, gone)
			}
		}
		return unread
	})
}

// inherit lets the ports rest that stacks held in the file before which have ended since, and are expected in this one
// in vain; gone are these, by XCF address.
func (f *File) inherit(ctx context.Context, m *mapping, gone map[netip.Addr]bool) {
	if len(gone) == 0 || f.old == nil {
		return
	}
	f.registering.Lock()
	defer f.registering.Unlock()
	_ = f.collect(f.old, func(slot int) bool { return gone[f.members[slot].XCF] }) // what can be read
	_ = f.letRest(ctx, m)                                                          // else they rest in a next one alone
}

// letRest makes what rests do so in a file as well. The caller has registering locked.
func (f *File) letRest(ctx context.Context, m *mapping) error {
	f.resting.forget(bootTime())
	for dvipa, ports := range f.resting {
		if err := m.restOn(ctx, dvipa, f.pool(), ports); err != nil {
			return err
		}
	}
	return nil
}
