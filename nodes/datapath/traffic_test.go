package datapath

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// patience bounds every wait for a packet or a state.
const patience = 5 * time.Second

// serve makes host n of the lab accept connections to the DVIPA and tell n to each.
func (l *lab) serve(n int, port uint16) (stop func()) {
	l.t.Helper()
	var listener net.Listener
	l.target(n).do(func() (err error) {
		listener, err = net.Listen("tcp", netip.AddrPortFrom(l.dvipa, port).String())
		return err
	})
	ended, end := context.WithCancel(context.Background())
	var connections sync.WaitGroup
	connections.Go(func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			context.AfterFunc(ended, func() { c.Close() })
			connections.Go(func() {
				defer c.Close()
				fmt.Fprintf(c, "%d", n)
				io.Copy(c, c) // until the client is done
			})
		}
	})
	stop = sync.OnceFunc(func() { listener.Close() })
	l.t.Cleanup(func() {
		stop()
		end()
		connections.Wait()
	})
	return stop
}

// A connection is one that the client opened; served is the host that answered.
type connection struct {
	*net.TCPConn
	served int
}

// connect opens a connection from a source port, 0 for one that no other connection has or had, and
// reads who serves it.
func (l *lab) connect(source, port uint16) (c connection, err error) {
	if source == 0 {
		source = 20000 + uint16(l.ports.Add(1))
	}
	err = l.client.try(func() error {
		c, err = l.dial(source, port)
		return err
	})
	return c, err
}

// dial is connect on a thread in the client's namespace.
func (l *lab) dial(source, port uint16) (c connection, err error) {
	dialer := net.Dialer{
		Timeout:   patience,
		LocalAddr: &net.TCPAddr{IP: l.remote.AsSlice(), Port: int(source)},
	}
	var conn net.Conn
	for deadline := time.Now().Add(patience); ; {
		conn, err = dialer.Dial("tcp", netip.AddrPortFrom(l.dvipa, port).String())
		// Between fork and exec of a child of another test a socket closed here is still open.
		if !errors.Is(err, unix.EADDRINUSE) || time.Now().After(deadline) {
			break
		}
	}
	if err != nil {
		return c, err
	}
	c.TCPConn = conn.(*net.TCPConn)
	c.SetDeadline(time.Now().Add(patience))
	c.SetLinger(0) // an RST at the end, so that the same addresses and ports are free again
	if _, err := fmt.Fscanf(io.LimitReader(c, 1), "%d", &c.served); err != nil {
		c.Close()
		return c, fmt.Errorf("read who serves: %w", err)
	}
	return c, nil
}

// served opens a connection, ends it and says who served it.
func (l *lab) served(source, port uint16) int {
	l.t.Helper()
	c, err := l.connect(source, port)
	if err != nil {
		l.t.Fatal(err)
	}
	c.Close()
	return c.served
}

// echo proves that the connection still reaches who served it.
func (c connection) echo() error {
	c.SetDeadline(time.Now().Add(patience))
	if _, err := c.Write([]byte("x")); err != nil {
		return err
	}
	var b [1]byte
	_, err := io.ReadFull(c, b[:])
	return err
}

func (c connection) source() uint16 { return uint16(c.LocalAddr().(*net.TCPAddr).Port) }

// An injector sends raw packets of its family from the client to the DVIPA.
type injector struct {
	addresses
	t  testing.TB
	fd int
}

func (l *lab) injector() injector {
	l.t.Helper()
	in := injector{addresses: l.addresses, t: l.t}
	domain := unix.AF_INET
	if l.dvipa.Is6() {
		domain = unix.AF_INET6
	}
	l.client.do(func() (err error) {
		in.fd, err = unix.Socket(domain, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_RAW)
		return err
	})
	l.t.Cleanup(func() { unix.Close(in.fd) })
	return in
}

func (in injector) send(packet []byte) {
	in.t.Helper()
	var to unix.Sockaddr = &unix.SockaddrInet6{Addr: in.dvipa.As16()}
	if in.dvipa.Is4() {
		to = &unix.SockaddrInet4{Addr: in.dvipa.As4()}
	}
	if err := unix.Sendto(in.fd, packet, 0, to); err != nil {
		in.t.Fatal(err)
	}
}

// count reads one counter.
func count(t testing.TB, p *Path, name string) uint64 {
	t.Helper()
	counters, err := p.Counters()
	if err != nil {
		t.Fatal(err)
	}
	return counters[name]
}

// entries reads the whole CRT.
func entries(t testing.TB, p *Path) []Entry {
	t.Helper()
	all, total, err := p.CRT(1 << 20)
	if err != nil {
		t.Fatal(err)
	}
	if total != len(all) {
		t.Fatalf("CRT tells of %d entries and lists %d", total, len(all))
	}
	return all
}

func refused(err error) bool { return errors.Is(err, unix.ECONNREFUSED) }
