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
	if n.Data.Call != unix.SYS_BIND && n.Data.Call != unix.SYS_LISTEN {
		return errConventional
	}
	c, err := openCaller(n)
	if err != nil {
		return err
	}
	defer c.close()
	fd, err := c.fetch(int(int32(n.Data.Args[0])))
	if errors.Is(err, unix.EPERM) {
		// A process that made itself untouchable (prctl PR_SET_DUMPABLE); its listening
		// sockets are found by looking.
		s.log.Warn("socket out of reach, left to the kernel", "application", s.application, "thread", n.TID, "error", err)
		return errConventional
	}
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	domain, ours := s.isTCP(fd)
	if !ours {
		return errConventional
	}
	if n.Data.Call == unix.SYS_LISTEN {
		return s.listen(ctx, c, fd, int(int32(n.Data.Args[1])))
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
	length := int(int32(c.Data.Args[2]))
	if length < 0 || length > sizeofSockaddrMax {
		return unix.EINVAL
	}
	raw := make([]byte, length)
	if err := c.read(uintptr(c.Data.Args[1]), raw); err != nil {
		return err
	}
	if err := s.waiting(c); err != nil {
		return err
	}
	asked, ok := parseSockaddr(domain, raw)
	if !ok {
		return bindRaw(fd, raw)
	}
	cookie, err := unix.GetsockoptUint64(fd, unix.SOL_SOCKET, unix.SO_COOKIE)
	if err != nil {
		return err
	}
	who, err := c.status()
	if err != nil {
		return err
	}
	request := BindRequest{
		Cookie:      cookie,
		Address:     asked,
		V6Only:      v6Only(fd, domain),
		Application: s.application,
		PID:         who.pid,
	}
	return s.handler.Bind(ctx, request, func(to netip.AddrPort) error {
		if err := s.privileges.check(who, to.Port()); err != nil {
			return err
		}
		if to == asked {
			return bindRaw(fd, raw) // with scope and flow label as the application wrote them
		}
		address, ok := sockaddr(domain, to)
		if !ok {
			return fmt.Errorf("bind a socket of domain %d to %v: %w", domain, to, unix.EAFNOSUPPORT)
		}
		return bindRaw(fd, address)
	})
}

func (s *session) listen(ctx context.Context, c *caller, fd, backlog int) error {
	if err := s.waiting(c); err != nil {
		return err
	}
	already, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ACCEPTCONN)
	if err != nil {
		return err
	}
	if err := unix.Listen(fd, backlog); err != nil || already != 0 {
		return err
	}
	socket, err := describe(fd)
	if err != nil {
		return err
	}
	who, err := c.status()
	if err != nil {
		return err
	}
	socket.Application, socket.PID = s.application, who.pid
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
	name, err := unix.Getsockname(fd)
	if err != nil {
		return Socket{}, fmt.Errorf("read socket address: %w", err)
	}
	device, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_BINDTOIFINDEX)
	if err != nil {
		return Socket{}, fmt.Errorf("read interface of socket: %w", err)
	}
	socket := Socket{Cookie: cookie, Device: uint32(device)}
	switch a := name.(type) {
	case *unix.SockaddrInet4:
		socket.Local = netip.AddrPortFrom(netip.AddrFrom4(a.Addr), uint16(a.Port))
	case *unix.SockaddrInet6:
		address := netip.AddrFrom16(a.Addr)
		socket.Local = netip.AddrPortFrom(address.Unmap(), uint16(a.Port))
		socket.V6Only = v6Only(fd, unix.AF_INET6)
	}
	return socket, nil
}

func v6Only(fd, domain int) bool {
	if domain != unix.AF_INET6 {
		return false
	}
	only, err := unix.GetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY)
	return err == nil && only != 0
}

func bindRaw(fd int, address []byte) error {
	var at unsafe.Pointer
	if len(address) > 0 {
		at = unsafe.Pointer(&address[0])
	}
	_, _, errno := unix.RawSyscall(unix.SYS_BIND, uintptr(fd), uintptr(at), uintptr(len(address)))
	return errnoError(errno)
}
