package sockets

import (
	"errors"
	"fmt"
	"sync"
	"syscall"
	"time"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// defaultReceiveBuffer holds some ten thousand events, at about 2 KiB each.
const defaultReceiveBuffer = 32 << 20

// destroyed receives the kernel's multicast of destroyed TCP sockets (Linux 4.2,
// net/core/sock_diag.c) and queues what matters until the monitor takes it.
//
// The kernel tells of every socket when its last reference goes: a listening one, a
// connection whose remnant may live on, one that never became a connection. A connection
// that its own side aborted (SO_LINGER of zero, or a listening socket that closes before it
// accepted) has lost its remote address by then (tcp_disconnect); only its cookie is left.
type destroyed struct {
	conn *netlink.Conn
	raw  syscall.RawConn

	mu    sync.Mutex
	queue backlog
	wake  chan struct{} // of capacity 1: the queue is not empty
}

// backlog is what has been received since it was last taken.
type backlog struct {
	// unconnected are the cookies of sockets without a peer: those that listened, aborted
	// connections, and more.
	unconnected []uint64
	connections []closed
	// overflow: the kernel had to drop events.
	overflow bool
}

// closed is a connection whose socket was destroyed.
type closed struct {
	probe
	cookie uint64
}

func dialDestroyed(receiveBuffer int) (_ *destroyed, err error) {
	conn, err := netlink.Dial(unix.NETLINK_SOCK_DIAG, nil)
	if err != nil {
		return nil, fmt.Errorf("open sock_diag: %w", err)
	}
	defer func() {
		if err != nil {
			conn.Close()
		}
	}()
	raw, err := conn.SyscallConn()
	if err != nil {
		return nil, fmt.Errorf("open sock_diag: %w", err)
	}
	if err := setReceiveBuffer(conn, raw, receiveBuffer); err != nil {
		return nil, fmt.Errorf("set receive buffer of sock_diag: %w", err)
	}
	for _, group := range []uint32{unix.SKNLGRP_INET_TCP_DESTROY, unix.SKNLGRP_INET6_TCP_DESTROY} {
		if err := conn.JoinGroup(group); err != nil {
			return nil, fmt.Errorf("join sock_diag group %d of destroyed sockets (CONFIG_INET_DIAG): %w", group, err)
		}
	}
	return &destroyed{conn: conn, raw: raw, wake: make(chan struct{}, 1)}, nil
}

// setReceiveBuffer goes beyond net.core.rmem_max where the privilege is there
// (CAP_NET_ADMIN in the initial user namespace).
func setReceiveBuffer(conn *netlink.Conn, raw syscall.RawConn, bytes int) error {
	var forced error
	if err := raw.Control(func(fd uintptr) {
		forced = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, bytes)
	}); err != nil {
		return err
	}
	if errors.Is(forced, unix.EPERM) {
		return conn.SetReadBuffer(bytes)
	}
	return forced
}

// breath is how long the receiver rests after it took what was there, so that under load one
// wake-up serves many events. The first event after a rest is taken at once.
const breath = time.Millisecond

// receive queues events until the socket is closed. The filter is asked about the local
// address of every connection.
func (d *destroyed) receive(relevant relevance) error {
	buffer := make([]byte, maxDatagram)
	for {
		q, err := d.drain(buffer, relevant)
		if err != nil {
			return fmt.Errorf("receive destroyed sockets: %w", err)
		}
		d.add(q)
		time.Sleep(breath)
	}
}

// drain waits for an event and takes all that are there.
func (d *destroyed) drain(buffer []byte, relevant relevance) (q backlog, err error) {
	for wait := true; ; wait = false {
		datagram, err := receiveDatagram(d.raw, buffer, wait)
		switch {
		case errors.Is(err, unix.EAGAIN):
			return q, nil
		case errors.Is(err, unix.ENOBUFS):
			q.overflow = true
		case err != nil:
			return q, err
		}
		if err := eachMessage(datagram, func(kind uint16, _ uint32, payload []byte) error {
			if kind != unix.SOCK_DIAG_BY_FAMILY {
				return nil
			}
			return q.take(payload, relevant)
		}); err != nil {
			return q, err
		}
	}
}

// take notes one event.
func (q *backlog) take(payload []byte, relevant relevance) error {
	s, err := parseDiag(payload)
	switch {
	case err != nil:
		return err
	case s.remote.Port() == 0:
		q.unconnected = append(q.unconnected, s.cookie)
	case relevant(s.local.Addr()):
		q.connections = append(q.connections, closed{probe{s.connection(), s.device}, s.cookie})
	}
	return nil
}

// add queues what was drained and wakes the monitor if there is something for it.
func (d *destroyed) add(q backlog) {
	if len(q.unconnected) == 0 && len(q.connections) == 0 && !q.overflow {
		return
	}
	d.mu.Lock()
	d.queue.unconnected = append(d.queue.unconnected, q.unconnected...)
	d.queue.connections = append(d.queue.connections, q.connections...)
	d.queue.overflow = d.queue.overflow || q.overflow
	d.mu.Unlock()
	select {
	case d.wake <- struct{}{}:
	default:
	}
}

// take empties the queue.
func (d *destroyed) take() backlog {
	d.mu.Lock()
	defer d.mu.Unlock()
	q := d.queue
	d.queue = backlog{}
	return q
}

func (d *destroyed) close() error { return d.conn.Close() }
