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

// Withdraw ends that, also where it had not come to Advertise yet. The CRT entries of the DVIPA go
// with it; they were this ownership's.
type Withdraw struct{ DVIPA netip.Addr }

// TakeOwnership asks for the next ownership epoch of a DVIPA, above After, unless another stack has
// taken one above After before. It is answered by OwnershipTaken or OwnershipRefused. A later one
// for the same DVIPA replaces one that is not answered yet.
type TakeOwnership struct {
	DVIPA netip.Addr
	After uint64 // the highest epoch heard of; 0: none
	// Wait: who took After may not know of its end; once the epoch is taken, its lease has to run out before
	// the answer. Otherwise it is told by the list, or is gone. Those who came before it are waited for in any case.
	Wait bool
	// Standby: other stacks come first. The epoch is to be asked for only after these have had the
	// time to take it.
	Standby bool
}

// LeaveOwnership takes a TakeOwnership back that is not answered: an epoch that is not taken yet is
// not to be taken, and nothing is answered. One that is taken already is answered as it would be.
type LeaveOwnership struct{ DVIPA netip.Addr }

// EndOwnership gives an epoch back that was taken and is not kept: nobody answers for the DVIPA by it.
type EndOwnership struct {
	DVIPA netip.Addr
	Epoch uint64
}

// Settle begins or ends the time in which packets to the DVIPA that match nothing are dropped
// silently (I20). When it has lasted for the stated maximum, SettleExpired is to be told.
type Settle struct {
	DVIPA netip.Addr
	On    bool
}

// LetBind lets the binds go on that wait for the DVIPA (BindInRange): it is active.
type LetBind struct{ DVIPA netip.Addr }

// RefuseBind fails them.
type RefuseBind struct {
	DVIPA  netip.Addr
	Reason string // in words for a person
}

// Varied answers Vary.
type Varied struct {
	ID uint64
	// Refused says in words for a person why nothing was done; empty: it was done.
	Refused string
}

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

// DropTarget removes every CRT entry that points to Target: the stack is gone, or is back after it had left, and
// reports those that it still has.
type DropTarget struct{ Target netip.Addr }

// SetWayOut makes Via (the XCF address of a routing stack) the way to the outside of a stack without a link
// there that is up; the zero Addr: there is none.
type SetWayOut struct{ Via netip.Addr }

// Refuse reports that something a partner sent was not accepted; a log line.
type Refuse struct {
	From   contract.Member
	Reason string
	// Late: it speaks to an owner of before, as what was under way at a takeover does. Else the partner errs.
	Late bool
}

// CreateEntry makes the entry of a DVIPA in the coupling facility where there is none (T20). As
// with MarkPorts, ReleasePorts and ReclaimPorts, the stack must not stand still while the lock of
// an entry is waited for: a bind that has it may be waiting for the stack (BindInRange).
type CreateEntry struct{ DVIPA netip.Addr }

// MarkPorts notes in the coupling facility what uses ports of the DVIPA already (T21, T22): the
// sockets, connections and remnants of this stack (Marking.Own), and, where it is the routing stack (Marking.Served),
// the connections of the other stacks as the CRT has them, on behalf of those stacks (Marking.Other). It is
// answered by PortsMarked, once the coupling facility has answered.
type MarkPorts struct{ Marking }

// ReleasePorts gives those of the ports back that no socket and no remnant uses any more, which is
// asked of the kernel while the entry is locked (I18). It is answered by PortsReleased; ports that
// are still in use are given another time.
type ReleasePorts struct {
	DVIPA netip.Addr
	Ports []Release
}

// ReclaimPorts gives back what a stack had in the coupling facility that is gone (T32). Every
// stack asks for it; it is done once.
type ReclaimPorts struct{ Member contract.Member }

// FollowOwner says who keeps the table of the ports of a DVIPA (T35), as a list of another stack has
// it: its owner, at this epoch, or with the zero Member nobody. The owner is told what this stack
// holds before it is sent anything that comes later (Figure 11, block 130 for ports).
type FollowOwner struct {
	DVIPA netip.Addr
	Owner contract.Member
	Epoch uint64
}

// LetConnect lets a connect() go on: its connection is in the CRT of the owner, if that is this
// stack by an action before.
type LetConnect struct{ ID uint64 }

// RefuseConnect fails a connect(): the replies would not find this stack.
type RefuseConnect struct {
	ID     uint64
	Reason string // in words for a person
}

func (Send) action()           {}
func (Activate) action()       {}
func (Deactivate) action()     {}
func (Advertise) action()      {}
func (Withdraw) action()       {}
func (Settle) action()         {}
func (SetTargets) action()     {}
func (SetUnique) action()      {}
func (AddConnections) action() {}
func (EndConnections) action() {}
func (DropTarget) action()     {}
func (SetWayOut) action()      {}
func (Refuse) action()         {}
func (CreateEntry) action()    {}
func (MarkPorts) action()      {}
func (ReleasePorts) action()   {}
func (EndOwnership) action()   {}
func (ReclaimPorts) action()   {}
func (FollowOwner) action()    {}
func (LetConnect) action()     {}
func (RefuseConnect) action()  {}
func (TakeOwnership) action()  {}
func (LeaveOwnership) action() {}
func (LetBind) action()        {}
func (RefuseBind) action()     {}
func (Varied) action()         {}
