package sockets

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// An alarm goes off once each time that it is set, and at once where something is there.
func TestAlarm(t *testing.T) {
	t.Parallel()
	socket, err := dialSockDiag()
	if err != nil {
		t.Fatal(err)
	}
	defer socket.close()
	a, err := newAlarm(socket)
	if err != nil {
		t.Fatal(err)
	}
	off := make(chan error)
	go func() {
		for {
			err := a.wait()
			off <- err
			if err != nil {
				return
			}
		}
	}()
	ask := func() {
		t.Helper()
		request := appendRequest(nil, unix.AF_INET, 0, 1, anyConnection, probe{connection: numbered(1)})
		if err := socket.send(request); err != nil {
			t.Fatal(err)
		}
	}
	goesOff := func(closed bool) {
		t.Helper()
		select {
		case err := <-off:
			if closed != (err != nil) {
				t.Fatalf("got %v, closed: %v", err, closed)
			}
		case <-time.After(patience):
			t.Fatalf("has not gone off for %v", patience)
		}
	}
	ask()
	goesOff(false)
	ask() // nobody is told
	if err := a.set(); err != nil {
		t.Fatal(err)
	}
	goesOff(false)
	for { // nothing is left
		if _, err := socket.receive(make([]byte, maxShort)); err != nil {
			break
		}
	}
	if err := a.set(); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-off:
		t.Fatalf("has gone off without a reason: %v", err)
	default:
	}
	a.close()
	goesOff(true)
	if err := a.set(); err == nil {
		t.Error("a closed alarm is set")
	}
}
