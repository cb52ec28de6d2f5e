package home

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/plexlab-dev/plexlab/nodes/contract"
)

const (
	// routeProtocol marks the way out, and those to owners, among the routes of the namespace (rtm_protocol, values
	// above RTPROT_STATIC are free for user space).
	routeProtocol = 212
	// routeMetric leaves precedence to a default route of someone else, and is none that a route has by itself:
	// one of IPv6 has 1024 (IP6_RT_PRIO_USER), and would be replaced.
	routeMetric = 2048
)

// SetWayOut makes via, the XCF address of a routing stack, the default route by way of XCF: that of
// its own family, and where that is IPv4 that of IPv6 too, by the next hop beside it. A route that is
// there is replaced in one step. The zero Addr takes the way out away.
func (h *Home) SetWayOut(via netip.Addr) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.setWayOut(via)
}

func (h *Home) setWayOut(via netip.Addr) error {
	var routes []*netlink.Route
	if via.IsValid() {
		routes = append(routes, h.defaultRoute(via))
		if via.Is4() && h.hop != nil {
			routes = append(routes, h.defaultRoute(contract.NextHop(netip.IPv6Unspecified(), via)))
		}
	}
	var set []*netlink.Route
	for _, route := range routes {
		if err := h.nl.RouteReplace(route); err != nil {
			return fmt.Errorf("set way out by %v: %w", via, err)
		}
		set = append(set, route)
	}
	for _, before := range h.wayOut {
		if slices.ContainsFunc(set, func(r *netlink.Route) bool { return r.Family == before.Family }) {
			continue // replaced
		}
		// The kernel takes a route away with the link that it goes by.
		if err := h.nl.RouteDel(before); err != nil && !errors.Is(err, unix.ESRCH) {
			return fmt.Errorf("remove way out by %v: %w", before.Gw, err)
		}
	}
	h.wayOut = set
	return nil
}

func (h *Home) defaultRoute(via netip.Addr) *netlink.Route {
	family := unix.AF_INET
	if via.Is6() {
		family = unix.AF_INET6
	}
	return &netlink.Route{
		Family: family, LinkIndex: h.xcf.Attrs().Index, Gw: via.AsSlice(),
		Protocol: routeProtocol, Priority: routeMetric,
	}
}

// sweepRoutes removes the way out, and those to owners, that an earlier process left.
func (h *Home) sweepRoutes(family int) error {
	var all []netlink.Route
	for _, table := range []int{unix.RT_TABLE_MAIN, insideTable} {
		filter := &netlink.Route{Protocol: routeProtocol, Table: table}
		routes, err := retry(func() ([]netlink.Route, error) {
			return h.nl.RouteListFiltered(family, filter, netlink.RT_FILTER_PROTOCOL|netlink.RT_FILTER_TABLE)
		})
		if err != nil {
			return fmt.Errorf("list routes: %w", err)
		}
		all = append(all, routes...)
	}
	for _, r := range all {
		if err := h.nl.RouteDel(&r); err != nil && !errors.Is(err, unix.ESRCH) {
			return fmt.Errorf("remove route %v of an earlier process: %w", r, err)
		}
	}
	return nil
}
