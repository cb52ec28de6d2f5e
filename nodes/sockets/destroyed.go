package sockets

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// defaultReceiveBuffer holds some ten thousand events, at about 2 KiB each.
const defaultReceiveBuffer = 32 << 20

// destroyed receives the kernel's multicast of destroyed TCP sockets (Linux 4.2,
// net/core/sock_diag.c).
//
// The kernel tells of every socket when its last reference goes: a listening one, a
// connection whose remnant may live on, one that never became a connection. A connection
// that its own side aborted (SO_LINGER of zero, or a listening socket that closes before it
// accepted) has lost its remote address by then (tcp_disconnect); only its cookie is left.
type destroyed struct {
	socket netlinkSocket
	in     *sheaf
	alarm  *alarm
	wake   chan struct{} // of capacity 1: the alarm has gone off
	// roomy: the kernel keeps roomyBuffer bytes of events, or more.
	roomy bool
	// drained is what drain returns, kept for the next one to fill.
	drained backlog
}

// backlog is what was there to receive.
type backlog struct {
	// unconnected are the cookies of sockets without a peer: those that listened, aborted
	// connections, and more.
	unconnected []uint64
	connections []closed
	// bound are those that somebody waits for, in one of the others or not.
	bound []gone
	// overflow: the kernel had to drop events.
	overflow bool
}

// gone is a socket that was destroyed.
type gone struct {
	cookie         uint64
	neverConnected bool
}

// closed is a connection whose socket was destroyed.
type closed struct {
	probe
	cookie uint64
}

func dialDestroyed(receiveBuffer int) (_ *destroyed, err error) {
	d := &destroyed{in: newSheaf(), wake: make(chan struct{}, 1)}
	if d.socket, err = dialSockDiag(); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			d.close()
		}
	}()
	granted, err := d.socket.setReceiveBuffer(receiveBuffer)
	if err != nil {
		return nil, fmt.Errorf("set receive buffer of sock_diag: %w", err)
	}
	d.roomy = granted >= roomyBuffer
	for _, group := range []int{unix.SKNLGRP_INET_TCP_DESTROY, unix.SKNLGRP_INET6_TCP_DESTROY} {
		if err := unix.SetsockoptInt(int(d.socket), unix.SOL_NETLINK, unix.NETLINK_ADD_MEMBERSHIP, group); err != nil {
			return nil, fmt.Errorf("join sock_diag group %d of destroyed sockets (CONFIG_INET_DIAG): %w", group, err)
		}
	}
	d.alarm, err = newAlarm(d.socket)
	return d, err
}

// setReceiveBuffer goes beyond net.core.rmem_max where the privilege is there
// (CAP_NET_ADMIN in the initial user namespace), and returns the size that the kernel made of it.
func (s netlinkSocket) setReceiveBuffer(bytes int) (granted int, err error) {
	err = unix.SetsockoptInt(int(s), unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, bytes)
	if errors.Is(err, unix.EPERM) {
		err = unix.SetsockoptInt(int(s), unix.SOL_SOCKET, unix.SO_RCVBUF, bytes)
	}
	if err != nil {
		return 0, err
	}
	return unix.GetsockoptInt(int(s), unix.SOL_SOCKET, unix.SO_RCVBUF)
}

// watch wakes whoever drains when there is something and the alarm is set, until close.
func (d *destroyed) watch() {
	for d.alarm.wait() == nil {
		d.wake <- struct{}{}
	}
}

// drain takes all events that are there, and says how many there were, relevant or not. The
// backlog is good until the next call. The filter is asked about the local address of every
// connection.
func (d *destroyed) drain(relevant relevance, awaited *bound) (q *backlog, events int, err error) {
	q = &d.drained
	*q = backlog{unconnected: q.unconnected[:0], connections: q.connections[:0], bound: q.bound[:0]}
	take := func(kind uint16, _ uint32, payload []byte) error {
		events++
		if kind != unix.SOCK_DIAG_BY_FAMILY {
			return nil
		}
		return q.take(payload, relevant, awaited)
	}
	for {
		switch err := d.in.receive(d.socket, take); {
		case errors.Is(err, unix.EAGAIN):
			return q, events, nil
		case errors.Is(err, unix.ENOBUFS):
			q.overflow = true
		case err != nil:
			return q, events, fmt.Errorf("receive destroyed sockets: %w", err)
		}
	}
}

// take notes one event.
func (q *backlog) take(payload []byte, relevant relevance, awaited *bound) error {
	s, err := parseDiag(payload)
	if err != nil {
		return err
	}
	if awaited.has(s.cookie) {
		q.bound = append(q.bound, gone{s.cookie, s.neverConnected})
	}
	switch {
	case s.remote.Port() == 0:
		q.unconnected = append(q.unconnected, s.cookie)
	case relevant(s.local.Addr()):
		q.connections = append(q.connections, closed{probe{s.connection(), s.device}, s.cookie})
	}
	return nil
}

// close ends watch. It must not be called while drain runs.
func (d *destroyed) close() {
	if d.alarm != nil {
		d.alarm.close()
	}
	d.socket.close()
}
