package vipa

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"github.com/plexlab-dev/plexlab/nodes/contract"
)

// Change is one thing that another definition would change in the plex.
type Change struct {
	// Subject is what changes: a DVIPA, a range, or "SOURCEIPA" and the name of an application.
	Subject string
	// Text says how, in words for a person.
	Text string
	// Conflict: what is there stands against it; it would not work as written, or not yet.
	Conflict bool
}

// Changes says what ProfileChanged with this definition would change, in order of DVIPAs, ranges
// and applications, each with its conflicts. It changes nothing. It speaks of what the stack knows
// now, which leaves out what partners have defined and not told yet.
func (s *Stack) Changes(def Definition) []Change {
	c := &changes{stack: s, before: s.definition, after: def}
	before, after := s.definition.byDVIPA(), def.byDVIPA()
	addresses := slices.Concat(slices.Collect(maps.Keys(before)), slices.Collect(maps.Keys(after)))
	for address, d := range s.dvipas {
		if d.ranged != nil {
			addresses = append(addresses, address)
		}
	}
	slices.SortFunc(addresses, netip.Addr.Compare)
	for _, address := range slices.Compact(addresses) {
		c.dvipa(address, before[address], after[address])
	}
	c.ranges()
	c.sources()
	return c.all
}

// statements are those of a definition that name one DVIPA.
type statements struct {
	define     *Define
	rank       uint8
	distribute *Distribute
}

func (def Definition) byDVIPA() map[netip.Addr]statements {
	all := make(map[netip.Addr]statements)
	for _, define := range def.Defines {
		st := all[define.Prefix.Addr()]
		st.define = &define
		all[define.Prefix.Addr()] = st
	}
	for _, backup := range def.Backups {
		st := all[backup.DVIPA]
		st.rank = backup.Rank
		all[backup.DVIPA] = st
	}
	for _, distribute := range def.Distributes {
		st := all[distribute.DVIPA]
		st.distribute = &distribute
		all[distribute.DVIPA] = st
	}
	return all
}

func (st statements) distribution() *contract.Distribution {
	if st.distribute == nil {
		return nil
	}
	return &st.distribute.Distribution
}

// changes collects what two definitions differ in.
type changes struct {
	stack         *Stack
	before, after Definition
	all           []Change
}

func (c *changes) add(subject any, format string, args ...any) {
	c.all = append(c.all, Change{Subject: fmt.Sprint(subject), Text: fmt.Sprintf(format, args...)})
}

func (c *changes) conflict(subject any, format string, args ...any) {
	c.all = append(c.all, Change{Subject: fmt.Sprint(subject), Text: fmt.Sprintf(format, args...), Conflict: true})
}

func (c *changes) dvipa(address netip.Addr, before, after statements) {
	c.primary(address, before, after)
	switch {
	case before.rank == after.rank:
	case before.rank == 0:
		c.add(address, "this stack becomes a backup of rank %d", after.rank)
	case after.rank == 0:
		c.add(address, "this stack is no backup any more")
	default:
		c.add(address, "this stack is a backup of rank %d instead of %d", after.rank, before.rank)
	}
	c.distributed(address, before, after)
	c.assigned(address, before, after)
}

// primary: the stack becomes or remains the owner, or is it no more.
func (c *changes) primary(address netip.Addr, before, after statements) {
	d := c.stack.dvipas[address]
	switch {
	case before.define == nil && after.define != nil:
		if d != nil && d.routing == nil && c.stack.owned(d) {
			c.add(address, "it moves here from %s, which owns it at epoch %d, and is advertised as %s",
				d.listed.owner.Stack, d.listed.entry.Epoch, after.define.Prefix)
			return
		}
		c.add(address, "this stack becomes its owner and advertises it as %s", after.define.Prefix)
	case before.define != nil && after.define == nil && d.routing == nil:
		c.add(address, "this stack would not take it back any more")
	case before.define != nil && after.define == nil:
		c.add(address, "this stack owns it no more and withdraws it from the network")
		for _, number := range slices.Sorted(maps.Keys(d.routing.unique)) {
			c.conflict(address, "unique port %d of %s is not routed any more", number, c.name(d.routing.holder(number)))
		}
	case before.define != nil && before.define.Prefix != after.define.Prefix:
		c.add(address, "it is advertised as %s instead of %s", after.define.Prefix, before.define.Prefix)
	}
}

// distributed: another distribution, and what stands against it.
func (c *changes) distributed(address netip.Addr, before, after statements) {
	was, is := before.distribution(), after.distribution()
	switch {
	case inWords(was) == inWords(is):
		return
	case was == nil:
		c.add(address, "it is distributed: %s", inWords(is))
	case is == nil:
		c.add(address, "it is not distributed any more; it was: %s", inWords(was))
	default:
		c.add(address, "it is distributed: %s; it was: %s", inWords(is), inWords(was))
	}
	d := c.stack.dvipas[address]
	if d == nil || d.routing == nil {
		return
	}
	for _, number := range slices.Sorted(maps.Keys(d.routing.unique)) {
		if assignment(was, number) == Unique && assignment(is, number) == Shared {
			c.conflict(address, "port %d, which becomes a distributed one, is a unique port of %s; "+
				"its connections go there until it is closed", number, c.name(d.routing.holder(number)))
		}
	}
}

// assigned: CLUSTERPORTS comes or goes, and what stands against it.
func (c *changes) assigned(address netip.Addr, before, after statements) {
	was, is := c.clusterPorts(c.before, address, before), c.clusterPorts(c.after, address, after)
	d := c.stack.dvipas[address]
	switch active := d != nil && d.active; {
	case was && !is:
		c.add(address, "its ports are not assigned cluster-wide any more; those in use stay assigned until they are closed")
	case is && !was && active:
		c.add(address, "its ports are assigned cluster-wide; those in use already are marked, on behalf of its targets too")
	case is && !was:
		c.add(address, "its ports are assigned cluster-wide")
	}
	if !is || d == nil || d.routing == nil {
		return
	}
	for _, number := range slices.Sorted(maps.Keys(d.routing.dpt)) {
		targets := d.routing.dpt[number]
		already := was && assignment(before.distribution(), number) == Unique
		if len(targets) < 2 || already || assignment(after.distribution(), number) == Shared {
			continue
		}
		var stacks []string
		for _, t := range targets {
			stacks = append(stacks, c.name(t.XCF))
		}
		c.conflict(address, "port %d would be a unique one, and %s listen on it; only one of them can have it",
			number, strings.Join(stacks, " and "))
	}
}

// clusterPorts is what a definition says of CLUSTERPORTS for a DVIPA.
func (c *changes) clusterPorts(def Definition, address netip.Addr, st statements) bool {
	d := c.stack.dvipas[address]
	ranged := st.define == nil && d != nil && d.ranged != nil
	if st.define == nil && st.rank == 0 && !ranged {
		return false
	}
	if st.define != nil && st.define.ClusterPorts || st.distribute != nil && st.distribute.ClusterPorts {
		return true
	}
	switch in := rangeOf(def.Ranges, address); {
	case in != nil:
		return in.ClusterPorts && (st.define != nil || ranged)
	default:
		return ranged && d.rangePorts
	}
}

// ranges: VIPARanges that come, change and go.
func (c *changes) ranges() {
	before, after := make(map[netip.Prefix]Range), make(map[netip.Prefix]Range)
	for _, r := range c.before.Ranges {
		before[r.Prefix] = r
	}
	for _, r := range c.after.Ranges {
		after[r.Prefix] = r
		was, known := before[r.Prefix]
		if !known {
			c.add(r.Prefix, "a bind to an address of this range activates it here, %s", r.inWords())
			c.membersIn(r.Prefix)
			continue
		}
		if r.Distribute != was.Distribute {
			c.add(r.Prefix, "DVIPAs that are activated later are %s; those active now are not affected", r.distributed())
		}
		if r.ClusterPorts != was.ClusterPorts {
			c.add(r.Prefix, "ports of its DVIPAs are assigned %s", r.assigned())
		}
	}
	for _, r := range c.before.Ranges {
		if _, stays := after[r.Prefix]; !stays {
			c.add(r.Prefix, "binds activate no address of this range any more; those active now stay until they are unused")
		}
	}
}

// membersIn: an address of a range that is a stack's XCF address is never activated.
func (c *changes) membersIn(prefix netip.Prefix) {
	for _, xcf := range slices.Concat([]netip.Addr{c.stack.self.XCF}, sortedAddresses(c.stack.members)) {
		if prefix.Contains(xcf) {
			c.conflict(prefix, "it holds %s, the XCF address of %s, which is never activated", xcf, c.name(xcf))
		}
	}
}

// sources: SOURCEIPA rules that come, change and go.
func (c *changes) sources() {
	before, after := sourcesOf(c.before), sourcesOf(c.after)
	for _, subject := range slices.Sorted(maps.Keys(union(before, after))) {
		was, is := before[subject], after[subject]
		switch {
		case was == is:
		case !is.IsValid():
			c.add(subject, "connections do not come from %s any more", was)
		case !was.IsValid():
			c.add(subject, "connections come from %s", is)
		default:
			c.add(subject, "connections come from %s instead of %s", is, was)
		}
	}
}

// name is the name of a living stack, or its XCF address.
func (c *changes) name(xcf netip.Addr) string {
	if xcf == c.stack.self.XCF {
		return c.stack.self.Stack
	}
	if m := c.stack.members[xcf]; m != nil {
		return m.Stack
	}
	return xcf.String()
}

func union[K comparable, V any](a, b map[K]V) map[K]V {
	all := maps.Clone(a)
	maps.Copy(all, b)
	return all
}

func (r Range) inWords() string { return r.distributed() + ", its ports assigned " + r.assigned() }

func (r Range) distributed() string {
	if r.Distribute {
		return "distributed to ALL"
	}
	return "not distributed"
}

func (r Range) assigned() string {
	if r.ClusterPorts {
		return "cluster-wide"
	}
	return "by each stack"
}

// inWords describes a distribution, "" for none.
func inWords(dist *contract.Distribution) string {
	if dist == nil {
		return ""
	}
	ports := "all ports"
	if len(dist.Ports) > 0 {
		var words []string
		for _, r := range dist.Ports {
			word := fmt.Sprint(r.First)
			if r.Last != r.First {
				word += fmt.Sprintf("-%d", r.Last)
			}
			words = append(words, word)
		}
		ports = "ports " + strings.Join(words, ", ")
	}
	if dist.All {
		return ports + " to ALL"
	}
	var words []string
	for _, t := range dist.Targets {
		word := t.XCF.String()
		if weight(t) > 1 {
			word += fmt.Sprintf(" (weight %d)", t.Weight)
		}
		words = append(words, word)
	}
	return ports + " to " + strings.Join(words, ", ")
}

// sourcesOf are the addresses by what the rules are about: an application has a source of either family.
func sourcesOf(d Definition) map[string]netip.Addr {
	sources := make(map[string]netip.Addr)
	for _, r := range d.SourceIPAs {
		subject := "SOURCEIPA " + r.Application
		if r.Address.Is6() {
			subject += " for IPv6"
		}
		sources[subject] = r.Address
	}
	return sources
}
