package vipa

import (
	"net/netip"

	"github.com/plexlab-dev/plexlab/nodes/contract"
)

// An Action is something the edges of the stack must do, in the order Step returned it.
type Action interface{ action() }

// Send sends Message to the partner at To, or to every partner when To is the zero Addr.
type Send struct {
	To      netip.Addr
	Message contract.Message
}

// Activate makes the DVIPA an address of this stack that the network is not told of
// (Figure 11, block 126). Idempotent.
type Activate struct{ DVIPA netip.Addr }

// Deactivate takes it away again. Idempotent.
type Deactivate struct{ DVIPA netip.Addr }

// Advertise makes this stack the owner towards the network (Figure 10, block 104): it
// answers for the address and says so. Follows an Activate of the same address. Again for the
// same DVIPA: its mask has changed.
type Advertise struct {
	Prefix netip.Prefix // the DVIPA with the length of its mask, host bits kept
	Epoch  uint64
}

// Withdraw ends that. The CRT entries of the DVIPA go with it; they were this ownership's.
type Withdraw struct{ DVIPA netip.Addr }

// SetTargets makes Targets the DPT entry of Service (blocks 112, 166); none deletes it.
type SetTargets struct {
	Service netip.AddrPort
	Targets []contract.Target
}

// SetUnique puts the CRT entry with source zero for Service (blocks 110, 167); the zero
// Addr removes it.
type SetUnique struct {
	Service netip.AddrPort
	Target  netip.Addr
}

// AddConnections puts exact CRT entries that stay until they are ended (block 164).
// Acknowledge, where not zero, is sent to Target after the commit.
type AddConnections struct {
	Target      netip.Addr
	Connections []contract.Connection
	Acknowledge uint64
}

// EndConnections ends the CRT entries of these connections as far as they still point to
// Target (block 162).
type EndConnections struct {
	Target      netip.Addr
	Connections []contract.Connection
}

// DropTarget removes every CRT entry that points to Target: the stack is gone.
type DropTarget struct{ Target netip.Addr }

// SetWayOut makes Via (the XCF address of a routing stack) the way to the outside of an
// inside stack; the zero Addr: there is none.
type SetWayOut struct{ Via netip.Addr }

// Refuse reports that something a partner sent was not accepted; a log line.
type Refuse struct {
	From   contract.Member
	Reason string
}

func (Send) action()           {}
func (Activate) action()       {}
func (Deactivate) action()     {}
func (Advertise) action()      {}
func (Withdraw) action()       {}
func (SetTargets) action()     {}
func (SetUnique) action()      {}
func (AddConnections) action() {}
func (EndConnections) action() {}
func (DropTarget) action()     {}
func (SetWayOut) action()      {}
func (Refuse) action()         {}
