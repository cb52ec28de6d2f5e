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

// MemberLost: a partner's connection ended or its HELLOs stopped.
type MemberLost struct{ Member contract.Member }

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
}

// SocketClosed: a socket bound to a DVIPA is closed (Figure 6), by whatever means, in every
// process that had it. ListenEnded comes before it.
type SocketClosed struct {
	ID    uint64
	Local netip.AddrPort
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

// BindInRange: a socket is being bound to a DVIPA of an own VIPARange (Figure 15, block 226).
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
