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

func (ProfileChanged) event()   {}
func (MemberJoined) event()     {}
func (MemberLost) event()       {}
func (MessageReceived) event()  {}
func (ListenStarted) event()    {}
func (ListenEnded) event()      {}
func (ConnectionsHeld) event()  {}
func (ConnectionsEnded) event() {}
