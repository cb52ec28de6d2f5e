package sockets

import (
	"net/netip"
	"slices"
	"sync"
)

// bound are the sockets whose end is to be told. Its methods may be called concurrently.
type bound struct {
	mu       sync.Mutex
	byCookie map[uint64]netip.AddrPort
}

func newBound() *bound { return &bound{byCookie: map[uint64]netip.AddrPort{}} }

func (b *bound) add(cookie uint64, local netip.AddrPort) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.byCookie[cookie] = local
}

func (b *bound) has(cookie uint64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	_, known := b.byCookie[cookie]
	return known
}

// end forgets a socket, and reports whether it was there.
func (b *bound) end(cookie uint64) (local netip.AddrPort, known bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	local, known = b.byCookie[cookie]
	delete(b.byCookie, cookie)
	return local, known
}

// cookies are those of all sockets, in order.
func (b *bound) cookies() []uint64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	all := make([]uint64, 0, len(b.byCookie))
	for cookie := range b.byCookie {
		all = append(all, cookie)
	}
	slices.Sort(all)
	return all
}

// addresses calls visit for where each socket is bound.
func (b *bound) addresses(visit func(netip.AddrPort)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, local := range b.byCookie {
		visit(local)
	}
}
