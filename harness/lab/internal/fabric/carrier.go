package fabric

import (
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/vishvananda/netlink"
)

// The kernel notices a carrier in a worker of its own (net/core/link_watch.c). Before, a bridge forwards nothing to a port, and
// what a node sends is dropped without a word.

// carrierLimit bounds the wait for it. The kernel's work takes milliseconds; on a loaded machine its worker has come two
// seconds late.
const carrierLimit = 5 * time.Second

// awaitCarriers waits until every port of the hub has its carrier.
func (f *Fabric) awaitCarriers() error {
	total := 0
	for _, n := range f.nodes {
		total += len(n.plan.Links)
	}
	up := 0
	return awaitNotice(func() (bool, error) {
		links, err := retry(f.ports.LinkList)
		if err != nil {
			return false, fmt.Errorf("hub: list ports: %w", err)
		}
		up = 0
		for _, link := range links {
			if _, port := link.(*netlink.Veth); port && hasCarrier(link) {
				up++
			}
		}
		return up == total, nil
	}, func() string { return fmt.Sprintf("hub: %d of %d ports have a carrier", up, total) })
}

// awaitCarrier waits until both ends of a node's link have their carrier. There is none to come where the node has taken its end
// down, or away.
func (f *Fabric) awaitCarrier(n *node, linkName string) error {
	return awaitNotice(func() (bool, error) {
		end, err := n.links.LinkByName(linkName)
		if missing := (netlink.LinkNotFoundError{}); errors.As(err, &missing) {
			return true, nil
		}
		if err != nil {
			return false, fmt.Errorf("node %s: find link %s: %w", n.plan.Name, linkName, err)
		}
		port, err := f.ports.LinkByIndex(n.ports[linkName])
		if err != nil {
			return false, fmt.Errorf("hub: find the port of link %s of node %s: %w", linkName, n.plan.Name, err)
		}
		return end.Attrs().Flags&net.FlagUp == 0 || hasCarrier(end) && hasCarrier(port), nil
	}, func() string { return fmt.Sprintf("link %s of node %s has no carrier", linkName, n.plan.Name) })
}

func hasCarrier(link netlink.Link) bool { return link.Attrs().OperState == netlink.OperUp }

// awaitNotice looks until the kernel has noticed; state is what an error says if it has not within carrierLimit.
func awaitNotice(noticed func() (bool, error), state func() string) error {
	deadline := time.Now().Add(carrierLimit)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for {
		if done, err := noticed(); done || err != nil {
			return err
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%s after %s", state(), carrierLimit)
		}
		<-tick.C
	}
}
