package trial

import (
	"context"
	"encoding/json"
	"errors"
	"net/netip"
	"os"
	"slices"
	"time"

	"github.com/onsi/ginkgo/v2"
	"golang.org/x/sys/unix"

	"github.com/plexlab-dev/plexlab/harness/bench/load"
	"github.com/plexlab-dev/plexlab/harness/segment"
	"github.com/plexlab-dev/plexlab/harness/verdict"
)

// busyLate gives the readers of a busy capture 12 s in which they need not run.
const busyLate = 100 * time.Millisecond

// beginsAndResets takes TCP segments over Ethernet that have RST, or SYN without ACK. Fragments other
// than the first have no TCP header; IPv6 has TCP right behind its header.
func (f Family) beginsAndResets() []unix.SockFilter {
	const link = 14
	etherType, protocol := uint32(unix.ETH_P_IP), uint32(link+9)
	controlBits := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_H | unix.BPF_ABS, K: link + 6}, // offset of a fragment
		{Code: unix.BPF_JMP | unix.BPF_JSET | unix.BPF_K, K: 0x1fff, Jt: 5},
		{Code: unix.BPF_LDX | unix.BPF_B | unix.BPF_MSH, K: link}, // length of the IP header
		{Code: unix.BPF_LD | unix.BPF_B | unix.BPF_IND, K: link + 13},
	}
	if f.DVA1.Is6() {
		etherType, protocol = unix.ETH_P_IPV6, link+6
		controlBits = []unix.SockFilter{{Code: unix.BPF_LD | unix.BPF_B | unix.BPF_ABS, K: link + 40 + 13}}
	}
	verdict := []unix.SockFilter{
		{Code: unix.BPF_JMP | unix.BPF_JSET | unix.BPF_K, K: uint32(segment.RST), Jt: 3},
		{Code: unix.BPF_ALU | unix.BPF_AND | unix.BPF_K, K: uint32(segment.SYN | segment.ACK)},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: uint32(segment.SYN), Jt: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: 0},
		{Code: unix.BPF_RET | unix.BPF_K, K: 1 << 18}, // all of it
	}
	refuse := uint8(len(controlBits) + 3) // instructions from behind the test of the protocol
	return slices.Concat([]unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_H | unix.BPF_ABS, K: 12},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: etherType, Jf: refuse + 2},
		{Code: unix.BPF_LD | unix.BPF_B | unix.BPF_ABS, K: protocol},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: unix.IPPROTO_TCP, Jf: refuse},
	}, controlBits, verdict)
}

// attach lets a packet socket take only what the filter takes; none takes everything.
func attach(socket *os.File, filter []unix.SockFilter) error {
	if len(filter) == 0 {
		return nil
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return err
	}
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	var failure error
	err = raw.Control(func(fd uintptr) {
		failure = unix.SetsockoptSockFprog(int(fd), unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &program)
	})
	return errors.Join(err, failure)
}

// LoadLimit is the most that a run of Load takes; a machine that is loaded otherwise is slow.
const LoadLimit = 2 * time.Minute

// Load runs the load client on the client's node and returns what it counted. The arguments are
// those of the hidden command "plexlab load" besides target and duration.
func (s *SystemTrial) Load(service netip.AddrPort, arguments ...string) load.Result {
	ginkgo.GinkgoHelper()
	limit, cancel := context.WithTimeout(s.ctx, LoadLimit)
	defer cancel()
	argv := []string{programPath(), "load", service.String(), "--duration", LoadLimit.String()}
	output, err := s.output(limit, s.Client, append(argv, arguments...))
	verdict.Engine(err, "open connections to %s", service)
	var result load.Result
	verdict.Engine(json.Unmarshal(output, &result), "read what the load client says: %s", output)
	return result
}
