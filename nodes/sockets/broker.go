package sockets

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// A Handler decides what applications may do. Its methods are called from many goroutines
// at once, one for each call that an application waits in, and must return when ctx ends:
// the broker ends, or every process of the application has.
type Handler interface {
	// Bind decides a bind(). It calls perform to bind the socket to an address, the asked
	// one or another, and again where that one failed: whatever must be locked around the
	// bind or undone when it fails stays in one place. The application gets the errno within
	// the error returned, or success; an error without an errno is EIO and a log line. A
	// Handler that decides nothing returns the error of perform(request.Address).
	//
	// perform binds once, and returns where: after it succeeded, it fails with EINVAL as bind() does.
	Bind(ctx context.Context, request BindRequest, perform func(netip.AddrPort) (netip.AddrPort, error)) error

	// Connect decides a connect() of a socket that neither is connected nor connects. An error
	// is what connect() returns, as with Bind; after nil the kernel carries it out while the
	// broker is out of it, so what becomes of it is not known here (see Monitor.Connecting).
	// A Handler that decides nothing returns nil.
	//
	// bind gives the socket its source first, port 0 for one that the kernel chooses, and returns
	// where it is bound. It fails with EINVAL for a socket that has a port
	// already, and with the routing's error where no way leads from there to Remote. The port is bound so
	// that the kernel takes it back when the connection ends or
	// fails, or Connect does, though the socket may live on (see Monitor.Connecting); the address stays. Only a
	// port outside of net.ipv4.ip_local_port_range, and every port before Linux 6.3, stays with the socket until
	// it is closed.
	Connect(ctx context.Context, request ConnectRequest, bind func(netip.AddrPort) (netip.AddrPort, error)) error

	// Listening learns that a socket listens, before listen() returns to the application.
	// A listen() on a socket that listens already is not reported again.
	Listening(ctx context.Context, socket Socket)
}

// BindRequest is an application's bind() of a TCP socket, or its listen() of one that has no
// port yet, which is a bind() to any port of the address that it has.
type BindRequest struct {
	// Cookie is the kernel's name of the socket (SO_COOKIE).
	Cookie uint64
	// Address is what the application asks for; port 0 leaves the port to the stack. IPv4
	// addresses are 4 bytes long, also where an IPv6 socket maps them.
	Address netip.AddrPort
	// V6Only: an IPv6 socket that takes no IPv4 connections.
	V6Only bool
	// NeverConnected: no connection of the socket was ever established, as after a connect() that failed; false
	// where that is not known.
	NeverConnected bool
	// Application is the name that the launcher was given.
	Application string
	// PID is the calling process, as the broker's PID namespace numbers it.
	PID int
}

// ConnectRequest is an application's connect() of a TCP socket.
type ConnectRequest struct {
	// Cookie is the kernel's name of the socket (SO_COOKIE).
	Cookie uint64
	// Remote is where the application wants to connect to, IPv4 always in 4 bytes; an
	// unspecified address means this host.
	//
	// The kernel reads the address once more afterwards: an application that changes it
	// meanwhile, from another thread, connects elsewhere, though from the same source.
	Remote netip.AddrPort
	// Local is where the socket is bound: unspecified where the kernel may choose the address,
	// port 0 where it has none. One with an address and without a port was bound with
	// IP_BIND_ADDRESS_NO_PORT, or by a Handler for an earlier connect() that failed.
	Local netip.AddrPort
	// Device is the index of the interface that the socket is bound to (SO_BINDTODEVICE), 0 for
	// none.
	Device uint32
	// NeverConnected is as that of a BindRequest.
	NeverConnected bool
	// Application is the name that the launcher was given.
	Application string
	// PID and TID are the calling process and its thread, as the broker's PID namespace numbers
	// them; FD is the thread's descriptor of the socket.
	PID, TID, FD int
}

// BrokerConfig is what a Broker needs; Path and Handler have no default.
type BrokerConfig struct {
	// Path is where launchers find the broker: a Unix socket that only the broker's user
	// may connect to, made by NewBroker and removed when Serve returns; a leading @ stands
	// for the abstract namespace, which has no permissions.
	Path    string
	Handler Handler
	// Log takes what went wrong between broker and applications; nil discards it.
	Log *slog.Logger
}

// A Broker answers bind(), listen() and connect() of the applications that launchers bring to
// it: the first two by doing them on the application's own socket. The address is read from
// the application's memory once: what was decided is what is done. A connect() may last
// minutes, so once it is decided the kernel does it.
//
// When a broker ends, its applications live on, and the kernel answers their further
// bind(), listen() and connect() with ENOSYS.
type Broker struct {
	handler    Handler
	log        *slog.Logger
	listener   *net.UnixListener
	privileges *privileges
	ephemeral  *ephemeral
	routes     *routes
	// netns is the cookie of the network namespace that the broker was made in; sockets of
	// others are none of its business.
	netns    uint64
	sessions sync.WaitGroup
}

// acceptPause is how long the broker waits for descriptors to become free.
const acceptPause = 100 * time.Millisecond

// NewBroker opens the broker's socket; Serve must follow. Its network namespace is the one
// of the calling thread. It fails with errors.ErrUnsupported, naming what is missing, on a
// kernel that cannot do it (Linux 5.19 at least), and where /proc is that of another PID
// namespace.
func NewBroker(c BrokerConfig) (*Broker, error) {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if err := probeSeccomp(); err != nil {
		return nil, fmt.Errorf("new broker: %w", err)
	}
	if self, err := os.Readlink("/proc/self"); err != nil || self != fmt.Sprint(os.Getpid()) {
		return nil, fmt.Errorf("new broker: /proc is not that of this PID namespace: %w", errors.ErrUnsupported)
	}
	netns, err := currentNetNS()
	if err != nil {
		return nil, fmt.Errorf("new broker: %w", err)
	}
	privileges, err := openPrivileges()
	if err != nil {
		return nil, fmt.Errorf("new broker: %w", err)
	}
	ephemeral, err := openEphemeral()
	if err != nil {
		privileges.close()
		return nil, fmt.Errorf("new broker: %w", err)
	}
	routes, err := openRoutes()
	if err != nil {
		privileges.close()
		ephemeral.close()
		return nil, fmt.Errorf("new broker: %w", err)
	}
	listener, err := listenUnix(c.Path)
	if err != nil {
		privileges.close()
		ephemeral.close()
		routes.close()
		return nil, fmt.Errorf("new broker: %w", err)
	}
	return &Broker{
		handler: c.Handler, log: c.Log, listener: listener,
		privileges: privileges, ephemeral: ephemeral, routes: routes, netns: netns,
	}, nil
}

// listenUnix opens the socket; one that a dead broker left behind is replaced.
func listenUnix(path string) (*net.UnixListener, error) {
	if err := checkPath(path); err != nil {
		return nil, err
	}
	address := &net.UnixAddr{Name: path, Net: "unixpacket"}
	if !strings.HasPrefix(path, "@") {
		if conn, err := net.DialUnix("unixpacket", nil, address); err == nil {
			conn.Close()
			return nil, fmt.Errorf("listen on %s: another broker is there: %w", path, unix.EADDRINUSE)
		} else if errors.Is(err, unix.ECONNREFUSED) {
			if err := os.Remove(path); err != nil {
				return nil, fmt.Errorf("remove stale socket: %w", err)
			}
		}
	}
	listener, err := net.ListenUnix("unixpacket", address)
	if err != nil {
		return nil, fmt.Errorf("listen for launchers: %w", err)
	}
	if !strings.HasPrefix(path, "@") {
		if err := os.Chmod(path, 0o600); err != nil {
			listener.Close()
			return nil, fmt.Errorf("protect socket of the broker: %w", err)
		}
	}
	return listener, nil
}

// Serve answers until ctx ends, and then returns nil once every call under way is answered
// and every descriptor closed.
func (b *Broker) Serve(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(ctx, func() { b.listener.Close() })
	defer func() {
		cancel()
		stop()
		b.listener.Close()
		b.sessions.Wait()
		b.privileges.close()
		b.ephemeral.close()
		b.routes.close()
	}()
	for {
		conn, err := b.listener.AcceptUnix()
		switch {
		case err == nil:
			b.sessions.Go(func() { b.welcome(ctx, conn) })
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, unix.EMFILE) || errors.Is(err, unix.ENFILE):
			b.log.Error("launchers have to wait", "error", err)
			select {
			case <-ctx.Done():
			case <-time.After(acceptPause):
			}
		default:
			return fmt.Errorf("accept launcher: %w", err)
		}
	}
}

// welcome takes in a launcher, and then serves what it launched until that ends.
func (b *Broker) welcome(ctx context.Context, conn *net.UnixConn) {
	s, err := b.receiveHello(conn)
	if err != nil {
		b.log.Warn("launcher refused", "error", err)
		io.WriteString(conn, err.Error()) // the launcher prints it; if it is gone, nobody misses it
		conn.Close()
		return
	}
	io.WriteString(conn, answerOK)
	conn.Close()
	s.serve(ctx)
}

func (b *Broker) receiveHello(conn *net.UnixConn) (_ *session, err error) {
	if err := conn.SetDeadline(time.Now().Add(helloDeadline)); err != nil {
		return nil, err
	}
	message, oob := make([]byte, maxMessage), make([]byte, unix.CmsgSpace(4*4))
	n, oobn, _, _, err := conn.ReadMsgUnix(message, oob)
	if err != nil {
		return nil, fmt.Errorf("read hello: %w", err)
	}
	fds, err := receivedDescriptors(oob[:oobn])
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			closeAll(fds)
		}
	}()
	application, err := parseHello(message[:n])
	if err != nil {
		return nil, err
	}
	if len(fds) != 1 || !isNotify(fds[0]) {
		return nil, errors.New("hello without a descriptor of seccomp notifications")
	}
	if err := checkReach(conn); err != nil {
		return nil, err
	}
	notify := fds[0]
	fds = nil
	return newSession(b, application, notify)
}

func receivedDescriptors(oob []byte) ([]int, error) {
	messages, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return nil, fmt.Errorf("parse control message: %w", err)
	}
	var fds []int
	for _, m := range messages {
		if rights, err := unix.ParseUnixRights(&m); err == nil {
			fds = append(fds, rights...)
		}
	}
	return fds, nil
}

// checkReach finds out now, with one clear error, what would make every call fail later.
func checkReach(conn *net.UnixConn) error {
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	var peer *unix.Ucred
	if controlErr := raw.Control(func(fd uintptr) {
		peer, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	}); controlErr != nil {
		return controlErr
	}
	if err != nil {
		return fmt.Errorf("ask who the launcher is: %w", err)
	}
	if peer.Pid == 0 {
		return errors.New("the application's PID namespace is not one that the broker sees")
	}
	pidfd, err := unix.PidfdOpen(int(peer.Pid), 0)
	if err != nil {
		return fmt.Errorf("open process %d: %w", peer.Pid, err)
	}
	defer unix.Close(pidfd)
	fd, err := unix.PidfdGetfd(pidfd, 0, 0)
	switch err {
	case nil:
		unix.Close(fd)
	case unix.EBADF: // the launcher came without standard input
	default:
		return fmt.Errorf("fetch descriptors of process %d (same user or CAP_SYS_PTRACE needed): %w", peer.Pid, err)
	}
	return nil
}

func closeAll(fds []int) {
	for _, fd := range fds {
		unix.Close(fd)
	}
}
