package xcf

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/plexlab-dev/plexlab/nodes/contract"
)

// fake is a partner by hand: it does nothing by itself.
type fake struct {
	t        *testing.T
	config   Config
	sockets  *sockets
	sequence uint64
}

// newFake opens the sockets of the i-th stack of a segment.
func newFake(t *testing.T, s *segment, i int) *fake {
	t.Helper()
	f := &fake{t: t, config: s.config(i)}
	f.config.Pulse = newPulse(t)
	must(t, f.config.complete())
	sockets, err := openSockets(&f.config)
	must(t, err)
	f.sockets = sockets
	must(t, sockets.listener.SetDeadline(time.Now().Add(limit)))
	t.Cleanup(func() {
		sockets.close()
		sockets.in.close()
	})
	return f
}

// hello sends a HELLO.
func (f *fake) hello(change func(*contract.Hello)) {
	f.t.Helper()
	f.sequence++
	self := f.config.Self
	h := contract.Hello{
		Plex: f.config.Plex, Stack: self.Stack, XCF: self.XCF, Incarnation: self.Incarnation,
		TCPPort: f.sockets.port(), Sequence: f.sequence,
	}
	if change != nil {
		change(&h)
	}
	datagram, err := contract.SealHello(f.config.Key, h)
	must(f.t, err)
	f.datagram(datagram)
}

func (f *fake) datagram(b []byte) {
	f.t.Helper()
	_, err := f.sockets.out.WriteToUDPAddrPort(b, contract.HelloDestination(f.config.Self.XCF))
	must(f.t, err)
}

// speak sends HELLOs until the returned function is called.
func (f *fake) speak() (stop func()) {
	ctx, cancel := context.WithCancel(f.t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		ticker := time.NewTicker(testHello)
		defer ticker.Stop()
		for {
			f.hello(nil)
			select {
			case <-ticker.C:
			case <-ctx.Done():
				return
			}
		}
	}()
	stop = func() {
		cancel()
		<-done
	}
	f.t.Cleanup(stop)
	return stop
}

// dial opens a connection to a stack and does no more.
func (f *fake) dial(to *stack) *net.TCPConn {
	f.t.Helper()
	conn, err := dial(f.t.Context(), &f.config, netip.AddrPortFrom(to.self().XCF, to.sockets.port()))
	must(f.t, err)
	must(f.t, conn.SetDeadline(time.Now().Add(limit)))
	f.t.Cleanup(func() { conn.Close() }) // and until then the collector must not close it
	return conn
}

func (f *fake) identity() contract.Identity {
	return contract.Identity{Plex: f.config.Plex, Member: f.config.Self}
}

// connect dials and introduces itself.
func (f *fake) connect(to *stack) (*contract.Session, *net.TCPConn) {
	f.t.Helper()
	session, conn, err := f.try(to)
	must(f.t, err)
	return session, conn
}

// try is connect for those who may be refused.
func (f *fake) try(to *stack) (*contract.Session, *net.TCPConn, error) {
	f.t.Helper()
	conn := f.dial(to)
	session, err := contract.Handshake{Key: f.config.Key, Local: f.identity()}.Do(conn)
	return session, conn, err
}

// isReset waits for the end of a connection and says whether it was a reset.
func isReset(conn net.Conn) bool {
	buffer := make([]byte, 64<<10)
	for {
		if _, err := conn.Read(buffer); err != nil {
			return errors.Is(err, unix.ECONNRESET)
		}
	}
}
