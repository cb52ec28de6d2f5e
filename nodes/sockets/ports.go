package sockets

import (
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"
)

// PortsInUse returns every pair of a relevant local address and a port that some TCP socket of
// the namespace has: one that listens, connects or is connected, one that is bound and nothing
// more, a half-open request, a remnant (TIME_WAIT, FIN_WAIT2). A socket that is bound to a port
// of every address is found if relevant takes the unspecified address. It may be called from
// within Deliver.
//
// The kernel is asked once for sockets that are bound and nothing more, because that walks a table of
// the whole machine, and before and after that for all others: it may miss a socket that changes its
// state while it is asked. Before Linux 6.8 it does not tell of sockets that are bound and nothing more: then those
// named to Bound, and not yet told to have been closed, stand for them.
func (m *Monitor) PortsInUse(relevant func(netip.Addr) bool) (map[netip.AddrPort]struct{}, error) {
	used := map[netip.AddrPort]struct{}{}
	note := func(local netip.AddrPort) {
		if relevant(local.Addr()) {
			used[local] = struct{}{}
		}
	}
	for _, in := range []states{inUse, boundOnly, inUse} {
		if err := m.ask.dump(in, func(s diagSocket) { note(s.local) }); err != nil {
			return nil, err
		}
	}
	if !m.seesBound {
		m.bound.addresses(note)
	}
	return used, nil
}

// probeBound reports whether the kernel tells of sockets that are bound and nothing more (Linux
// 6.8). It binds one for a moment, to a port that the kernel chooses.
func (d *diagConn) probeBound() (sees bool, err error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return false, fmt.Errorf("open socket: %w", err)
	}
	defer unix.Close(fd)
	if err := unix.Bind(fd, &unix.SockaddrInet4{}); err != nil {
		return false, fmt.Errorf("bind a socket to find out what sock_diag tells: %w", err)
	}
	cookie, err := unix.GetsockoptUint64(fd, unix.SOL_SOCKET, unix.SO_COOKIE)
	if err != nil {
		return false, fmt.Errorf("read socket cookie: %w", err)
	}
	err = d.dump(boundOnly, func(s diagSocket) { sees = sees || s.cookie == cookie })
	return sees, err
}
