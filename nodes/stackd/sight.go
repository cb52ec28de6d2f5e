package main

import (
	"math"
	"net/netip"

	"github.com/plexlab-dev/plexlab/nodes/datapath"
	"github.com/plexlab-dev/plexlab/nodes/sockets"
)

// sight is the kernel as the clerk sees it.
type sight struct {
	monitor *sockets.Monitor
	path    *datapath.Path
}

func (s sight) portsInUse(dvipa netip.Addr) (map[uint16]bool, error) {
	used, err := s.monitor.PortsInUse(func(a netip.Addr) bool { return a == dvipa })
	ports := make(map[uint16]bool, len(used))
	for local := range used {
		ports[local.Port()] = true
	}
	return ports, err
}

func (s sight) routed(dvipa netip.Addr) (map[netip.Addr][]uint16, error) {
	entries, _, err := s.path.CRT(math.MaxInt)
	routed := make(map[netip.Addr][]uint16)
	for _, e := range entries {
		if e.DVIPA.Addr() == dvipa && !e.Unique {
			routed[e.Target] = append(routed[e.Target], e.DVIPA.Port())
		}
	}
	return routed, err
}
