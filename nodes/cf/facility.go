// Package cf is the coupling facility: what the stacks of a plex share so that each port of a
// DVIPA with CLUSTERPORTS has one owner. Facility is what a stack asks of it; File keeps it in
// the port file (nodes/contract/portfile), Distributor at the owners of the DVIPAs, which are asked
// over XCF.
//
// An entry holds the cluster-wide structure and the stack usage structure of one DVIPA (T32). What
// an entry permits and how it changes is apart from where it lies and how it is locked: entry.go
// works on any memory.
package cf

import (
	"context"
	"net/netip"

	"github.com/plexlab-dev/plexlab/nodes/contract"
)

// Use says how a stack holds a port (I15).
type Use uint8

const (
	// Shared ports are distributed: any number of stacks may hold one.
	Shared Use = 1
	// Unique ports have one holder in the plex.
	Unique Use = 2
)

func (u Use) String() string {
	switch u {
	case Shared:
		return "shared"
	case Unique:
		return "unique"
	}
	return "invalid"
}

// Request asks for a port of a DVIPA.
type Request struct {
	DVIPA netip.Addr
	// Port is the port, 0 for one of the pool that is available and does not rest, taken round
	// the pool (Figure 15, block 205).
	Port uint16
	Use  Use
	// Avoid are ports that are not chosen for port 0.
	Avoid []contract.PortRange
}

// Held is a port that a stack holds; the port is not 0.
type Held struct {
	Port uint16
	Use  Use
}

// Release is a port that a stack gives back.
type Release struct {
	Port uint16
	// Rest: the port carried outbound connections, whose peers may be in TIME_WAIT. It is not
	// given out for port 0 until the rest of the configuration is over.
	Rest bool
}

// Conflict is a port that was marked although another stack holds it and one of the two as
// unique.
type Conflict struct {
	Port   uint16
	Holder string // the other stack
}

// Facility is the coupling facility as one stack sees it; it acts for that stack. It is safe
// for concurrent use. Whatever waits does so until the lock timeout of the configuration or
// the end of the context.
//
// Errors: *BusyError, *DamagedError, *FillingError, *OwnerError from all that works on entries; Claim
// also has *InUseError and *ExhaustedError. Each unwraps to the errno for an application.
type Facility interface {
	// Activate makes the entry of a DVIPA if there is none (T20).
	Activate(dvipa netip.Addr) error
	// Claim finds out whether this stack may have a port (blocks 203 to 206) and keeps
	// the entry locked until Commit or Abort (T33), for the short time that a bind takes. A
	// port that this stack holds already passes (I18). It makes the entry if there is none.
	Claim(ctx context.Context, r Request) (Claim, error)
	// Mark notes ports that are in use already, by this stack or by another one with the XCF
	// address holder (T21, T22). Ports that are held otherwise are marked all the same and
	// told. It makes the entry if there is none.
	Mark(ctx context.Context, dvipa, holder netip.Addr, ports []Held) ([]Conflict, error)
	// Release gives ports of this stack back (Figure 6, block 608; Figure 14, block 190). Under
	// the lock it asks unused, if it is not nil, which of the ports that this stack does hold
	// no socket uses, and frees those; it returns what it freed. On an error of unused nothing
	// is freed. After a *BusyError the ports are held still: release them again later.
	Release(ctx context.Context, dvipa netip.Addr, ports []Release, unused func([]uint16) ([]uint16, error)) (freed []uint16, err error)
	// Reclaim gives back what a stack held that is gone; its unique ports rest. Whoever
	// notices may call it: it happens once. It fails with ErrAlive while the stack's process
	// lives, and does nothing if the stack was started again.
	Reclaim(ctx context.Context, gone contract.Member) error
	// State is what it can do now.
	State() State
	// View is the whole of it, for display and audit.
	View(ctx context.Context) (View, error)
	// Close leaves; other stacks then take back what this one still holds.
	Close() error
}

// Claim is a port that a stack may have, with the entry of its DVIPA locked.
type Claim interface {
	Port() uint16
	// Commit makes the port the stack's (block 208) and unlocks the entry. It changes nothing
	// for a port that the stack held already as it asked for it. On an error it is not the
	// stack's. Only the first Commit or Abort does anything.
	Commit() error
	// Abort unlocks the entry and leaves all as it was.
	Abort()
}
