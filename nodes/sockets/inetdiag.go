package sockets

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Message layouts and numbers of include/uapi/linux/inet_diag.h and linux/netlink.h.
const (
	sizeofNlmsghdr    = 16
	sizeofDiagRequest = 56 // struct inet_diag_req_v2
	sizeofDiagMessage = 72 // struct inet_diag_msg

	// dumpTCP (TCPDIAG_GETSOCK) is the older request, struct inet_diag_req: it alone dumps the sockets
	// of both address families in one walk over the kernel's tables. Its answers are of the same kind.
	dumpTCP         = 18
	sizeofDiagDump  = 60
	diagSocketIDLen = 48 // struct inet_diag_sockid
	sizeofNlattr    = 4

	diagInfo     = 2  // INET_DIAG_INFO: a struct tcp_info
	diagSKV6Only = 11 // INET_DIAG_SKV6ONLY

	timerTimeWait = 3 // idiag_timer of what is left of a socket

	diagNoCookie = 0xffffffff // INET_DIAG_NOCOOKIE, twice
)

// tcpState is the state of a socket (include/net/tcp_states.h).
type tcpState uint8

const (
	tcpEstablished tcpState = 1
	tcpSynSent     tcpState = 2
	tcpSynRecv     tcpState = 3
	tcpFinWait1    tcpState = 4
	tcpFinWait2    tcpState = 5
	tcpTimeWait    tcpState = 6
	tcpClose       tcpState = 7
	tcpCloseWait   tcpState = 8
	tcpLastAck     tcpState = 9
	tcpListen      tcpState = 10
	tcpClosing     tcpState = 11
	// tcpBoundInactive stands for a socket that has a port and neither listens nor is connected
	// (Linux 6.8); an earlier kernel knows none in that state.
	tcpBoundInactive tcpState = 13
)

// states is a set of them, as a request carries it.
type states uint32

func statesOf(all ...tcpState) (set states) {
	for _, s := range all {
		set |= 1 << s
	}
	return set
}

var (
	listening = statesOf(tcpListen)
	// synchronized connections carry data or their own end.
	synchronized = statesOf(tcpEstablished, tcpFinWait1, tcpFinWait2, tcpCloseWait, tcpLastAck, tcpClosing)
	// anyConnection is everything that a packet of the peer could still meet.
	anyConnection = synchronized | statesOf(tcpSynSent, tcpSynRecv, tcpTimeWait)
	// boundOnly sockets have a port and nothing more; together with those in use they are
	// everything that has a port.
	boundOnly = statesOf(tcpBoundInactive)
	inUse     = anyConnection | listening
	anySocket = inUse | boundOnly
)

// diagSocket is a TCP socket as sock_diag tells it.
type diagSocket struct {
	state  tcpState
	cookie uint64
	// local and remote hold IPv4 addresses in 4 bytes; the remote port of a listening socket
	// is 0.
	local, remote netip.AddrPort
	// device is the index of the interface that the socket is bound to, or 0.
	device uint32
	v6Only bool
	// remnant: its socket is gone, and only TIME_WAIT or FIN_WAIT2 is left for a while.
	remnant bool
	// expires is what its timer has left: the rest of a remnant's life.
	expires time.Duration
	// neverConnected: no connection of it was ever established. Only events of destroyed sockets tell.
	neverConnected bool
}

func (s diagSocket) connection() Connection { return Connection{Local: s.local, Remote: s.remote} }

// appendDump appends a netlink message that asks for all TCP sockets in the given states, of both
// address families.
func appendDump(b []byte, sequence uint32, in states) []byte {
	b = binary.NativeEndian.AppendUint32(b, sizeofNlmsghdr+sizeofDiagDump)
	b = binary.NativeEndian.AppendUint16(b, dumpTCP)
	b = binary.NativeEndian.AppendUint16(b, unix.NLM_F_REQUEST|unix.NLM_F_DUMP)
	b = binary.NativeEndian.AppendUint32(b, sequence)
	b = binary.NativeEndian.AppendUint32(b, 0) // port: the kernel fills in the sender's

	b = append(b, unix.AF_UNSPEC, 0, 0, 0) // lengths of prefixes, no extensions
	b = append(b, make([]byte, diagSocketIDLen)...)
	b = binary.NativeEndian.AppendUint32(b, uint32(in))
	return binary.NativeEndian.AppendUint32(b, 0) // tables: all
}

// appendRequest appends a netlink message that asks about one TCP socket, if it is in one of the
// given states.
func appendRequest(b []byte, family uint8, flags uint16, sequence uint32, in states, one probe) []byte {
	b = binary.NativeEndian.AppendUint32(b, sizeofNlmsghdr+sizeofDiagRequest)
	b = binary.NativeEndian.AppendUint16(b, unix.SOCK_DIAG_BY_FAMILY)
	b = binary.NativeEndian.AppendUint16(b, unix.NLM_F_REQUEST|flags)
	b = binary.NativeEndian.AppendUint32(b, sequence)
	b = binary.NativeEndian.AppendUint32(b, 0) // port: the kernel fills in the sender's

	b = append(b, family, unix.IPPROTO_TCP, 0, 0) // no extensions, padding
	b = binary.NativeEndian.AppendUint32(b, uint32(in))

	// struct inet_diag_sockid
	b = binary.BigEndian.AppendUint16(b, one.connection.Local.Port())
	b = binary.BigEndian.AppendUint16(b, one.connection.Remote.Port())
	b = appendAddress(b, one.connection.Local.Addr())
	b = appendAddress(b, one.connection.Remote.Addr())
	b = binary.NativeEndian.AppendUint32(b, one.device)
	b = binary.NativeEndian.AppendUint32(b, diagNoCookie)
	return binary.NativeEndian.AppendUint32(b, diagNoCookie)
}

// appendAddress appends an address in 16 bytes, of which IPv4 takes the first four.
func appendAddress(b []byte, a netip.Addr) []byte {
	var field [16]byte
	switch {
	case a.Is4():
		v4 := a.As4()
		copy(field[:], v4[:])
	case a.Is6():
		field = a.As16()
	}
	return append(b, field[:]...)
}

var errShort = errors.New("message too short")

// parseDiag reads a struct inet_diag_msg and its attributes.
func parseDiag(b []byte) (diagSocket, error) {
	if len(b) < sizeofDiagMessage {
		return diagSocket{}, fmt.Errorf("inet_diag_msg of %d bytes: %w", len(b), errShort)
	}
	s := diagSocket{
		state:   tcpState(b[1]),
		remnant: b[2] == timerTimeWait,
		device:  binary.NativeEndian.Uint32(b[40:]),
		cookie:  uint64(binary.NativeEndian.Uint32(b[44:])) | uint64(binary.NativeEndian.Uint32(b[48:]))<<32,
		expires: time.Duration(binary.NativeEndian.Uint32(b[52:])) * time.Millisecond,
	}
	var local, remote netip.Addr
	switch family := b[0]; family {
	case unix.AF_INET:
		local, remote = netip.AddrFrom4([4]byte(b[8:])), netip.AddrFrom4([4]byte(b[24:]))
	case unix.AF_INET6:
		local, remote = netip.AddrFrom16([16]byte(b[8:])).Unmap(), netip.AddrFrom16([16]byte(b[24:])).Unmap()
	default:
		return diagSocket{}, fmt.Errorf("inet_diag_msg of address family %d", family)
	}
	s.local = netip.AddrPortFrom(local, binary.BigEndian.Uint16(b[4:]))
	s.remote = netip.AddrPortFrom(remote, binary.BigEndian.Uint16(b[6:]))

	for rest := b[sizeofDiagMessage:]; len(rest) >= sizeofNlattr; {
		length := int(binary.NativeEndian.Uint16(rest))
		if length < sizeofNlattr || length > len(rest) {
			return diagSocket{}, fmt.Errorf("attribute of %d bytes in %d: %w", length, len(rest), errShort)
		}
		switch value := rest[sizeofNlattr:length]; binary.NativeEndian.Uint16(rest[2:]) {
		case diagSKV6Only:
			s.v6Only = len(value) > 0 && value[0] != 0
		case diagInfo:
			s.neverConnected = neverConnected(value)
		}
		rest = rest[min(align4(length), len(rest)):]
	}
	return s, nil
}

// Offsets within struct tcp_info of include/uapi/linux/tcp.h; an earlier kernel's is shorter.
const (
	infoBytesAcked = unsafe.Offsetof(unix.TCPInfo{}.Bytes_acked) // Linux 4.1
	infoMinRTT     = unsafe.Offsetof(unix.TCPInfo{}.Min_rtt)     // Linux 4.6
)

// unmeasured is the round trip time of a socket that no peer has ever acknowledged anything to.
const unmeasured = math.MaxUint32

// neverConnected says whether a struct tcp_info is that of a socket of which no connection was ever established,
// false where it does not tell. A peer that takes a connection acknowledges the SYN, which is counted, and from which
// the round trip time is measured; one that refuses does neither. connect() that has failed and an abort both clear
// the count (tcp_disconnect in net/ipv4/tcp.c), and leave the time.
func neverConnected(info []byte) bool {
	return len(info) >= int(infoMinRTT)+4 &&
		binary.NativeEndian.Uint64(info[infoBytesAcked:]) == 0 && binary.NativeEndian.Uint32(info[infoMinRTT:]) == unmeasured
}

func align4(n int) int { return (n + 3) &^ 3 }

// eachMessage calls visit for every netlink message of a datagram.
func eachMessage(b []byte, visit func(kind uint16, sequence uint32, payload []byte) error) error {
	for len(b) > 0 {
		if len(b) < sizeofNlmsghdr {
			return fmt.Errorf("netlink header of %d bytes: %w", len(b), errShort)
		}
		length := int(binary.NativeEndian.Uint32(b))
		if length < sizeofNlmsghdr || length > len(b) {
			return fmt.Errorf("netlink message of %d bytes in %d: %w", length, len(b), errShort)
		}
		kind, sequence := binary.NativeEndian.Uint16(b[4:]), binary.NativeEndian.Uint32(b[8:])
		if err := visit(kind, sequence, b[sizeofNlmsghdr:length]); err != nil {
			return err
		}
		b = b[min(align4(length), len(b)):]
	}
	return nil
}

// messageError is the errno of an NLMSG_ERROR or NLMSG_DONE message; nil where it is zero.
func messageError(payload []byte) error {
	if len(payload) < 4 {
		return nil // NLMSG_DONE may be empty
	}
	return errnoError(unix.Errno(-int32(binary.NativeEndian.Uint32(payload))))
}
