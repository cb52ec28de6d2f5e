package fabric

import (
	"cmp"
	"fmt"
	"slices"
	"sync"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
)

// cutTable is the bridge table of the hub that drops frames between ports:
//
//	table bridge cuts {
//	  set pairs { type iface_index . iface_index; }
//	  chain forward { type filter hook forward priority filter; meta iif . meta oif @pairs counter drop }
//	}
//
// It is there only while something is cut, so that a whole network pays nothing for it.
type cutTable struct {
	mu    sync.Mutex
	conn  *nftables.Conn
	cuts  map[string]map[pair]bool // by network
	built bool
	table *nftables.Table
	pairs *nftables.Set
}

// pair names ports by index: frames that come from one and go to the other.
type pair struct{ from, to int }

// batch bounds the elements of one transaction.
const batch = 2000

// Drop loses all frames of a network that one node sends to another; the other way stays open.
func (f *Fabric) Drop(network, from, to string) error {
	sources, err := f.portsOf(network, from)
	if err != nil {
		return err
	}
	targets, err := f.portsOf(network, to)
	if err != nil {
		return err
	}
	if from == to {
		return fmt.Errorf("drop on network %s: %s is both ends", network, from)
	}
	f.cuts.mu.Lock()
	defer f.cuts.mu.Unlock()
	wanted := map[pair]bool{}
	for p := range f.cuts.cuts[network] {
		wanted[p] = true
	}
	across(wanted, sources, targets)
	return f.cuts.set(network, wanted)
}

// Partition splits a network into groups of nodes that reach each other inside a group only.
// The nodes of the network that no group names form one more. It takes the place of all
// earlier cuts of the network.
func (f *Fabric) Partition(network string, groups [][]string) error {
	var ports [][]int
	seen := map[string]bool{}
	for _, group := range groups {
		var members []int
		for _, name := range group {
			if seen[name] {
				return fmt.Errorf("partition of network %s: %s is named twice", network, name)
			}
			seen[name] = true
			found, err := f.portsOf(network, name)
			if err != nil {
				return err
			}
			members = append(members, found...)
		}
		ports = append(ports, members)
	}
	var rest []int
	for name := range f.nodes {
		if !seen[name] {
			rest = append(rest, f.portsOn(network, name)...)
		}
	}
	ports = append(ports, rest)
	wanted := map[pair]bool{}
	for i, a := range ports {
		for j, b := range ports {
			if i != j {
				across(wanted, a, b)
			}
		}
	}
	f.cuts.mu.Lock()
	defer f.cuts.mu.Unlock()
	return f.cuts.set(network, wanted)
}

// Heal ends every cut of a network. A network without cuts stays as it is.
func (f *Fabric) Heal(network string) error {
	if !f.hasNetwork(network) {
		return fmt.Errorf("network %s: %w", network, ErrUnknown)
	}
	f.cuts.mu.Lock()
	defer f.cuts.mu.Unlock()
	if len(f.cuts.cuts[network]) == 0 {
		return nil
	}
	return f.cuts.set(network, nil)
}

// across adds every pair from one of sources to one of targets.
func across(to map[pair]bool, sources, targets []int) {
	for _, source := range sources {
		for _, target := range targets {
			to[pair{source, target}] = true
		}
	}
}

// hasNetwork reports whether the plan has a network.
func (f *Fabric) hasNetwork(name string) bool {
	for _, network := range f.plan.Networks {
		if network.Name == name {
			return true
		}
	}
	return false
}

// portsOn are the ports of a node on a network, none if it has no link there.
func (f *Fabric) portsOn(network, nodeName string) []int {
	var ports []int
	n := f.nodes[nodeName]
	for _, link := range n.plan.Links {
		if link.Network == network {
			ports = append(ports, n.ports[link.Name])
		}
	}
	return ports
}

// portsOf is portsOn for names that somebody has typed.
func (f *Fabric) portsOf(network, nodeName string) ([]int, error) {
	if !f.hasNetwork(network) {
		return nil, fmt.Errorf("network %s: %w", network, ErrUnknown)
	}
	if _, ok := f.nodes[nodeName]; !ok {
		return nil, fmt.Errorf("node %s: %w", nodeName, ErrUnknown)
	}
	ports := f.portsOn(network, nodeName)
	if len(ports) == 0 {
		return nil, fmt.Errorf("link of node %s to network %s: %w", nodeName, network, ErrUnknown)
	}
	return ports, nil
}

// set makes the cuts of one network those wanted. The caller holds mu.
func (c *cutTable) set(network string, wanted map[pair]bool) error {
	if err := c.build(); err != nil {
		return err
	}
	current := c.cuts[network]
	var add, remove []pair
	for p := range wanted {
		if !current[p] {
			add = append(add, p)
		}
	}
	for p := range current {
		if !wanted[p] {
			remove = append(remove, p)
		}
	}
	if err := c.change(c.conn.SetAddElements, add); err != nil {
		return fmt.Errorf("cut network %s: %w", network, err)
	}
	if err := c.change(c.conn.SetDeleteElements, remove); err != nil {
		return fmt.Errorf("heal network %s: %w", network, err)
	}
	c.cuts[network] = wanted
	for _, left := range c.cuts {
		if len(left) > 0 {
			return nil
		}
	}
	return c.remove()
}

// change adds or deletes elements.
func (c *cutTable) change(how func(*nftables.Set, []nftables.SetElement) error, pairs []pair) error {
	slices.SortFunc(pairs, func(a, b pair) int {
		return cmp.Or(cmp.Compare(a.from, b.from), cmp.Compare(a.to, b.to))
	})
	for part := range slices.Chunk(pairs, batch) {
		elements := make([]nftables.SetElement, len(part))
		for i, p := range part {
			elements[i].Key = append(binaryutil.NativeEndian.PutUint32(uint32(p.from)), binaryutil.NativeEndian.PutUint32(uint32(p.to))...)
		}
		if err := how(c.pairs, elements); err != nil {
			return err
		}
		if err := c.conn.Flush(); err != nil {
			return err
		}
	}
	return nil
}

// build adds the table where it is not there.
func (c *cutTable) build() error {
	if c.built {
		return nil
	}
	c.cuts = map[string]map[pair]bool{}
	c.table = c.conn.AddTable(&nftables.Table{Name: "cuts", Family: nftables.TableFamilyBridge})
	c.pairs = &nftables.Set{
		Table: c.table, Name: "pairs", Concatenation: true,
		KeyType: nftables.MustConcatSetType(nftables.TypeIFIndex, nftables.TypeIFIndex),
	}
	if err := c.conn.AddSet(c.pairs, nil); err != nil {
		return fmt.Errorf("table of cuts: %w", err)
	}
	accept := nftables.ChainPolicyAccept
	chain := c.conn.AddChain(&nftables.Chain{
		Table: c.table, Name: "forward", Type: nftables.ChainTypeFilter, Policy: &accept,
		Hooknum: nftables.ChainHookForward, Priority: nftables.ChainPriorityFilter,
	})
	c.conn.AddRule(&nftables.Rule{Table: c.table, Chain: chain, Exprs: []expr.Any{
		// Four bytes each, so both lie side by side in registers of four bytes.
		&expr.Meta{Key: expr.MetaKeyIIF, Register: firstRegister},
		&expr.Meta{Key: expr.MetaKeyOIF, Register: firstRegister + 1},
		&expr.Lookup{SourceRegister: firstRegister, SetName: c.pairs.Name, SetID: c.pairs.ID},
		&expr.Counter{},
		&expr.Verdict{Kind: expr.VerdictDrop},
	}})
	if err := c.conn.Flush(); err != nil {
		return fmt.Errorf("table of cuts (takes nftables for bridges, CONFIG_NF_TABLES_BRIDGE): %w", err)
	}
	c.built = true
	return nil
}

// firstRegister is NFT_REG32_00 of linux/netfilter/nf_tables.h.
const firstRegister = 8

// remove deletes the table.
func (c *cutTable) remove() error {
	c.conn.DelTable(c.table)
	if err := c.conn.Flush(); err != nil {
		return fmt.Errorf("remove the table of cuts: %w", err)
	}
	c.built = false
	return nil
}
