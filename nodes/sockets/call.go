package sockets

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"unsafe"

	"golang.org/x/sys/unix"
)

// errConventional: the kernel carries the call out as if no filter were there.
var errConventional = errors.New("not the broker's business")

// perform does what the application asked for, on its own socket.
func (s *session) perform(ctx context.Context, n notification) error {
	switch n.Data.Call {
	case unix.SYS_BIND, unix.SYS_LISTEN, unix.SYS_CONNECT:
	default:
		return errConventional
	}
	c, fd, err := s.callers.open(n, int(int32(n.Data.Args[0])))
	if errors.Is(err, unix.EPERM) {
		// A process that made itself untouchable (prctl PR_SET_DUMPABLE); its listening
		// sockets are found by looking.
		s.log.Warn("socket out of reach, left to the kernel", "application", s.application, "thread", n.TID, "error", err)
		return errConventional
	}
	if err != nil {
		return err
	}
	defer s.callers.done(c.thread)
	defer unix.Close(fd)
	domain, ours := s.isTCP(fd)
	if !ours {
		return errConventional
	}
	switch n.Data.Call {
	case unix.SYS_LISTEN:
		return s.listen(ctx, c, fd, domain)
	case unix.SYS_CONNECT:
		return s.connect(ctx, c, fd, domain)
	}
	return s.bind(ctx, c, fd, domain)
}

// isTCP reports whether fd is a TCP socket of the broker's network namespace, and its domain.
func (b *Broker) isTCP(fd int) (domain int, ours bool) {
	protocol, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PROTOCOL)
	if err != nil || protocol != unix.IPPROTO_TCP {
		return 0, false
	}
	domain, err = unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DOMAIN)
	if err != nil || domain != unix.AF_INET && domain != unix.AF_INET6 {
		return 0, false
	}
	netns, err := unix.GetsockoptUint64(fd, unix.SOL_SOCKET, unix.SO_NETNS_COOKIE)
	return domain, err == nil && netns == b.netns
}

func (s *session) bind(ctx context.Context, c *caller, fd, domain int) error {
	raw, err := s.argument(c)
	if err != nil {
		return err
	}
	asked, ok := parseSockaddr(domain, raw)
	if !ok {
		return bindRaw(fd, raw)
	}
	return s.decideBind(ctx, c, fd, domain, asked, func() error {
		return bindRaw(fd, raw) // with scope and flow label as the application wrote them
	})
}

// argument is the address that bind() or connect() passes, read once.
func (s *session) argument(c *caller) ([]byte, error) {
	length := int(int32(c.Data.Args[2]))
	if length < 0 || length > sizeofSockaddrMax {
		return nil, unix.EINVAL
	}
	raw := make([]byte, length)
	if err := c.read(uintptr(c.Data.Args[1]), raw); err != nil {
		return nil, err
	}
	return raw, s.waiting(c)
}

// decideBind lets the handler decide; unchanged binds to what was asked for.
func (s *session) decideBind(ctx context.Context, c *caller, fd, domain int, asked netip.AddrPort, unchanged func() error) error {
	cookie, err := unix.GetsockoptUint64(fd, unix.SOL_SOCKET, unix.SO_COOKIE)
	if err != nil {
		return err
	}
	past, err := historyOf(fd)
	if err != nil {
		return err
	}
	request := BindRequest{
		Cookie:         cookie,
		Address:        asked,
		V6Only:         v6Only(fd, domain),
		NeverConnected: past.neverConnected,
		Application:    s.application,
		PID:            c.pid,
	}
	return s.handler.Bind(ctx, request, func(to netip.AddrPort) (netip.AddrPort, error) {
		if err := s.privileges.check(c.tid, to.Port()); err != nil {
			return netip.AddrPort{}, err
		}
		if to == asked {
			err = unchanged()
		} else {
			err = bindTo(fd, domain, to)
		}
		if err != nil || to.Port() != 0 {
			return to, err
		}
		return localAddress(fd) // with the port that the kernel chose
	})
}

func (s *session) listen(ctx context.Context, c *caller, fd, domain int) error {
	if err := s.waiting(c); err != nil {
		return err
	}
	past, err := historyOf(fd)
	if err != nil {
		return err
	}
	local, err := localAddress(fd)
	if past.idle && err == nil {
		local, err = boundAddress(fd, domain)
	}
	if err != nil {
		return err
	}
	if local.Port() == 0 { // listen() would bind it
		err := s.decideBind(ctx, c, fd, domain, local, func() error { return bindTo(fd, domain, local) })
		if err != nil {
			return err
		}
	}
	already, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ACCEPTCONN)
	if err != nil {
		return err
	}
	if err := unix.Listen(fd, int(int32(c.Data.Args[1]))); err != nil || already != 0 {
		return err
	}
	socket, err := describe(fd)
	if err != nil {
		return err
	}
	socket.Application, socket.PID = s.application, c.pid
	s.handler.Listening(ctx, socket)
	return nil
}

// waiting makes sure that what was fetched and read belongs to the thread that waits, and
// not to another that got its number.
func (s *session) waiting(c *caller) error {
	var valid error
	if err := s.raw.Control(func(fd uintptr) { valid = notificationValid(fd, c.ID) }); err != nil {
		return err
	}
	return valid
}

// describe asks the kernel about a listening socket.
func describe(fd int) (Socket, error) {
	cookie, err := unix.GetsockoptUint64(fd, unix.SOL_SOCKET, unix.SO_COOKIE)
	if err != nil {
		return Socket{}, fmt.Errorf("read socket cookie: %w", err)
	}
	local, err := localAddress(fd)
	if err != nil {
		return Socket{}, err
	}
	domain, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DOMAIN)
	if err != nil {
		return Socket{}, fmt.Errorf("read domain of socket: %w", err)
	}
	device, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_BINDTOIFINDEX)
	if err != nil {
		return Socket{}, fmt.Errorf("read interface of socket: %w", err)
	}
	return Socket{Cookie: cookie, Local: local, V6Only: v6Only(fd, domain), Device: uint32(device)}, nil
}

// localAddress is where a socket is bound; the unspecified address and port 0 where it is not.
func localAddress(fd int) (netip.AddrPort, error) {
	name, err := unix.Getsockname(fd)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("read socket address: %w", err)
	}
	switch a := name.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(a.Addr), uint16(a.Port)), nil
	case *unix.SockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(a.Addr).Unmap(), uint16(a.Port)), nil
	}
	return netip.AddrPort{}, fmt.Errorf("read socket address: %w", unix.EAFNOSUPPORT)
}

func v6Only(fd, domain int) bool {
	if domain != unix.AF_INET6 {
		return false
	}
	only, err := unix.GetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY)
	return err == nil && only != 0
}

// bindTo binds a socket of the given domain.
func bindTo(fd, domain int, to netip.AddrPort) error {
	address, ok := sockaddr(domain, to)
	if !ok {
		return fmt.Errorf("bind a socket of domain %d to %v: %w", domain, to, unix.EAFNOSUPPORT)
	}
	return bindRaw(fd, address)
}

func bindRaw(fd int, address []byte) error {
	var at unsafe.Pointer
	if len(address) > 0 {
		at = unsafe.Pointer(&address[0])
	}
	_, _, errno := unix.RawSyscall(unix.SYS_BIND, uintptr(fd), uintptr(at), uintptr(len(address)))
	return errnoError(errno)
}
