package sockets

import (
	"time"

	"golang.org/x/sys/unix"
)

// A borrower is a process with a socket that got its port for a connection. When that has failed or ended, the kernel
// takes the port back (tcp_set_state in net/ipv4/tcp.c), unless it was one that bind() names, and the socket, which may
// live on, is in none of the kernel's tables any more.
type borrower struct {
	pid, fd int // fd is the process's descriptor of the socket
}

// neverConnected asks the socket itself, which only the process still has. It is false where that is not known: the
// process has ended, or has passed the socket on.
func (b *borrower) neverConnected(cookie uint64) bool {
	past, found := b.history(cookie)
	return found && past.neverConnected
}

func (b *borrower) history(cookie uint64) (past history, found bool) {
	pidfd, err := unix.PidfdOpen(b.pid, 0)
	if err != nil {
		return history{}, false
	}
	defer unix.Close(pidfd)
	fd, err := unix.PidfdGetfd(pidfd, b.fd, 0)
	if err != nil {
		return history{}, false
	}
	defer unix.Close(fd)
	if now, err := unix.GetsockoptUint64(fd, unix.SOL_SOCKET, unix.SO_COOKIE); err != nil || now != cookie {
		return history{}, false
	}
	past, err = historyOf(fd)
	return past, err == nil
}

// gatherReturned is how long a socket whose connection has ended waits for others until the kernel is asked which of
// them have their port still: it walks a table of the whole machine for one as for all.
const gatherReturned = 10 * time.Millisecond

// mayReturn notes that the connection of a socket which lives on has ended, if the port was lent for it.
func (m *Monitor) mayReturn(c closed) {
	lent := m.bound.borrower(c.cookie, c.connection.Local)
	if lent == nil || !m.seesBound {
		return
	}
	if len(m.returning) == 0 {
		m.nextReturn = time.Now().Add(gatherReturned)
	}
	m.returning[c.cookie] = lent
}

// takeReturned tells of the sockets whose connection has ended and that have no port any more.
func (m *Monitor) takeReturned() {
	there, err := m.diag.cookies(listening | boundOnly)
	if err != nil {
		m.c.Log.Error("no look at the sockets of ended connections", "error", err)
		m.nextReturn = time.Now().Add(gatherReturned)
		return
	}
	for cookie, lent := range m.returning {
		if _, bound := there[cookie]; !bound {
			m.returned(cookie, lent)
		}
	}
	clear(m.returning)
}

// returned tells that a socket which lives on has no port any more.
func (m *Monitor) returned(cookie uint64, lent *borrower) {
	never := lent.neverConnected(cookie)
	if local, known := m.bound.giveBack(cookie, lent); known {
		m.c.Deliver(SocketClosed{cookie, local, never})
	}
}
