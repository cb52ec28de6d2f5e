package topo

import (
	"crypto/sha256"
	"fmt"
	"net/netip"
	"strings"

	"github.com/plexlab-dev/plexlab/nodes/profile"
)

const (
	// maxRouters and maxHosts bound the other nodes of a lab.
	maxRouters = 64
	maxHosts   = 256
	// maxAddresses bounds the addresses of a link.
	maxAddresses = 4096
)

func (p *planner) readRouters() {
	p.atMost("/routers", len(p.topology.Routers), maxRouters)
	for i, r := range p.topology.Routers {
		at := path("/routers").at(i)
		node := p.node(at, KindRouter, r.Name)
		for j, l := range r.Links {
			p.link(node, at.at("links", j), l.Network, l.Address, nil)
		}
		p.needLink(at, len(r.Links))
	}
}

func (p *planner) readStacks() {
	p.atMost("/stacks", len(p.topology.Stacks), maxStacks)
	if len(p.topology.Stacks) == 0 {
		p.fail("/stacks", "found no stack, expected one at least")
	}
	for i, s := range p.topology.Stacks {
		at := path("/stacks").at(i)
		node := p.node(at, KindStack, s.Name)
		node.Stack = &PlanStack{Outside: []string{}, Implementation: s.Implementation}
		if link := p.attach(node, p.networks[p.xcf], at.at("xcf"), s.XCF); link != nil {
			node.Stack.XCF, node.Stack.XCFInterface = link.Addresses[0].Addr(), link.Name
		}
		for j, l := range s.Links {
			if link := p.link(node, at.at("links", j), l.Network, l.Address, nil); link != nil {
				node.Stack.Outside = append(node.Stack.Outside, link.Name)
			}
		}
		p.readProfile(i, node)
	}
}

func (p *planner) readHosts() {
	p.atMost("/hosts", len(p.topology.Hosts), maxHosts)
	for i, h := range p.topology.Hosts {
		at := path("/hosts").at(i)
		node := p.node(at, KindHost, h.Name)
		for j, l := range h.Links {
			p.link(node, at.at("links", j), l.Network, l.Address, l.More)
		}
		p.needLink(at, len(h.Links))
	}
}

// node adds a node to the plan. The pointer is good until the next one is added.
func (p *planner) node(at path, kind Kind, name string) *PlanNode {
	if err := profile.CheckApplication(name); err != nil {
		p.fail(at.at("name"), "found %.40q, expected the name of a %s: %s", name, kind, nameRule)
	} else if before, twice := p.nodes[strings.ToUpper(name)]; twice {
		p.fail(at.at("name"), "found the %s %s beside the %s %s, expected names that differ in more than case",
			kind, name, p.plan.Nodes[before].Kind, p.plan.Nodes[before].Name)
	} else {
		p.nodes[strings.ToUpper(name)] = len(p.plan.Nodes)
	}
	p.plan.Nodes = append(p.plan.Nodes, PlanNode{Name: name, Kind: kind, Links: []PlanLink{}})
	return &p.plan.Nodes[len(p.plan.Nodes)-1]
}

// atMost reports a list that is too long.
func (p *planner) atMost(at path, n, most int) {
	if n > most {
		p.fail(at, "found %d %s, expected at most %d", n, at[1:], most)
	}
}

// needLink reports a router or host without links.
func (p *planner) needLink(at path, links int) {
	if links == 0 {
		p.fail(at.at("links"), "found no link, expected one at least")
	}
}

// link attaches a node to the network that its file names; nil if that is wrong.
func (p *planner) link(node *PlanNode, at path, network, address string, more []string) *PlanLink {
	n, known := p.networks[network]
	switch {
	case !known:
		p.fail(at.at("network"), "found %.40q, expected one of the networks %s", network, p.networkNames())
		return nil
	case n.XCF && node.Kind != KindHost:
		p.fail(at.at("network"), "found the XCF network %s, expected an outside network", n.Name)
		return nil
	}
	if xcf := p.networks[p.xcf]; node.Kind == KindStack && xcf.MTU >= smallestMTU(xcf.Subnet) && n.MTU > xcf.MTU {
		// What arrives goes on over XCF as it is, and would be lost there without a word.
		p.fail(at.at("network"), "found %s with an MTU of %d, expected at most %d, that of the XCF network", n.Name, n.MTU, xcf.MTU)
	}
	for _, l := range node.Links {
		if l.Network == network {
			p.fail(at.at("network"), "found a second link of %s to %s, expected one", node.Name, network)
			return nil
		}
	}
	link := p.attach(node, n, at.at("address"), address)
	if link != nil {
		p.moreAddresses(link, at.at("more"), more, n, node.Name+" on "+n.Name)
	}
	return link
}

// attach gives a node a link with one address; nil if the address is none. The pointer is good
// until the node gets another link.
func (p *planner) attach(node *PlanNode, n PlanNetwork, at path, address string) *PlanLink {
	a, ok := p.address(at, address)
	if !ok {
		return nil
	}
	p.claim(at, a, n, node.Name+" on "+n.Name)
	link := PlanLink{
		Name: linkName(node, n), Network: n.Name,
		Addresses: []netip.Prefix{netip.PrefixFrom(a, n.Subnet.Bits())},
	}
	link.Port = strings.ToLower(node.Name) + "_" + link.Name
	link.MAC = hardwareAddress(p.plan.Name, node.Name, link.Name)
	node.Links = append(node.Links, link)
	return &node.Links[len(node.Links)-1]
}

// moreAddresses adds further addresses and ranges of addresses to a link.
func (p *planner) moreAddresses(link *PlanLink, at path, more []string, n PlanNetwork, holder string) {
	for i, text := range more {
		at := at.at(i)
		from, to, isRange := strings.Cut(text, "-")
		if _, symbol := p.symbols[strings.ToUpper(text)]; symbol || !isRange {
			from, to = text, text
		}
		first, ok := p.address(at, from)
		if !ok {
			continue
		}
		last, ok := p.address(at, to)
		if !ok {
			continue
		}
		if last.Less(first) || first.BitLen() != last.BitLen() {
			p.fail(at, "found the range %s, expected its first address not above its last", text)
			continue
		}
		for a := first; ; a = a.Next() {
			if len(link.Addresses) == maxAddresses {
				p.fail(at, "found more than %d addresses, expected at most that many", maxAddresses)
				return
			}
			before := len(p.errs)
			p.claim(at, a, n, holder)
			link.Addresses = append(link.Addresses, netip.PrefixFrom(a, n.Subnet.Bits()))
			if a == last || len(p.errs) > before {
				break
			}
		}
	}
}

// linkName is xcf0 for the XCF network, ext0, ext1 and so on for others: with at most one link to
// each of 128 networks and names of 8 characters, a port is never longer than its 15 bytes.
func linkName(node *PlanNode, n PlanNetwork) string {
	if n.XCF {
		return "xcf0"
	}
	outside := 0
	for _, l := range node.Links {
		if strings.HasPrefix(l.Name, "ext") {
			outside++
		}
	}
	return fmt.Sprintf("ext%d", outside)
}

// hardwareAddress is a locally administered unicast address (IEEE 802) that the names decide.
func hardwareAddress(names ...string) string {
	h := sha256.Sum256([]byte(strings.Join(names, "/")))
	return fmt.Sprintf("02:%02x:%02x:%02x:%02x:%02x", h[0], h[1], h[2], h[3], h[4])
}

func (p *planner) networkNames() string {
	var names []string
	for _, n := range p.plan.Networks {
		names = append(names, n.Name)
	}
	return strings.Join(names, ", ")
}
