package xcf

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// sockets are what a group holds open: all bound to the XCF interface (SO_BINDTODEVICE).
type sockets struct {
	in       *ear         // HelloPort on every address: HELLOs of others
	out      *net.UDPConn // our XCF address: our HELLOs
	listener *net.TCPListener
}

// openSockets opens them. It needs no privilege; the interface must be up and have the
// address. An error leaves nothing open.
func openSockets(c *Config) (s *sockets, err error) {
	err = c.within(func() error {
		s, err = listenAll(c)
		return err
	})
	return s, err
}

func listenAll(c *Config) (*sockets, error) {
	link, err := net.InterfaceByName(c.Interface)
	if err != nil {
		return nil, fmt.Errorf("interface %s: %w", c.Interface, err)
	}
	s := new(sockets)
	if err := s.listen(c, link); err != nil {
		s.close()
		if s.in != nil {
			s.in.close()
		}
		return nil, err
	}
	return s, nil
}

func (s *sockets) listen(c *Config, link *net.Interface) error {
	own := c.Self.XCF
	udp := "udp4"
	if own.Is6() {
		udp = "udp6"
	}
	ctx := context.Background()
	var err error
	if s.in, err = openEar(own, link); err != nil {
		return fmt.Errorf("hear HELLOs on %s (is another stack running here?): %w", c.Interface, err)
	}
	speak := net.ListenConfig{Control: control(c.Interface, func(fd int) error {
		if own.Is4() {
			return nil
		}
		return unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_LOOP, 0)
	})}
	out, err := speak.ListenPacket(ctx, udp, netip.AddrPortFrom(own, 0).String())
	if err != nil {
		return fmt.Errorf("send HELLOs from %s: %w", own, err)
	}
	s.out = out.(*net.UDPConn)
	// Accepted sockets inherit what Control sets.
	accept := net.ListenConfig{KeepAlive: -1, Control: control(c.Interface, limitUnacknowledged(c.Dead))}
	listener, err := accept.Listen(ctx, "tcp", netip.AddrPortFrom(own, 0).String())
	if err != nil {
		return fmt.Errorf("accept connections at %s: %w", own, err)
	}
	s.listener = listener.(*net.TCPListener)
	return nil
}

// port is where partners connect to.
func (s *sockets) port() uint16 { return s.listener.Addr().(*net.TCPAddr).AddrPort().Port() }

// speak sends a HELLO. Raw, as it does not wait: a HELLO that finds the socket's buffer full is lost. Else each would
// wake the runtime's monitor thread.
func (s *sockets) speak(datagram []byte, to netip.AddrPort) error {
	out, err := s.out.SyscallConn()
	if err != nil {
		return err
	}
	port := [2]byte{byte(to.Port() >> 8), byte(to.Port())}
	six := unix.RawSockaddrInet6{Family: unix.AF_INET6, Addr: to.Addr().As16()}
	*(*[2]byte)(unsafe.Pointer(&six.Port)) = port
	name, size := unsafe.Pointer(&six), uintptr(unix.SizeofSockaddrInet6)
	if to.Addr().Is4() {
		four := unix.RawSockaddrInet4{Family: unix.AF_INET, Addr: to.Addr().As4()}
		*(*[2]byte)(unsafe.Pointer(&four.Port)) = port
		name, size = unsafe.Pointer(&four), unix.SizeofSockaddrInet4
	}
	var errno unix.Errno
	err = out.Control(func(fd uintptr) {
		_, _, errno = unix.RawSyscall6(unix.SYS_SENDTO, fd, uintptr(unsafe.Pointer(unsafe.SliceData(datagram))), uintptr(len(datagram)),
			unix.MSG_DONTWAIT, uintptr(name), size)
	})
	if err == nil && errno != 0 {
		err = os.NewSyscallError("sendto", errno)
	}
	return err
}

// close closes all but the ear, which whoever listens closes.
func (s *sockets) close() {
	if s.out != nil {
		s.out.Close()
	}
	if s.listener != nil {
		s.listener.Close()
	}
}

// dial connects to a partner from our XCF address, giving up after Dead.
func dial(ctx context.Context, c *Config, to netip.AddrPort) (conn *net.TCPConn, err error) {
	dialer := net.Dialer{
		Timeout: c.Dead, KeepAlive: -1, Control: control(c.Interface, limitUnacknowledged(c.Dead)),
		LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(c.Self.XCF, 0)),
	}
	err = c.within(func() error {
		some, err := dialer.DialContext(ctx, "tcp", to.String())
		if err == nil {
			conn = some.(*net.TCPConn)
		}
		return err
	})
	return conn, err
}

// limitUnacknowledged makes the kernel end a connection that gets nowhere (tcp(7),
// TCP_USER_TIMEOUT).
func limitUnacknowledged(dead time.Duration) func(fd int) error {
	return func(fd int) error {
		return unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int((userTimeout * dead).Milliseconds()))
	}
}

// control binds a socket to the interface, and then does more.
func control(link string, more func(fd int) error) func(network, address string, c syscall.RawConn) error {
	return func(_, _ string, c syscall.RawConn) (err error) {
		failed := c.Control(func(fd uintptr) {
			if err = os.NewSyscallError("SO_BINDTODEVICE", unix.BindToDevice(int(fd), link)); err == nil {
				err = os.NewSyscallError("setsockopt", more(int(fd)))
			}
		})
		if failed != nil {
			return failed
		}
		return err
	}
}

// isClosed says whether the kernel is done with a connection: it failed, or both ends are
// closed in order.
func isClosed(conn *net.TCPConn) bool {
	raw, err := conn.SyscallConn()
	if err != nil {
		return true
	}
	var info *unix.TCPInfo
	failed := raw.Control(func(fd uintptr) { info, err = unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO) })
	return failed != nil || err != nil || info.State == unix.BPF_TCP_CLOSE
}

// abort closes a connection with a reset, so that the partner does not take it for the end
// of our process.
func abort(conn *net.TCPConn) {
	_ = conn.SetLinger(0) // fails on a dead connection, and that is well
	conn.Close()
}
