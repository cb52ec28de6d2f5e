package trial

import (
	"net/netip"

	"github.com/onsi/ginkgo/v2"
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"github.com/plexlab-dev/plexlab/harness/segment"
	"github.com/plexlab-dev/plexlab/harness/verdict"
	"github.com/plexlab-dev/plexlab/topo"
)

// Watched is System for long specs about one port of the DVIPAs: only address resolution and the TCP segments from
// and to that port are recorded.
func (f Family) Watched(port uint16, file string, change func(*topo.Topology)) *SystemTrial {
	ginkgo.GinkgoHelper()
	f.Needed()
	return system(f, file, change, f.resolutionAndPort(port)...)
}

// resolutionAndPort takes ARP or ICMPv6, and TCP segments over Ethernet that have a port at one end. Fragments other than the
// first have no TCP header; IPv6 has TCP right behind its header.
func (f Family) resolutionAndPort(port uint16) []unix.SockFilter {
	const (
		link    = 14
		take    = 1 << 18 // all of it
		ports   = 2       // bytes between the ends
		ip6Size = 40
	)
	program := []bpf.Instruction{
		bpf.LoadAbsolute{Off: 12, Size: 2},
		bpf.JumpIf{Val: unix.ETH_P_ARP, SkipTrue: 11},
		bpf.JumpIf{Val: unix.ETH_P_IP, SkipFalse: 9},
		bpf.LoadAbsolute{Off: link + 9, Size: 1}, // protocol
		bpf.JumpIf{Val: unix.IPPROTO_TCP, SkipFalse: 7},
		bpf.LoadAbsolute{Off: link + 6, Size: 2}, // offset of a fragment
		bpf.JumpIf{Cond: bpf.JumpBitsSet, Val: 0x1fff, SkipTrue: 5},
		bpf.LoadMemShift{Off: link}, // length of the IP header
		bpf.LoadIndirect{Off: link, Size: 2},
		bpf.JumpIf{Val: uint32(port), SkipTrue: 3},
		bpf.LoadIndirect{Off: link + ports, Size: 2},
		bpf.JumpIf{Val: uint32(port), SkipTrue: 1},
		bpf.RetConstant{Val: 0},
		bpf.RetConstant{Val: take},
	}
	if f.DVA1.Is6() {
		program = []bpf.Instruction{
			bpf.LoadAbsolute{Off: 12, Size: 2},
			bpf.JumpIf{Val: unix.ETH_P_IPV6, SkipFalse: 7},
			bpf.LoadAbsolute{Off: link + 6, Size: 1}, // next header
			bpf.JumpIf{Val: unix.IPPROTO_ICMPV6, SkipTrue: 6},
			bpf.JumpIf{Val: unix.IPPROTO_TCP, SkipFalse: 4},
			bpf.LoadAbsolute{Off: link + ip6Size, Size: 2},
			bpf.JumpIf{Val: uint32(port), SkipTrue: 3},
			bpf.LoadAbsolute{Off: link + ip6Size + ports, Size: 2},
			bpf.JumpIf{Val: uint32(port), SkipTrue: 1},
			bpf.RetConstant{Val: 0},
			bpf.RetConstant{Val: take},
		}
	}
	raw, err := bpf.Assemble(program)
	verdict.Engine(err, "assemble what is recorded")
	filter := make([]unix.SockFilter, 0, len(raw))
	for _, i := range raw {
		filter = append(filter, unix.SockFilter{Code: i.Op, Jt: i.Jt, Jf: i.Jf, K: i.K})
	}
	return filter
}

// Onlooker starts a scripted host on network 44 of the fixtures, beside the router, with an address that no node has.
func (s *SystemTrial) Onlooker() *segment.Host {
	ginkgo.GinkgoHelper()
	const router = "ROUTER"
	socket, err := s.Lab.Packet(s.ctx, router, s.link(router))
	verdict.Engine(err, "open packet socket of an onlooker")
	port, err := segment.NewPort(socket)
	verdict.Engine(err, "open port of an onlooker")
	onlooker, err := segment.NewHost(port, s.family.OnNetwork44(s.family.Client), netip.Addr{})
	verdict.Engine(err, "start an onlooker")
	ginkgo.DeferCleanup(onlooker.Close)
	return onlooker
}
