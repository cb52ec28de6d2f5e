package sockets

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
// come without a ConnectionsHeld before. An address and port pair that is in use again by
// the time its connection ended is reported once, when its last use ended.
type ConnectionsEnded struct{ Connections []Connection }

func (ListenStarted) event()    {}
func (ListenEnded) event()      {}
func (ConnectionsHeld) event()  {}
func (ConnectionsEnded) event() {}

// maxReported is how many connections go in one event.
const maxReported = 1000
