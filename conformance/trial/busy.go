package trial

import (
	"context"
	"encoding/json"
	"errors"
	"net/netip"
	"os"
	"time"

	"github.com/onsi/ginkgo/v2"
	"golang.org/x/sys/unix"

	"github.com/plexlab-dev/plexlab/harness/bench/load"
	"github.com/plexlab-dev/plexlab/harness/segment"
	"github.com/plexlab-dev/plexlab/harness/verdict"
	"github.com/plexlab-dev/plexlab/topo"
)

// Busy is System for specs of more packets than a capture can hold: only TCP segments with SYN
// alone or with RST are recorded.
func Busy(file string, change func(*topo.Topology)) *SystemTrial {
	ginkgo.GinkgoHelper()
	return system(file, change, beginsAndResets...)
}

// busyLate gives the readers of a busy capture 12 s in which they need not run.
const busyLate = 100 * time.Millisecond

// beginsAndResets takes TCP segments over IPv4 and Ethernet that have RST, or SYN without ACK.
var beginsAndResets = []unix.SockFilter{
	{Code: unix.BPF_LD | unix.BPF_H | unix.BPF_ABS, K: 12}, // EtherType
	{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: unix.ETH_P_IP, Jf: 9},
	{Code: unix.BPF_LD | unix.BPF_B | unix.BPF_ABS, K: 14 + 9}, // protocol
	{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: unix.IPPROTO_TCP, Jf: 7},
	{Code: unix.BPF_LD | unix.BPF_H | unix.BPF_ABS, K: 14 + 6}, // offset of a fragment
	{Code: unix.BPF_JMP | unix.BPF_JSET | unix.BPF_K, K: 0x1fff, Jt: 5},
	{Code: unix.BPF_LDX | unix.BPF_B | unix.BPF_MSH, K: 14},     // length of the IP header
	{Code: unix.BPF_LD | unix.BPF_B | unix.BPF_IND, K: 14 + 13}, // control bits
	{Code: unix.BPF_JMP | unix.BPF_JSET | unix.BPF_K, K: uint32(segment.RST), Jt: 3},
	{Code: unix.BPF_ALU | unix.BPF_AND | unix.BPF_K, K: uint32(segment.SYN | segment.ACK)},
	{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: uint32(segment.SYN), Jt: 1},
	{Code: unix.BPF_RET | unix.BPF_K, K: 0},
	{Code: unix.BPF_RET | unix.BPF_K, K: 1 << 18}, // all of it
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
