package fabric

import (
	"errors"
	"fmt"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/plexlab-dev/plexlab/harness/lab/internal/wire"
)

// ErrUnknown is wrapped by errors about a node, link or network that the plan does not have.
// It matches unix.ENOENT.
var ErrUnknown error = unknown{}

type unknown struct{}

func (unknown) Error() string { return "not in the plan" }
func (unknown) Unwrap() error { return unix.ENOENT }

// SetLink takes a link down or up at its hub end. One that comes up carries packets when it returns, unless the node has taken
// its own end down.
func (f *Fabric) SetLink(nodeName, linkName string, up bool) error {
	n, ok := f.nodes[nodeName]
	if !ok {
		return fmt.Errorf("node %s: %w", nodeName, ErrUnknown)
	}
	port, ok := n.ports[linkName]
	if !ok {
		return fmt.Errorf("link %s of node %s: %w", linkName, nodeName, ErrUnknown)
	}
	attributes := netlink.LinkAttrs{Index: port}
	set, state := f.ports.LinkSetDown, "down"
	if up {
		set, state = f.ports.LinkSetUp, "up"
	}
	if err := set(&netlink.Veth{LinkAttrs: attributes}); err != nil {
		return fmt.Errorf("link %s of node %s %s: %w", linkName, nodeName, state, err)
	}
	if up {
		return f.awaitCarrier(n, linkName)
	}
	return nil
}

// SetLinks does SetLink for every link of a node, for all even if some fail.
func (f *Fabric) SetLinks(nodeName string, up bool) error {
	n, ok := f.nodes[nodeName]
	if !ok {
		return fmt.Errorf("node %s: %w", nodeName, ErrUnknown)
	}
	var errs []error
	for name := range n.ports {
		errs = append(errs, f.SetLink(nodeName, name, up))
	}
	return errors.Join(errs...)
}

// Forget makes a node as after a start of its machine: what a process before has left of addresses is gone, those of its
// loopback interface and those that the node answers for as the proxy (NDP), and the kernel settings are those of a new node. With
// its links up, the kernel would answer for them at once, or forward what is for them. Rules of a data path stay: where it left
// addresses on other links, they keep the kernel silent.
func (f *Fabric) Forget(nodeName string) error {
	n, ok := f.nodes[nodeName]
	if !ok {
		return fmt.Errorf("node %s: %w", nodeName, ErrUnknown)
	}
	err := errors.Join(n.forgetAddresses(), n.forgetProxies(),
		n.namespace.Do(func() error { return setAll(nodeSettings(n.plan)) }))
	if err != nil {
		return fmt.Errorf("node %s: forget what was left: %w", nodeName, err)
	}
	return nil
}

func (n *node) forgetAddresses() error {
	loopback, err := n.links.LinkByName("lo")
	if err != nil {
		return err
	}
	addresses, err := retry(func() ([]netlink.Addr, error) { return n.links.AddrList(loopback, netlink.FAMILY_ALL) })
	if err != nil {
		return err
	}
	var errs []error
	for _, a := range addresses {
		if a.Scope != unix.RT_SCOPE_HOST {
			errs = append(errs, n.links.AddrDel(loopback, &a))
		}
	}
	return errors.Join(errs...)
}

func (n *node) forgetProxies() error {
	const anyLink = 0
	proxies, err := retry(func() ([]netlink.Neigh, error) { return n.links.NeighProxyList(anyLink, netlink.FAMILY_V6) })
	if err != nil {
		return err
	}
	var errs []error
	for _, p := range proxies {
		errs = append(errs, n.links.NeighDel(&p))
	}
	return errors.Join(errs...)
}

// Counters reads the counters of every link, as the node sees them, by node and link. Links
// that an implementation has added itself are not among them.
func (f *Fabric) Counters() (map[string]map[string]wire.Counters, error) {
	all := make(map[string]map[string]wire.Counters, len(f.nodes))
	for name, n := range f.nodes {
		links, err := retry(n.links.LinkList)
		if err != nil {
			return nil, fmt.Errorf("node %s: list links: %w", name, err)
		}
		all[name] = make(map[string]wire.Counters, len(n.ports))
		for _, link := range links {
			attributes := link.Attrs()
			if _, planned := n.ports[attributes.Name]; !planned || attributes.Statistics == nil {
				continue
			}
			s := attributes.Statistics
			all[name][attributes.Name] = wire.Counters{
				ReceivedPackets: s.RxPackets, ReceivedBytes: s.RxBytes, ReceivedDropped: s.RxDropped,
				SentPackets: s.TxPackets, SentBytes: s.TxBytes, SentDropped: s.TxDropped,
				// The bits of IFF_LOWER_UP say whether the other end is up too.
				Carrier: attributes.RawFlags&iffLowerUp != 0,
			}
		}
	}
	return all, nil
}

// iffLowerUp is IFF_LOWER_UP of linux/if.h.
const iffLowerUp = 1 << 16

// retry repeats a dump that the kernel says changed under it.
func retry[T any](dump func() (T, error)) (T, error) {
	const attempts = 10
	var result T
	var err error
	for range attempts {
		if result, err = dump(); !errors.Is(err, netlink.ErrDumpInterrupted) {
			break
		}
	}
	return result, err
}
