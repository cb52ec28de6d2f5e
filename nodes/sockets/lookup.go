package sockets

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// remainder asks the kernel what is left of connections, of one network namespace, the one of the thread that
// opened it. Of nearly all there is nothing, and a filter at its socket keeps that from being said: most of what the
// kernel's answers cost is to receive them. Its methods must not be called concurrently.
type remainder struct {
	socket   netlinkSocket
	sequence uint32
	out      []byte
	in       *sheaf // nil until the first look-up
	found    []diagSocket
}

// errUnanswered: the kernel's answers found no room.
var errUnanswered = errors.New("answers were lost: net.core.rmem_default is too small")

func dialRemainder() (*remainder, error) {
	socket, err := dialSockDiag()
	return &remainder{socket: socket}, err
}

// prepare makes ready for the first look-up, which many stacks never make: a filter costs a millisecond, since the kernel
// compiles it.
func (r *remainder) prepare() error {
	if r.in != nil {
		return nil
	}
	if err := r.socket.attach(unlessNothingIsLeft()); err != nil {
		return fmt.Errorf("attach filter to sock_diag: %w", err)
	}
	r.in = newSheaf()
	return nil
}

func (r *remainder) close() { r.socket.close() }

// lookup asks about at most maxProbes connections. An answer is zero where the kernel holds nothing; half-open
// requests and remnants (TIME_WAIT, and FIN_WAIT2 whose process has closed) are something. The answers are good
// until the next call.
//
// The kernel has answered all by the time that it has taken the message. Whether it had room for every answer is told by
// the acknowledgement of the last request, which asks nothing.
func (r *remainder) lookup(probes []probe) ([]diagSocket, error) {
	if err := r.prepare(); err != nil {
		return nil, fmt.Errorf("look up connections: %w", err)
	}
	first := r.sequence + 1
	r.sequence += uint32(len(probes)) + 1
	r.out = appendProbes(r.out[:0], first, probes)
	r.out = appendNothing(r.out, r.sequence)
	if err := r.socket.send(r.out); err != nil {
		return nil, fmt.Errorf("look up connections: %w", err)
	}
	r.found = append(r.found[:0], make([]diagSocket, len(probes))...)
	var refused error
	for done := false; !done; {
		err := r.in.receive(r.socket, func(kind uint16, sequence uint32, payload []byte) (err error) {
			i := sequence - first
			switch {
			case i > uint32(len(probes)): // of an earlier look-up that failed half-way
			case kind == unix.NLMSG_ERROR:
				done = sequence == r.sequence
				refused = cmp.Or(refused, messageError(payload))
			default:
				r.found[i], err = parseDiag(payload)
			}
			return err
		})
		if err != nil {
			refused, done = cmp.Or(refused, err), !errors.Is(err, unix.ENOBUFS) // after which what found room is to be read
		}
	}
	if errors.Is(refused, unix.EAGAIN) || errors.Is(refused, unix.ENOBUFS) {
		refused = errUnanswered
	}
	if refused != nil {
		return nil, fmt.Errorf("look up connections: %w", refused)
	}
	return r.found, nil
}

// appendNothing appends a netlink message that is acknowledged and does nothing else.
func appendNothing(b []byte, sequence uint32) []byte {
	b = binary.NativeEndian.AppendUint32(b, sizeofNlmsghdr)
	b = binary.NativeEndian.AppendUint16(b, unix.NLMSG_NOOP)
	b = binary.NativeEndian.AppendUint16(b, unix.NLM_F_REQUEST|unix.NLM_F_ACK)
	b = binary.NativeEndian.AppendUint32(b, sequence)
	return binary.NativeEndian.AppendUint32(b, 0) // port: the kernel fills in the sender's
}

// unlessNothingIsLeft passes the answer to a look-up of a connection, unless it is that there is none (ENOENT), or the
// listening socket that would take a new one.
func unlessNothingIsLeft() []bpf.Instruction {
	const (
		offsetType  = 4                  // in struct nlmsghdr
		offsetErrno = sizeofNlmsghdr     // in struct nlmsgerr, negative
		offsetState = sizeofNlmsghdr + 1 // in struct inet_diag_msg
		whole       = 1 << 16
	)
	return []bpf.Instruction{
		bpf.LoadAbsolute{Off: offsetType, Size: 2},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: uint32(loaded16(unix.NLMSG_ERROR)), SkipTrue: 3},
		bpf.LoadAbsolute{Off: offsetState, Size: 1},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: uint32(tcpListen), SkipTrue: 3},
		bpf.RetConstant{Val: whole},
		bpf.LoadAbsolute{Off: offsetErrno, Size: 4},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: loaded32(-int32(unix.ENOENT)), SkipTrue: 1},
		bpf.RetConstant{Val: 0},
		bpf.RetConstant{Val: whole},
	}
}

// loaded16 and loaded32 are what a filter, which loads in network byte order, has of a number in the machine's.
func loaded16(n uint16) uint16 {
	return binary.BigEndian.Uint16(binary.NativeEndian.AppendUint16(nil, n))
}

func loaded32(n int32) uint32 {
	return binary.BigEndian.Uint32(binary.NativeEndian.AppendUint32(nil, uint32(n)))
}

// attach has a filter decide what of each datagram the socket receives.
func (s netlinkSocket) attach(filter []bpf.Instruction) error {
	program, err := bpf.Assemble(filter)
	if err != nil {
		return err
	}
	code := socketFilter(program)
	return unix.SetsockoptSockFprog(int(s), unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &code)
}
