package sockets

import (
	"context"
	"encoding/binary"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"
)

// connect lets the handler decide, and then the kernel do it: errConventional stands for
// success here.
func (s *session) connect(ctx context.Context, c *caller, fd, domain int) error {
	raw, err := s.argument(c)
	if err != nil {
		return err
	}
	remote, ok := parseDestination(domain, raw)
	if !ok || remote.Addr().Is4() && v6Only(fd, domain) {
		return errConventional
	}
	past, err := historyOf(fd)
	if err != nil || !past.idle {
		return orConventional(err)
	}
	local, err := boundAddress(fd, domain)
	if err != nil {
		return err
	}
	cookie, err := unix.GetsockoptUint64(fd, unix.SOL_SOCKET, unix.SO_COOKIE)
	if err != nil {
		return err
	}
	device, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_BINDTOIFINDEX)
	if err != nil {
		return err
	}
	request := ConnectRequest{
		Cookie: cookie, Remote: remote, Local: local, Device: uint32(device),
		NeverConnected: past.neverConnected,
		Application:    s.application, PID: c.pid, TID: c.tid, FD: int(int32(c.Data.Args[0])),
	}
	chosen := false
	err = s.handler.Connect(ctx, request, func(source netip.AddrPort) (local netip.AddrPort, err error) {
		if err := s.privileges.check(c.tid, source.Port()); err != nil {
			return netip.AddrPort{}, err
		}
		if err := s.routes.check(fd, source.Addr(), remote.Addr()); err != nil {
			return netip.AddrPort{}, err
		}
		if chosen, err = s.ephemeral.bind(fd, domain, source); err != nil {
			return netip.AddrPort{}, err
		}
		return localAddress(fd)
	})
	if err != nil && chosen {
		unbind(fd)
	}
	return orConventional(err)
}

func orConventional(err error) error {
	if err == nil {
		return errConventional
	}
	return err
}

// parseDestination reports false for what makes no connection: an address that ends one
// (AF_UNSPEC), and what the kernel refuses.
func parseDestination(domain int, b []byte) (netip.AddrPort, bool) {
	if len(b) < 2 || binary.NativeEndian.Uint16(b) == unix.AF_UNSPEC {
		return netip.AddrPort{}, false
	}
	return parseSockaddr(domain, b)
}

// history is what became of a socket so far.
type history struct {
	// idle: connect() would open a connection. It is false for a socket that
	// connects, is connected or listens, and for one whose connection has failed without connect()
	// having told so yet, which the next connect() then does; until then what was sent is counted
	// (tcp_disconnect).
	idle bool
	// neverConnected: no connection of it was ever established; false where that is not known.
	neverConnected bool
}

func historyOf(fd int) (history, error) {
	info, err := unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO)
	if err != nil {
		return history{}, fmt.Errorf("read state of socket: %w", err)
	}
	return history{
		idle:           tcpState(info.State) == tcpClose && info.Segs_out == 0,
		neverConnected: info.Bytes_acked == 0 && info.Min_rtt == unmeasured,
	}, nil
}
