// Package fabric builds the networks of a lab: a hub namespace with one bridge a network, a
// namespace for every node, and the links between them.
//
//	 node MVS1          hub                     node MVS2
//	+----------+   +--------------------+      +----------+
//	|     xcf0 |---| port  bridge  port |------| xcf0     |
//	|     ext0 |---| port  bridge       |      +----------+
//	+----------+   +--------------------+
//
// Everything is held by descriptor and ends with the process that holds it. A link is taken
// down at its hub end: the node loses the carrier, as by a cable pulled out, and keeps
// its addresses and routes.
package fabric

import (
	"errors"
	"fmt"
	"runtime"

	"github.com/google/nftables"
	"github.com/vishvananda/netlink"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"github.com/plexlab-dev/plexlab/harness/netns"
	"github.com/plexlab-dev/plexlab/topo"
)

// A Fabric is what Build has built. Its methods are safe for concurrent use.
type Fabric struct {
	plan  *topo.Plan
	hub   *netns.Namespace
	ports *netlink.Handle // in the hub
	// cuts is opened with the hub, while descriptors are few: the library cannot wait on a
	// descriptor of 1024 and above.
	cuts  cutTable
	nodes map[string]*node
}

// node is a namespace and the handles that work in it.
type node struct {
	plan      topo.PlanNode
	namespace *netns.Namespace
	links     *netlink.Handle
	sockets   socketTable
	ports     map[string]int // index of the port in the hub, by the link's name
}

// Build builds the networks of a plan. The plan is taken as checked: names are unique and
// short enough, addresses do not overlap. It needs CAP_SYS_ADMIN and CAP_NET_ADMIN. On an
// error it gives back all that it has built.
func Build(plan *topo.Plan) (*Fabric, error) {
	f := &Fabric{plan: plan, nodes: make(map[string]*node, len(plan.Nodes))}
	if err := f.build(); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

func (f *Fabric) build() error {
	bridges, err := f.buildHub()
	if err != nil {
		return err
	}
	for _, p := range f.plan.Nodes {
		f.nodes[p.Name] = &node{plan: p, ports: make(map[string]int, len(p.Links))}
	}
	// The kernel serialises most of it; what gains is the creation of namespaces.
	var group errgroup.Group
	group.SetLimit(2 * runtime.NumCPU())
	for _, n := range f.nodes {
		group.Go(func() error {
			if err := f.buildNode(n, bridges); err != nil {
				return fmt.Errorf("node %s: %w", n.plan.Name, err)
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	return f.awaitCarriers()
}

// bridge is a network in the hub.
type bridge struct {
	plan       topo.PlanNetwork
	index      int
	neighbours []neighbour
}

// buildHub makes the hub namespace with the bridges and returns them by network. The hub
// itself has no address and takes no part in any protocol.
func (f *Fabric) buildHub() (map[string]*bridge, error) {
	var err error
	if f.hub, err = netns.New(); err != nil {
		return nil, fmt.Errorf("hub: %w", err)
	}
	err = f.hub.Do(func() error {
		if err := setAll(hubSettings()); err != nil {
			return err
		}
		if f.ports, err = netlink.NewHandle(unix.NETLINK_ROUTE); err != nil {
			return fmt.Errorf("open rtnetlink: %w", err)
		}
		if f.cuts.conn, err = nftables.New(nftables.AsLasting()); err != nil {
			return fmt.Errorf("open nftables: %w", err)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("hub: %w", err)
	}
	bridges := make(map[string]*bridge, len(f.plan.Networks))
	for _, network := range f.plan.Networks {
		attributes := netlink.NewLinkAttrs()
		attributes.Name = network.Bridge
		attributes.MTU = network.MTU
		// Without a querier a bridge that snoops forgets who listens, and HELLOs get lost.
		snooping := false
		link := &netlink.Bridge{LinkAttrs: attributes, MulticastSnooping: &snooping}
		if err := f.ports.LinkAdd(link); err != nil {
			return nil, fmt.Errorf("hub: create bridge %s of network %s: %w", network.Bridge, network.Name, err)
		}
		if err := f.ports.LinkSetUp(link); err != nil {
			return nil, fmt.Errorf("hub: bridge %s up: %w", network.Bridge, err)
		}
		bridges[network.Name] = &bridge{plan: network, index: link.Index}
		if network.XCF {
			if bridges[network.Name].neighbours, err = neighboursOn(f.plan, network.Name); err != nil {
				return nil, err
			}
		}
	}
	return bridges, nil
}

// Namespace is the namespace of a node, nil for a name that the plan does not have.
func (f *Fabric) Namespace(name string) *netns.Namespace {
	if n, ok := f.nodes[name]; ok {
		return n.namespace
	}
	return nil
}

// Hub is the namespace of the bridges.
func (f *Fabric) Hub() *netns.Namespace { return f.hub }

// Close gives every descriptor back. The kernel then takes the namespaces down, unless a
// process or a socket still holds one.
func (f *Fabric) Close() error {
	var errs []error
	for _, n := range f.nodes {
		if n.links != nil {
			n.links.Close()
		}
		if n.sockets.conn != nil {
			errs = append(errs, n.sockets.conn.Close())
		}
		if n.namespace != nil {
			errs = append(errs, n.namespace.Close())
		}
	}
	if f.cuts.conn != nil {
		errs = append(errs, f.cuts.conn.CloseLasting())
	}
	if f.ports != nil {
		f.ports.Close()
	}
	if f.hub != nil {
		errs = append(errs, f.hub.Close())
	}
	return errors.Join(errs...)
}
