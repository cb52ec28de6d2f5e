package main

import (
	"net/netip"
	"sync"
)

// claims are the ports of DVIPAs that applications have come to use since the clerk began to look which
// of them nobody does. The zero value notes none.
type claims struct {
	mu    sync.Mutex
	since map[netip.AddrPort]struct{} // nil while nobody looks
}

// watch begins anew.
func (c *claims) watch() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.since = map[netip.AddrPort]struct{}{}
}

// ignore ends it.
func (c *claims) ignore() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.since = nil
}

// note is called after the kernel has bound a socket to a port and before the lock of the DVIPA's
// entry is given back. So who looks sees the socket, or, with the lock, the note.
func (c *claims) note(local netip.AddrPort) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.since != nil {
		c.since[local] = struct{}{}
	}
}

// has says whether a port was noted.
func (c *claims) has(local netip.AddrPort) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, noted := c.since[local]
	return noted
}
