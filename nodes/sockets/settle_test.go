package sockets

import (
	"context"
	"errors"
	"net/netip"
	"testing"
	"time"
)

// settled has the monitor tell what it has to, within the time that a test waits for anything.
func (m *testMonitor) settled() {
	m.t.Helper()
	ctx, cancel := context.WithTimeout(m.t.Context(), patience)
	defer cancel()
	if err := m.Settle(ctx); err != nil {
		m.t.Fatalf("settle: %v", err)
	}
}

// What a program has closed is told by the time that Settle returns.
func TestSettle(t *testing.T) {
	t.Parallel()
	enterNetNS(t)
	m := startMonitor(t, MonitorConfig{})
	app := startPuppet(t, nil, nil)
	for range 200 {
		app.ok("socket s tcp4")
		app.ok("bind s %v", serverAt)
		cookie := app.cookie("s")
		m.Bound(cookie, serverAt)
		m.settled()
		if told := m.closings()[cookie]; told != 0 {
			t.Fatalf("socket that is open told to be closed %d times", told)
		}
		app.ok("close s")
		m.settled()
		if told := m.closed(cookie); told.Cookie != cookie || !told.NeverConnected {
			t.Fatalf("settled after %+v, want that the socket is closed and was never connected", told)
		}
	}
}

// So is that a port went back which a socket had for a connection, though it is open.
func TestSettleAfterAConnectThatFailed(t *testing.T) {
	t.Parallel()
	m, app := startOutbound(t, outboundFrom, nil)
	cookie := app.cookie("s")
	for i := range 50 {
		if answer := app.do("connect s %v", outboundTo); answer != "ECONNREFUSED" {
			t.Fatalf("connect: got %s, want ECONNREFUSED", answer)
		}
		m.settled()
		if told := m.closings()[cookie]; told != i+1 {
			t.Fatalf("settled, and told %d times that the socket has no port, want %d", told, i+1)
		}
		if told := m.closed(cookie); !told.NeverConnected {
			t.Fatalf("told %+v, want that it was never connected", told)
		}
	}
}

// What is not told in time is not waited for any longer.
func TestSettleGivesUp(t *testing.T) {
	t.Parallel()
	enterNetNS(t)
	m := startMonitor(t, MonitorConfig{})
	m.Bound(1, netip.MustParseAddrPort("127.0.0.1:1")) // no socket has that cookie in this namespace
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := m.Settle(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("settle: %v, want %v", err, context.DeadlineExceeded)
	}
	m.bound.end(1)
	m.settled()
}
