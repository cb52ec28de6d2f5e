package cf

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/plexlab-dev/plexlab/nodes/contract"
)

// Owners says which stack owns a DVIPA: the one that has taken the highest ownership epoch of it. It acts for
// one stack, and is safe for concurrent use. No lock, and nothing that another stack does or
// leaves undone, makes it wait.
type Owners interface {
	// Acquire takes the epoch after the one that the caller knows, 0 for none. It fails with a
	// *SupersededError if another stack took a later one, and returns the one that this stack
	// has if that is later. From then on no earlier owner's Holds succeeds, but the earlier
	// owner may still be answering: see Wait.
	Acquire(dvipa netip.Addr, after uint64) (epoch uint64, err error)
	// Wait is how long an owner before this epoch, which this stack has, may go on answering for
	// the DVIPA if it says nothing; 0, none does. The one of epoch told does not count, which is told in another
	// way; 0, all do. It is at most portfile.Lapse, and may become 0 at any moment: ask again after a millisecond
	// or two.
	Wait(dvipa netip.Addr, epoch, told uint64) time.Duration
	// Current is the highest epoch of a DVIPA and who took it; 0 if nobody ever did.
	Current(dvipa netip.Addr) (epoch uint64, owner contract.Member, err error)
	// Holds says whether this stack has the epoch and nobody a later one. Where that cannot be
	// found out, it does not hold it. It takes two system calls, which do not wait.
	Holds(dvipa netip.Addr, epoch uint64) bool
	// Ended says that this stack does not answer for the DVIPA by this epoch any more and will not
	// again, so that the next owner need not wait. Again, it does nothing.
	Ended(dvipa netip.Addr, epoch uint64) error
}

// SupersededError: another stack took a later epoch than the one that was known.
type SupersededError struct {
	DVIPA netip.Addr
	Epoch uint64
	Owner contract.Member // zero if what the claim says cannot be read
}

func (e *SupersededError) Error() string {
	return fmt.Sprintf("%s belongs to %s (%s) since epoch %d", e.DVIPA, e.Owner.Stack, e.Owner.XCF, e.Epoch)
}
