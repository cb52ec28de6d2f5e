package sockets

import (
	"errors"
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"
)

func openRemainder(t testing.TB) *remainder {
	t.Helper()
	r, err := dialRemainder()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.close)
	return r
}

// open are as many connections to a listening socket of the test as fit in one look-up.
func open(t testing.TB) []probe {
	t.Helper()
	listenHere(t, serverAt)
	probes := make([]probe, maxProbes)
	for i := range probes {
		c, err := dial(clientAt, serverAt)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.reset() })
		probes[i].connection = c.connection
	}
	return probes
}

// What is left of connections is told, and the socket that listens is not taken for it.
func TestRemainder(t *testing.T) {
	t.Parallel()
	enterNetNS(t)
	probes := open(t)
	for i := range probes {
		if i%3 != 0 { // nothing is there, but who listens
			probes[i].connection.Remote = netip.AddrPortFrom(netip.MustParseAddr("127.0.0.9"), uint16(1000+i))
		}
	}
	r := openRemainder(t)
	for range 3 {
		found, err := r.lookup(probes)
		if err != nil {
			t.Fatal(err)
		}
		for i, s := range found {
			if i%3 != 0 && s != (diagSocket{}) {
				t.Errorf("look-up of %v, which is not there: got %+v", probes[i].connection, s)
			}
			if i%3 == 0 && (!probes[i].isAnsweredBy(s) || s.state != tcpEstablished) {
				t.Errorf("look-up of %v, which is established: got %+v", probes[i].connection, s)
			}
		}
	}
}

// Answers that find no room are not taken for nothing: the look-up fails, and the next one does not.
func TestRemainderWithoutRoom(t *testing.T) {
	t.Parallel()
	enterNetNS(t)
	probes := open(t)
	r := openRemainder(t)
	if err := unix.SetsockoptInt(int(r.socket), unix.SOL_SOCKET, unix.SO_RCVBUF, 16<<10); err != nil {
		t.Fatal(err)
	}
	if found, err := r.lookup(probes); !errors.Is(err, errUnanswered) {
		t.Errorf("look-up of %d connections: got %d answers and error %v, want %v", len(probes), len(found), err, errUnanswered)
	}
	found, err := r.lookup(probes[:1])
	if err != nil || !probes[0].isAnsweredBy(found[0]) {
		t.Errorf("look-up of one connection: got %+v, %v", found, err)
	}
}
