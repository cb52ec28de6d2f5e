package fabric

import (
	"fmt"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"
)

// HasRoute reports whether the main table of a node has a route to exactly this prefix.
func (f *Fabric) HasRoute(name string, to netip.Prefix) (bool, error) {
	n, ok := f.nodes[name]
	if !ok {
		return false, fmt.Errorf("node %s: %w", name, ErrUnknown)
	}
	family := netlink.FAMILY_V6
	if to.Addr().Is4() {
		family = netlink.FAMILY_V4
	}
	filter := &netlink.Route{Dst: &net.IPNet{IP: to.Addr().AsSlice(), Mask: net.CIDRMask(to.Bits(), to.Addr().BitLen())}}
	routes, err := retry(func() ([]netlink.Route, error) {
		return n.links.RouteListFiltered(family, filter, netlink.RT_FILTER_DST)
	})
	if err != nil {
		return false, fmt.Errorf("node %s: list routes: %w", name, err)
	}
	return len(routes) > 0, nil
}
