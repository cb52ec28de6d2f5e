package vipa

import (
	"net/netip"

	"github.com/plexlab-dev/plexlab/nodes/contract"
)

// An Event is something that happened to the stack; Step takes one at a time.
type Event interface{ event() }

// ProfileChanged: the profile was read, at start or by VARY OBEY (Figure 10).
type ProfileChanged struct{ Definition Definition }

// MemberJoined: a partner proved the plex key on an XCF connection.
type MemberJoined struct{ Member contract.Member }

// MemberLost: a partner's connection ended or its HELLOs stopped. It is told again, also of a
// stack that is no member, when more is known: that one which was Silent is CutOff, Parted, Frozen or Ended.
// A stack that saw nobody and sees a partner again has to be told anew who is CutOff or Parted.
type MemberLost struct {
	Member contract.Member
	Cause  Cause
}

// Cause is why a member was lost.
type Cause uint8

const (
	// Ended: its process ended; it answers for nothing any more. The zero value.
	Ended Cause = iota
	// Left: it said so.
	Left
	// Frozen: it is silent and its beat in the port file stands.
	Frozen
	// Silent: it is not heard on XCF, and its process goes on. Which of the two is cut off is not known
	// yet: until more is told nothing is taken over from it.
	Silent
	// CutOff: as Silent, and it sees no partner while others see one another, so that it gives up by
	// itself what it owns.
	CutOff
	// Parted: as Silent, and it sees other partners.
	Parted
)

// Gathered: this stack has been in the group for long enough that all who live have joined and told
// their lists, or have had the time for it. Before, no DVIPA is taken.
type Gathered struct{}

// Gathering: this stack saw nobody, and is about to be told of a partner (MemberJoined). Others that live have
// yet to come back too, and may hold connections; until Gathered is told anew no DVIPA is taken.
type Gathering struct{}

// Isolated: no partner is heard on XCF although others live. It follows the loss of the last member.
// Told again when OthersSee changes; the next MemberJoined ends it.
type Isolated struct {
	// OthersSee: others see one another, so it is this stack that is cut off.
	OthersSee bool
}

// OutsideChanged: every link to the outside of this stack is down, or one is up again. At the
// start it is as Config.Self says.
type OutsideChanged struct{ Up bool }

// AdjacencyChanged: routers hear what this stack advertises by a routing protocol, or do not. At the start they do.
type AdjacencyChanged struct {
	// Up: they do. Else the stack stands back from what it does not own, as with all its links down.
	Up bool
	// HandOver, where Up is false: it gives up what it owns, to a stack that does not stand back. All that have lost the same router have
	// had the time to.
	HandOver bool
}

// OwnershipTaken answers TakeOwnership. What was asked for together is best answered together: each
// answer is told to every stack.
type OwnershipTaken struct {
	Taken []Ownership
	// Connections are all those that this stack holds to its DVIPAs and to those that are taken,
	// found when they were taken (Figure 11, block 131).
	Connections []contract.Connection
}

// Ownership is one DVIPA and the epoch of an ownership, from 1.
type Ownership struct {
	DVIPA netip.Addr
	Epoch uint64
	// Waited: as TakeOwnership had asked for it, nobody who owned the DVIPA before answers any more.
	Waited bool
}

// OwnershipRefused: another stack took the DVIPA at Epoch. It answers TakeOwnership, and is told
// unasked when an ownership of this stack turns out to be over.
type OwnershipRefused struct {
	DVIPA netip.Addr
	Epoch uint64
	Owner contract.Member // Outside is not looked at
	// Lives: as far as the coupling facility can tell the process of Owner lives, and is neither
	// Frozen nor CutOff.
	Lives bool
}

// SettleExpired: the stated maximum since Settle is over (I20).
type SettleExpired struct{ DVIPA netip.Addr }

// Vary is an operator's command. It is answered by Varied.
type Vary struct {
	// ID is given back in Varied; the caller's own.
	ID      uint64
	Command VaryCommand
	// Port and Application say what VaryQuiesce and VaryResume concern; neither: the whole stack.
	Port        uint16
	Application string
	// DVIPA is what VaryDeactivate and VaryReactivate concern. With a Port it is that DVIPA's alone; without,
	// the port is that of every DVIPA.
	DVIPA netip.Addr
}

// VaryCommand is what an operator asks for.
type VaryCommand uint8

const (
	// VaryQuiesce: no new connections; those that there are go on.
	VaryQuiesce VaryCommand = iota + 1
	// VaryResume ends VaryQuiesce of the same target.
	VaryResume
	// VaryDeactivate: this stack neither owns the DVIPA nor backs it up; another may take it over.
	VaryDeactivate
	// VaryReactivate ends VaryDeactivate; a primary takes the DVIPA back.
	VaryReactivate
	// VaryLeaveGroup: this stack gives up its DVIPAs, backs up none and gets no new connections.
	VaryLeaveGroup
	// VaryJoinGroup ends VaryLeaveGroup.
	VaryJoinGroup
)

// WeightsChanged: a workload manager or policy agent gives targets of a DVIPA other weights than
// the profile's. Ignored where this stack does not own the DVIPA; gone with the ownership.
type WeightsChanged struct {
	DVIPA netip.Addr
	Port  uint16 // 0: every port that has no weights of its own
	// Weights are by XCF address, 1 to contract.MaxWeight; 0 counts as 1. A target that is not
	// named keeps the profile's. They replace those given before; none at all: the profile's.
	Weights map[netip.Addr]uint32
}

// MessageReceived: a partner's message arrived (Figures 7, 11 and 13).
type MessageReceived struct {
	From    contract.Member
	Message contract.Message
	// Connections are all those that this stack holds (remnants included) to its DVIPAs and to
	// those of a VIPAList, found when it arrived; for other messages nil (Figure 11, block 131).
	Connections []contract.Connection
}

// ListenStarted: a socket of this stack listens (Figure 5). ID is not in use by another.
type ListenStarted struct{ Listener Listener }

// ListenEnded: that socket does not listen any more (Figure 14). An unknown ID is ignored.
type ListenEnded struct{ ID uint64 }

// Listener is a listening TCP socket of this stack.
type Listener struct {
	// ID is the kernel's socket cookie.
	ID    uint64
	Local netip.AddrPort
	// V6Only: a socket on in6addr_any that takes no IPv4 connections.
	V6Only bool
	// Application is the name its launcher gave; empty for programs that came without.
	Application string
}

// ConnectionsHeld: established connections that this stack holds and has not reported yet.
type ConnectionsHeld struct{ Connections []contract.Connection }

// ConnectionsEnded: the kernel holds no state for these connections any more (I3).
type ConnectionsEnded struct{ Connections []contract.Connection }

// PortBound: a socket was bound to a DVIPA (Figure 15, block 228), and the coupling facility has
// its port as this stack's where Use says so. Bind.Next gives it; for a socket that was found by
// looking the port is claimed first. It comes before everything else that is told of the socket.
type PortBound struct {
	// ID is the kernel's socket cookie, as that of a Listener.
	ID    uint64
	Local netip.AddrPort
	Use   Use
	// Outbound: connect() without bind took the port; it is told of by NEWCONN.
	Outbound bool
	// Chosen: the port was not asked for by number. False where that is not known.
	Chosen bool
	// NeverConnected is that of the socket so far, as in SocketClosed: where it was bound to another DVIPA or
	// port before, this gives that up.
	NeverConnected bool
}

// SocketClosed: a socket bound to a DVIPA is closed (Figure 6), by whatever means, in every
// process that had it, or is open and has lost the port that it had for a connection. ListenEnded comes before it.
type SocketClosed struct {
	ID uint64
	// Local is where the socket was bound. It means nothing if the socket is bound elsewhere by now.
	Local netip.AddrPort
	// NeverConnected: no connection of the socket was ever established; false where that is not known.
	NeverConnected bool
}

// PortsMarked answers MarkPorts: the coupling facility has these ports of the DVIPA as this stack's
// now. Those that another stack had first are not among them.
type PortsMarked struct {
	DVIPA netip.Addr
	Ports []PortUse
}

// PortsReleased answers ReleasePorts: the coupling facility does not have these ports as this
// stack's any more. Those that the kernel still uses are not among them.
type PortsReleased struct {
	DVIPA netip.Addr
	Ports []uint16
}

// BindInRange: a socket is being bound to a DVIPA of an own VIPARange (Figure 15, block 226). It is
// answered by LetBind or RefuseBind, at once or later; one answer is for all that wait for the DVIPA.
type BindInRange struct{ DVIPA netip.Addr }

// RangeUnused: no socket of this stack, no remnant and no bind that is under way uses the DVIPA,
// and no CRT entry of it points to another stack. To be told again for as long as it holds; the
// stack decides by what else it knows, and ignores what was not activated in a VIPARange here.
type RangeUnused struct{ DVIPA netip.Addr }

// ConnectAsked: a socket bound to a DVIPA is about to connect, and waits for the LetConnect or
// RefuseConnect of ID, which none of the others that wait has. If it gives up, the connection is
// told to have ended (ConnectionsEnded) and nothing follows any more.
type ConnectAsked struct {
	ID         uint64
	Connection contract.Connection
}

func (ProfileChanged) event()   {}
func (MemberJoined) event()     {}
func (MemberLost) event()       {}
func (MessageReceived) event()  {}
func (ListenStarted) event()    {}
func (ListenEnded) event()      {}
func (ConnectionsHeld) event()  {}
func (ConnectionsEnded) event() {}
func (PortBound) event()        {}
func (SocketClosed) event()     {}
func (PortsMarked) event()      {}
func (PortsReleased) event()    {}
func (BindInRange) event()      {}
func (RangeUnused) event()      {}
func (ConnectAsked) event()     {}
func (Gathered) event()         {}
func (Gathering) event()        {}
func (Isolated) event()         {}
func (OutsideChanged) event()   {}
func (AdjacencyChanged) event() {}
func (OwnershipTaken) event()   {}
func (OwnershipRefused) event() {}
func (SettleExpired) event()    {}
func (Vary) event()             {}
func (WeightsChanged) event()   {}
