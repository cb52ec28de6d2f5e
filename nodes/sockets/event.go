package sockets

import "net/netip"

// An Event is something that a Monitor saw.
type Event interface{ event() }

// ListenStarted: a socket listens. Its cookie is in no other ListenStarted without a
// ListenEnded between.
type ListenStarted struct{ Socket Socket }

// ListenEnded: the socket of an earlier ListenStarted does not listen any more.
type ListenEnded struct{ Cookie uint64 }

// ConnectionsHeld: connections to relevant addresses that lived through a sweep and have
// not been reported yet; at most 1,000.
type ConnectionsHeld struct{ Connections []Connection }

// ConnectionsEnded: the kernel holds no state any more for these connections of relevant
// addresses, remnants and half-open requests included; at most 1,000. Short-lived ones
// come without a ConnectionsHeld before, and so do those of Monitor.Connecting, also where they
// were never established. An address and port pair that is in use again by
// the time its connection ended is reported once, when its last use ended.
type ConnectionsEnded struct{ Connections []Connection }

// SocketClosed: a socket that Monitor.Bound or Monitor.Connecting named does not have its port any more. The last
// reference to it is gone, by whatever descriptors and processes it was held; or it is open, and the
// kernel took the port back that it had for a connection. The port may
// still be in use (Monitor.PortsInUse): by another socket, or by what is left of its connection.
type SocketClosed struct {
	Cookie uint64
	Local  netip.AddrPort // as it was named
	// NeverConnected: no connection of the socket was ever established, so that no peer can remember one. It
	// is false where that is not known: after events were lost, before Linux 4.6, and of a socket that is open in
	// another process than the one that connected.
	NeverConnected bool
}

func (ListenStarted) event()    {}
func (ListenEnded) event()      {}
func (ConnectionsHeld) event()  {}
func (ConnectionsEnded) event() {}
func (SocketClosed) event()     {}

// maxReported is how many connections go in one event.
const maxReported = 1000
