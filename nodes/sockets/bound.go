package sockets

import (
	"maps"
	"net/netip"
	"slices"
	"sync"
)

// bound are the sockets whose end is to be told. Its methods may be called concurrently.
type bound struct {
	mu       sync.Mutex
	byCookie map[uint64]boundSocket
}

type boundSocket struct {
	local netip.AddrPort
	// lent is not nil where the socket got its port for a connection: the kernel may take it back though the socket
	// lives on.
	lent *borrower
}

func newBound() *bound { return &bound{byCookie: map[uint64]boundSocket{}} }

func (b *bound) add(cookie uint64, local netip.AddrPort) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.byCookie[cookie] = boundSocket{local: local}
}

// lend is add for a socket that got its port for the connection which the borrower opens now or, where it is not
// anew, opened before.
func (b *bound) lend(cookie uint64, local netip.AddrPort, to *borrower, anew bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if before := b.byCookie[cookie]; !anew && (before.lent == nil || before.local != local) {
		to = nil
	}
	b.byCookie[cookie] = boundSocket{local, to}
}

// borrower is who has a port for its connections, nil if no one has.
func (b *bound) borrower(cookie uint64, local netip.AddrPort) *borrower {
	b.mu.Lock()
	defer b.mu.Unlock()
	if s := b.byCookie[cookie]; s.local == local {
		return s.lent
	}
	return nil
}

// is says whether a socket is still the one that it was.
func (b *bound) is(cookie uint64, s boundSocket) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	now, known := b.byCookie[cookie]
	return known && now == s
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
	s, known := b.byCookie[cookie]
	delete(b.byCookie, cookie)
	return s.local, known
}

// giveBack is end for a port that was lent, unless the socket has come to have another since.
func (b *bound) giveBack(cookie uint64, by *borrower) (local netip.AddrPort, known bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.byCookie[cookie]
	if s.lent != by {
		return netip.AddrPort{}, false
	}
	delete(b.byCookie, cookie)
	return s.local, true
}

// all are the sockets there are.
func (b *bound) all() map[uint64]boundSocket {
	b.mu.Lock()
	defer b.mu.Unlock()
	return maps.Clone(b.byCookie)
}

// cookies are those of all sockets, in order.
func (b *bound) cookies() []uint64 { return slices.Sorted(maps.Keys(b.all())) }

// addresses calls visit for where each socket is bound.
func (b *bound) addresses(visit func(netip.AddrPort)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, s := range b.byCookie {
		visit(s.local)
	}
}
