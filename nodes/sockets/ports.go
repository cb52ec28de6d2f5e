package sockets

import (
	"fmt"
	"net/netip"
	"slices"

	"golang.org/x/sys/unix"
)

// PortsInUse returns every pair of a relevant local address and a port that some TCP socket of
// the namespace has: one that listens, connects or is connected, one that is bound and nothing
// more, a half-open request, a remnant (TIME_WAIT, FIN_WAIT2). A socket that is bound to a port
// of every address is found if relevant takes the unspecified address. It may be called from
// within Deliver.
//
// Before Linux 6.8 the kernel does not tell of sockets that are bound and nothing more: then those
// named to Bound, and not yet told to have been closed, stand for them.
func (m *Monitor) PortsInUse(relevant func(netip.Addr) bool) (map[netip.AddrPort]struct{}, error) {
	used := map[netip.AddrPort]struct{}{}
	note := func(local netip.AddrPort) {
		if relevant(local.Addr()) {
			used[local] = struct{}{}
		}
	}
	if err := m.ask.dumpAll(anySocket, func(s diagSocket) { note(s.local) }); err != nil {
		return nil, err
	}
	if !m.seesBound {
		m.bound.addresses(note)
	}
	return used, nil
}

// probeBound reports whether the kernel tells of sockets that are bound and nothing more: Linux 6.8 does, and an
// earlier one may have learned it.
func (d *diagConn) probeBound() (bool, error) {
	if isLinux(6, 8) {
		return true, nil
	}
	return d.findBound()
}

// findBound reports whether a socket is found that is bound for a moment, to a port that the kernel chooses. It takes 1 ms.
func (d *diagConn) findBound() (sees bool, err error) {
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

// isLinux reports whether the kernel says that it is of a version, or of a later one.
func isLinux(major, minor int) bool {
	var name unix.Utsname
	if unix.Uname(&name) != nil {
		return false
	}
	var has [2]int
	_, err := fmt.Sscanf(unix.ByteSliceToString(name.Release[:]), "%d.%d", &has[0], &has[1])
	return err == nil && slices.Compare(has[:], []int{major, minor}) >= 0
}
