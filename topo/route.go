package topo

import (
	"net/netip"
	"slices"
)

// setRoutes gives every router a route to each outside network that it is not on, by the fewest
// routers, and everyone else a default route to the first router on its networks. Of several
// ways the first in the order of the file is taken.
func (p *planner) setRoutes() {
	var routers []*PlanNode
	for i := range p.plan.Nodes {
		if n := &p.plan.Nodes[i]; n.Kind == KindRouter {
			routers = append(routers, n)
		}
	}
	for i := range p.plan.Nodes {
		node := &p.plan.Nodes[i]
		if node.Kind == KindRouter {
			for _, n := range p.plan.Networks {
				if via, ok := p.towards(node, n, routers); ok {
					node.Routes = append(node.Routes, PlanRoute{Destination: n.Subnet, Via: via})
				}
			}
			continue
		}
		for _, everywhere := range []netip.Addr{netip.IPv4Unspecified(), netip.IPv6Unspecified()} {
			if via, ok := p.gateway(node, everywhere.BitLen(), routers); ok {
				node.Routes = append(node.Routes, PlanRoute{Destination: netip.PrefixFrom(everywhere, 0), Via: via})
			}
		}
	}
}

// gateway is the address of the first router on the networks of a node, of one family.
func (p *planner) gateway(node *PlanNode, family int, routers []*PlanNode) (netip.Addr, bool) {
	for _, l := range node.Links {
		for _, r := range routers {
			if via, ok := addressOn(r, l.Network); ok && via.BitLen() == family {
				return via, true
			}
		}
	}
	return netip.Addr{}, false
}

// addressOn is the address of a node on a network.
func addressOn(node *PlanNode, network string) (netip.Addr, bool) {
	for _, l := range node.Links {
		if l.Network == network {
			return l.Addresses[0].Addr(), true
		}
	}
	return netip.Addr{}, false
}

// towards searches breadth first for the next hop of a router to a network that it is not on.
func (p *planner) towards(from *PlanNode, to PlanNetwork, routers []*PlanNode) (netip.Addr, bool) {
	type step struct {
		network string
		via     netip.Addr // the zero Addr on the router's own networks
	}
	var open []step
	seen := map[string]bool{}
	visit := func(node *PlanNode, via netip.Addr) {
		for _, l := range node.Links {
			if !seen[l.Network] && l.Addresses[0].Addr().BitLen() == to.Subnet.Addr().BitLen() {
				seen[l.Network] = true
				open = append(open, step{l.Network, via})
			}
		}
	}
	visit(from, netip.Addr{})
	if slices.ContainsFunc(from.Links, func(l PlanLink) bool { return l.Network == to.Name }) {
		return netip.Addr{}, false
	}
	for len(open) > 0 {
		here := open[0]
		open = open[1:]
		if here.network == to.Name {
			return here.via, true
		}
		for _, r := range routers {
			if hop, on := addressOn(r, here.network); on {
				if here.via.IsValid() {
					hop = here.via
				}
				visit(r, hop)
			}
		}
	}
	return netip.Addr{}, false
}
