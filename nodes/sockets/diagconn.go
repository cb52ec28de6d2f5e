package sockets

import (
	"errors"
	"fmt"
	"sync"

	"golang.org/x/sys/unix"
)

// diagConn asks the kernel about the TCP sockets of one network namespace, the one of the
// thread that opened it. Asking needs no privilege. Its methods may be called concurrently.
type diagConn struct {
	mu       sync.Mutex
	socket   netlinkSocket
	sequence uint32
	out      []byte
	in       *sheaf
	dumped   []byte
}

// maxDatagram is the longest datagram that the kernel makes of a dump (netlink_dump).
const maxDatagram = 32 << 10

func dialDiag() (*diagConn, error) {
	socket, err := dialSockDiag()
	if err != nil {
		return nil, err
	}
	return &diagConn{socket: socket, in: newSheaf(), dumped: make([]byte, maxDatagram)}, nil
}

// close lets every later call fail with net.ErrClosed.
func (d *diagConn) close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.socket.close()
}

// dump calls visit for every TCP socket of the namespace, of both address families, that is
// in one of the states. The kernel does not stop the world: of sockets that come, go or
// change their state meanwhile, some may be missing.
func (d *diagConn) dump(in states, visit func(diagSocket)) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.sequence++
	d.out = appendDump(d.out[:0], d.sequence, in)
	if err := d.socket.send(d.out); err != nil {
		return fmt.Errorf("dump TCP sockets: %w", err)
	}
	if err := d.receiveDump(visit); err != nil {
		return fmt.Errorf("dump TCP sockets: %w", err)
	}
	return nil
}

// dumpAll is dump for states of which boundOnly is one, and is called at least once for each socket. The kernel is asked
// once for sockets that are bound and nothing more, because that walks a table of the whole machine, which takes 1 ms,
// and before and after that for all others: a dump may miss a socket that changes its state.
func (d *diagConn) dumpAll(in states, visit func(diagSocket)) error {
	for _, some := range []states{in &^ boundOnly, boundOnly, in &^ boundOnly} {
		if err := d.dump(some, visit); err != nil {
			return err
		}
	}
	return nil
}

// cookies are those of all TCP sockets in one of the states, of which boundOnly is one.
func (d *diagConn) cookies(in states) (map[uint64]struct{}, error) {
	there := map[uint64]struct{}{}
	err := d.dumpAll(in, func(s diagSocket) { there[s.cookie] = struct{}{} })
	return there, err
}

func (d *diagConn) receiveDump(visit func(diagSocket)) error {
	for done := false; !done; {
		datagram, err := d.socket.receive(d.dumped)
		if err != nil {
			return err
		}
		err = eachMessage(datagram, func(kind uint16, sequence uint32, payload []byte) error {
			if sequence != d.sequence || done {
				return nil // of an earlier dump that failed half-way
			}
			switch kind {
			case unix.NLMSG_DONE, unix.NLMSG_ERROR:
				done = true
				return messageError(payload)
			case dumpTCP:
				s, err := parseDiag(payload)
				if err == nil {
					visit(s)
				}
				return err
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// probe asks for whatever state the kernel holds for a connection, or for a listening socket
// where the remote side is zero. Device is the interface that the socket is, or was, bound
// to; 0 for none.
type probe struct {
	connection Connection
	device     uint32
}

// isAnsweredBy: where there is no connection, the kernel answers with the socket that would
// take a new one.
func (p probe) isAnsweredBy(s diagSocket) bool {
	return s.state != 0 && s.connection() == p.connection
}

// maxProbes is how many of them go in one message: all answers must fit into the smallest
// usual receive buffer (net.core.rmem_default), at about 2 KiB each.
const maxProbes = 64

// lookup asks about at most maxProbes sockets. An answer is zero where the kernel holds
// nothing; half-open requests and remnants (TIME_WAIT, and FIN_WAIT2 whose process has
// closed) are something.
func (d *diagConn) lookup(probes []probe) ([]diagSocket, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	first := d.sequence + 1
	d.sequence += uint32(len(probes))
	d.out = appendProbes(d.out[:0], first, probes)
	if err := d.socket.send(d.out); err != nil {
		return nil, fmt.Errorf("look up TCP sockets: %w", err)
	}
	found := make([]diagSocket, len(probes))
	for answers := 0; answers < len(probes); {
		err := d.in.receive(d.socket, func(kind uint16, sequence uint32, payload []byte) error {
			i := sequence - first
			if i >= uint32(len(probes)) {
				return nil // of an earlier look-up that failed half-way
			}
			answers++
			if kind == unix.NLMSG_ERROR {
				if err := messageError(payload); !errors.Is(err, unix.ENOENT) {
					return err
				}
				return nil
			}
			var err error
			found[i], err = parseDiag(payload)
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("look up TCP sockets: %w", err)
		}
	}
	return found, nil
}

// appendProbes appends a netlink message for each probe; sequence is that of the first.
func appendProbes(b []byte, sequence uint32, probes []probe) []byte {
	for i, p := range probes {
		family := uint8(unix.AF_INET6)
		if p.connection.Local.Addr().Is4() {
			family = unix.AF_INET // finds those of mapped addresses too
		}
		b = appendRequest(b, family, 0, sequence+uint32(i), anyConnection, p)
	}
	return b
}
