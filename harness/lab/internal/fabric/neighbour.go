package fabric

import (
	"fmt"
	"net"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/plexlab-dev/plexlab/nodes/contract"
	"github.com/plexlab-dev/plexlab/topo"
)

// neighbour is an address on a network, with where it is.
type neighbour struct {
	address  net.IP
	hardware net.HardwareAddr
}

// neighboursOn lists the planned addresses on an inter-stack network. Every stack talks to
// every other one there, and the kernel keeps what it learns of neighbours in one table for
// all namespaces of the machine, with 1024 places by default (gc_thresh3 of arp(7)): from 33
// stacks on, the table overflows and packets are lost, those of other labs too. What is set
// by hand does not count. Addresses on that network never move, so nothing need be learned. Where
// there is IPv6 in the plex, stacks are known by their next hops of both families.
func neighboursOn(plan *topo.Plan, network string) ([]neighbour, error) {
	var found []neighbour
	six := slices.ContainsFunc(plan.Nodes, usesIPv6)
	for _, node := range plan.Nodes {
		for _, link := range node.Links {
			if link.Network != network {
				continue
			}
			mac, err := net.ParseMAC(link.MAC)
			if err != nil {
				return nil, fmt.Errorf("node %s: link %s: %w", node.Name, link.Name, err)
			}
			for _, prefix := range link.Addresses {
				found = append(found, neighbour{prefix.Addr().AsSlice(), mac})
				if hop := contract.NextHop(netip.IPv6Unspecified(), prefix.Addr()); six && hop != prefix.Addr() {
					found = append(found, neighbour{hop.AsSlice(), mac})
				}
			}
		}
	}
	return found, nil
}

// introduce makes neighbours known on a link of a node. Its own addresses among them do no
// harm: the kernel never asks for them.
func (n *node) introduce(link int, neighbours []neighbour) error {
	for _, other := range neighbours {
		family := unix.AF_INET
		if other.address.To4() == nil {
			family = unix.AF_INET6
		}
		entry := netlink.Neigh{
			LinkIndex: link, Family: family, State: netlink.NUD_PERMANENT,
			IP: other.address, HardwareAddr: other.hardware,
		}
		if err := n.links.NeighSet(&entry); err != nil {
			return fmt.Errorf("make neighbour %s known: %w", other.address, err)
		}
	}
	return nil
}
