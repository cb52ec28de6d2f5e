package fabric

import (
	"fmt"
	"net"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/plexlab-dev/plexlab/topo"
)

// buildNode makes the namespace of a node with all its links, addresses and routes.
func (f *Fabric) buildNode(n *node, bridges map[string]*bridge) error {
	var err error
	if n.namespace, err = f.hub.New(); err != nil {
		return err
	}
	err = n.namespace.Do(func() error {
		// Before any link is there: new links take over what is set for all of them.
		if err := setAll(nodeSettings(n.plan)); err != nil {
			return err
		}
		if n.links, err = netlink.NewHandle(unix.NETLINK_ROUTE); err != nil {
			return fmt.Errorf("open rtnetlink: %w", err)
		}
		n.sockets, err = openSocketTable()
		return err
	})
	if err != nil {
		return err
	}
	lo, err := n.links.LinkByName("lo")
	if err != nil {
		return fmt.Errorf("find lo: %w", err)
	}
	if err := n.links.LinkSetUp(lo); err != nil {
		return fmt.Errorf("lo up: %w", err)
	}
	for _, link := range n.plan.Links {
		if err := f.buildLink(n, link, bridges[link.Network]); err != nil {
			return fmt.Errorf("link %s: %w", link.Name, err)
		}
	}
	for _, route := range n.plan.Routes {
		destination := net.IPNet{
			IP:   route.Destination.Addr().AsSlice(),
			Mask: net.CIDRMask(route.Destination.Bits(), route.Destination.Addr().BitLen()),
		}
		if err := n.links.RouteAdd(&netlink.Route{Dst: &destination, Gw: route.Via.AsSlice()}); err != nil {
			return fmt.Errorf("route %s via %s: %w", route.Destination, route.Via, err)
		}
	}
	return nil
}

// buildLink makes one veth pair, its end in the node created in place. The port comes up
// first: the node's end then has its carrier the moment it is up itself.
func (f *Fabric) buildLink(n *node, link topo.PlanLink, to *bridge) error {
	mac, err := net.ParseMAC(link.MAC)
	if err != nil {
		return err
	}
	attributes := netlink.NewLinkAttrs()
	attributes.Name = link.Port
	attributes.MTU = to.plan.MTU
	attributes.MasterIndex = to.index
	attributes.Flags = net.FlagUp
	pair := netlink.NewVeth(attributes)
	pair.PeerName = link.Name
	pair.PeerHardwareAddr = mac
	pair.PeerNamespace = netlink.NsFd(n.namespace.FD())
	if err := f.ports.LinkAdd(pair); err != nil {
		return fmt.Errorf("create with port %s on network %s: %w", link.Port, link.Network, err)
	}
	n.ports[link.Name] = pair.Index

	end, err := n.links.LinkByName(link.Name)
	if err != nil {
		return fmt.Errorf("find the node's end: %w", err)
	}
	for _, prefix := range link.Addresses {
		address := netlink.Addr{IPNet: &net.IPNet{
			IP:   prefix.Addr().AsSlice(),
			Mask: net.CIDRMask(prefix.Bits(), prefix.Addr().BitLen()),
		}}
		if prefix.Addr().Is6() {
			address.Flags = unix.IFA_F_NODAD
		}
		if err := n.links.AddrAdd(end, &address); err != nil {
			return fmt.Errorf("address %s: %w", prefix, err)
		}
	}
	if err := n.links.LinkSetUp(end); err != nil {
		return fmt.Errorf("up: %w", err)
	}
	return n.introduce(end.Attrs().Index, to.neighbours)
}
