package cf

import (
	"net/netip"
	"sync"
	"time"

	"github.com/plexlab-dev/plexlab/nodes/contract"
)

// Heard are the Owners of a plex without shared storage: an epoch is taken by telling it, and what
// other stacks take is heard on XCF alone. So two stacks that do not hear one another may both be owners.
type Heard struct {
	lapse time.Duration

	mu    sync.Mutex
	taken map[netip.Addr]heardClaim
}

type heardClaim struct {
	epoch uint64
	at    time.Time
}

var _ Owners = (*Heard)(nil)

// NewHeard returns the Owners of one stack that has taken nothing. lapse is portfile.Lapse of the plex.
func NewHeard(lapse time.Duration) *Heard {
	return &Heard{lapse: lapse, taken: map[netip.Addr]heardClaim{}}
}

// Acquire is part of Owners; it never fails.
func (h *Heard) Acquire(dvipa netip.Addr, after uint64) (uint64, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if t := h.taken[dvipa]; t.epoch > after {
		return t.epoch, nil
	}
	h.taken[dvipa] = heardClaim{after + 1, time.Now()}
	return after + 1, nil
}

// Wait is part of Owners: an owner before may answer until its lease has run out. Of those before it nothing is known.
func (h *Heard) Wait(dvipa netip.Addr, epoch, told uint64) time.Duration {
	if epoch == told+1 {
		return 0
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if t := h.taken[dvipa]; t.epoch == epoch {
		return max(0, h.lapse-time.Since(t.at))
	}
	return h.lapse
}

// Current is part of Owners: what this stack took last.
func (h *Heard) Current(dvipa netip.Addr) (uint64, contract.Member, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.taken[dvipa].epoch, contract.Member{}, nil
}

// Holds is part of Owners.
func (h *Heard) Holds(dvipa netip.Addr, epoch uint64) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.taken[dvipa].epoch == epoch
}

// Ended is part of Owners.
func (h *Heard) Ended(netip.Addr, uint64) error { return nil }
