package datapath

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/plexlab-dev/plexlab/nodes/contract"
)

// State is what the tables hold besides connections, as committed.
type state struct {
	known, owned, settling map[netip.Addr]bool
	// answered are the DVIPAs that were owned at any time; they stay known.
	answered map[netip.Addr]bool
	services map[netip.AddrPort]*selector
	unique   map[netip.AddrPort]netip.Addr
	// users counts the services and unique ports that go to a target's chain; a chain is
	// there as long as it has an entry.
	users map[string]int
	// local: this stack is or was a target of a family itself, so that its set local may have
	// elements and is asked.
	local map[*figure]bool
}

func newState() state {
	return state{
		known: make(map[netip.Addr]bool), owned: make(map[netip.Addr]bool), settling: make(map[netip.Addr]bool),
		answered: make(map[netip.Addr]bool),
		services: make(map[netip.AddrPort]*selector),
		unique:   make(map[netip.AddrPort]netip.Addr),
		users:    make(map[string]int),
		local:    make(map[*figure]bool),
	}
}

// A change is a transaction on the way and what makes the state as it was if it fails.
type change struct {
	*Path
	batch batch
	undo  []func()
	// idle are chains that have lost their last user in this transaction.
	idle []string
}

// configure brings addresses, services and unique ports to what is wanted.
func (p *Path) configure(w wanted) error {
	c := &change{Path: p}
	steps := slices.Concat(
		c.addresses(known, p.state.known, w.known),
		c.addresses(settling, p.state.settling, w.settling),
		c.disown(w.owned),
		c.services(w.services),
		c.uniques(w.unique),
	)
	for _, step := range steps {
		if err := step(); err != nil {
			c.revert()
			return err
		}
		if c.batch.elements >= maxElements/2 {
			if err := c.commit(); err != nil {
				return err
			}
		}
	}
	if err := c.commit(); err != nil {
		return err
	}
	p.own(w.owned)
	return nil
}

// settle lets what matches nothing take its way again, once the connections are there that others told of.
func (p *Path) settle(settled map[netip.Addr]bool) error {
	c := &change{Path: p}
	for _, step := range c.addresses(settling, p.state.settling, settled) {
		if err := step(); err != nil {
			c.revert()
			return err
		}
	}
	return c.commit()
}

func (c *change) commit() error {
	for _, chain := range c.idle {
		if c.state.users[chain] == 0 {
			c.batch.deleteChain(chain)
			delete(c.state.users, chain)
			c.undo = append(c.undo, func() { c.state.users[chain] = 0 })
		}
	}
	err := c.batch.err
	if err == nil {
		err = c.write.commit(&c.batch)
	}
	if err != nil {
		c.revert()
	}
	c.batch, c.undo, c.idle = batch{}, nil, nil
	return err
}

func (c *change) revert() {
	for _, undo := range slices.Backward(c.undo) {
		undo()
	}
}

// assign changes one entry of the state until the transaction fails; the zero value deletes.
func assign[K comparable, V any](c *change, m map[K]V, key K, value V, set bool) {
	before, was := m[key]
	c.undo = append(c.undo, func() {
		delete(m, key)
		if was {
			m[key] = before
		}
	})
	delete(m, key)
	if set {
		m[key] = value
	}
}

// addresses puts DVIPAs into a set of their family or takes them out.
func (c *change) addresses(of func(tables) set, now map[netip.Addr]bool, want map[netip.Addr]bool) []func() error {
	var steps []func() error
	for _, address := range slices.SortedFunc(maps.Keys(want), netip.Addr.Compare) {
		steps = append(steps, func() error {
			there, s := want[address], of(c.of(address).tables)
			if now[address] == there {
				return nil
			}
			if there {
				c.batch.putElements(s, element{key: address.AsSlice()})
			} else {
				c.batch.deleteElements(s, element{key: address.AsSlice()})
			}
			assign(c, now, address, true, there)
			return nil
		})
	}
	return steps
}

// disown ends the ownership of DVIPAs. Their leases are not renewed any more, whether the
// transaction succeeds or not.
func (c *change) disown(want map[netip.Addr]bool) []func() error {
	var steps []func() error
	for _, dvipa := range slices.SortedFunc(maps.Keys(want), netip.Addr.Compare) {
		if want[dvipa] || !c.state.owned[dvipa] {
			continue
		}
		steps = append(steps, func() error {
			c.lease.drop(dvipa)
			discard(&c.batch, c.of(dvipa).owned, []element{{key: dvipa.AsSlice()}}) // its lease may have run out
			assign(c, c.state.owned, dvipa, false, false)
			return nil
		})
	}
	return steps
}

// own notes DVIPAs whose leases may begin. What their packets meet has been committed before.
func (p *Path) own(want map[netip.Addr]bool) {
	for dvipa, owned := range want {
		if owned {
			p.state.owned[dvipa], p.state.answered[dvipa] = true, true
		}
	}
}

// services changes DPT entries (166).
func (c *change) services(want map[netip.AddrPort][]contract.Target) []func() error {
	var steps []func() error
	for _, service := range slices.SortedFunc(maps.Keys(want), netip.AddrPort.Compare) {
		steps = append(steps, func() error { return c.service(service, want[service]) })
	}
	return steps
}

func (c *change) service(service netip.AddrPort, targets []contract.Target) error {
	g, before := c.of(service.Addr()), c.state.services[service]
	chain, entry := serviceChain(service), element{key: serviceKey(service), chain: serviceChain(service)}
	switch {
	case before == nil && len(targets) == 0, before != nil && slices.Equal(before.targets, targets):
		return nil
	case len(targets) == 0:
		c.batch.deleteElements(g.dpt, entry)
		c.batch.deleteChain(chain)
		assign(c, c.state.services, service, nil, false)
	default:
		var taken uint64
		if before != nil {
			rules, err := c.read.rules(chain)
			if err == nil && len(rules) == 0 {
				err = fmt.Errorf("list chain %s: %w", chain, unix.ENOENT)
			}
			if err != nil {
				return err
			}
			taken = rules[0].packets
		}
		after := newSelector(targets, before, taken)
		for _, target := range after.distinct() {
			c.use(g, g.targetChain(target), target, chainSelected)
		}
		if before == nil {
			c.batch.addChain(chain)
			g.addSelector(&c.batch, chain, after)
			c.batch.putElements(g.dpt, entry)
		} else {
			c.batch.emptyChain(chain)
			g.addSelector(&c.batch, chain, after)
		}
		assign(c, c.state.services, service, after, true)
	}
	for _, target := range before.distinct() {
		c.release(g.targetChain(target))
	}
	return nil
}

// uniques changes CRT entries with source zero (167).
func (c *change) uniques(want map[netip.AddrPort]netip.Addr) []func() error {
	var steps []func() error
	for _, service := range slices.SortedFunc(maps.Keys(want), netip.AddrPort.Compare) {
		steps = append(steps, func() error { c.uniquePort(service, want[service]); return nil })
	}
	return steps
}

func (c *change) uniquePort(service netip.AddrPort, target netip.Addr) {
	g := c.of(service.Addr())
	before, was := c.state.unique[service]
	if before == target {
		return
	}
	if target.IsValid() {
		c.use(g, g.uniqueChain(target), target, chainUnique)
	}
	if was {
		c.batch.deleteElements(g.unique, element{key: serviceKey(service), chain: g.uniqueChain(before)})
		c.release(g.uniqueChain(before))
	}
	if target.IsValid() {
		c.batch.putElements(g.unique, element{key: serviceKey(service), chain: g.uniqueChain(target)})
	}
	assign(c, c.state.unique, service, target, target.IsValid())
}

// use adds a user of a target's chain, and the chain with its first user.
func (c *change) use(g *figure, chain string, target netip.Addr, found string) {
	users, there := c.state.users[chain]
	if !there {
		c.batch.addChain(chain)
		if target == c.self && !c.state.local[g] {
			g.askLocal(&c.batch)
			assign(c, c.state.local, g, true, true)
		}
		for _, r := range g.targetRules(chain, target, target == c.self, found) {
			c.batch.addRule(r)
		}
	}
	assign(c, c.state.users, chain, users+1, true)
}

// askLocal has packets looked up among the connections of this stack itself.
func (g *figure) askLocal(b *batch) {
	for _, r := range g.localRules() {
		b.addRule(r)
	}
}

func (c *change) release(chain string) {
	users := c.state.users[chain] - 1
	assign(c, c.state.users, chain, users, true)
	if users == 0 {
		c.idle = append(c.idle, chain)
	}
}
