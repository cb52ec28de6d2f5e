package profile

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
)

// check reports what is wrong between parts that are right in themselves. Parts without a place
// are in force already: they are right among themselves and are not what is reported.
func check(p *Profile) Errors {
	c := &checker{held: map[netip.Addr]Position{}}
	for _, d := range p.Defines {
		c.define(d)
	}
	for _, b := range p.Backups {
		for _, a := range b.Addresses {
			c.hold(a)
		}
	}
	distributed := map[netip.Addr]Position{}
	for _, d := range p.Distributes {
		c.distribute(d, distributed)
	}
	c.ranges(p.Ranges)
	sources := map[string]Position{}
	for _, s := range p.SourceIPAs {
		if before, twice := sources[s.of()]; twice {
			c.errs.Add(s.Pos, "found a second source address for %s, expected only that %s", s.of(), there(before))
		}
		sources[s.of()] = s.Pos
	}
	return c.errs
}

type checker struct {
	errs Errors
	// held are the DVIPAs of VIPADEFine and VIPABackup.
	held map[netip.Addr]Position
}

// hold notes a DVIPA, which can be held by one statement only.
func (c *checker) hold(a Address) {
	if before, twice := c.held[a.Addr]; twice {
		if (a.Pos == Position{}) {
			before, a.Pos = a.Pos, before
		}
		c.errs.Add(a.Pos, "found %s again, expected each DVIPA in one %s or %s; it is %s already", a, kwDefine, kwBackup, there(before))
		return
	}
	c.held[a.Addr] = a.Pos
}

func (c *checker) define(d Define) {
	first := d.Addresses[0]
	subnet := netip.PrefixFrom(first.Addr, d.Bits).Masked()
	for _, a := range d.Addresses {
		c.hold(a)
		switch {
		case !subnet.Contains(a.Addr):
			c.errs.Add(a.Pos, "found %s, expected an address of %s like %s before it: the addresses of one %s are of one subnet (T15)",
				a, subnet, first, kwDefine)
		case d.Bits < a.Addr.BitLen()-1 && a.Addr == subnet.Addr():
			c.errs.Add(a.Pos, "found %s, which is the network %s itself, expected the address of a host", a, subnet)
		case d.Bits < a.Addr.BitLen()-1 && a.Addr.Is4() && !subnet.Contains(a.Addr.Next()):
			c.errs.Add(a.Pos, "found %s, which is the broadcast address of %s, expected the address of a host", a, subnet)
		}
	}
}

func (c *checker) distribute(d Distribute, distributed map[netip.Addr]Position) {
	if _, ok := c.held[d.Address.Addr]; !ok {
		c.errs.Add(d.Address.Pos, "found %s, expected an address of a %s or %s of this profile (I14)", d.Address, kwDefine, kwBackup)
	}
	if before, twice := distributed[d.Address.Addr]; twice {
		c.errs.Add(d.Address.Pos, "found a second %s for %s, expected only that %s", kwDistribute, d.Address, there(before))
	}
	distributed[d.Address.Addr] = d.Address.Pos
	targets := map[netip.Addr]bool{}
	for _, t := range d.Targets {
		if targets[t.Addr] {
			c.errs.Add(t.Pos, "found %s a second time, expected each target once", t.Address)
		}
		targets[t.Addr] = true
		switch held, dvipa := c.held[t.Addr]; {
		case dvipa && t.Pos == Position{}:
			c.errs.Add(held, "found %s, which is a target of the %s in force for %s, expected a DVIPA", t.Address, kwDistribute, d.Address)
		case dvipa:
			c.errs.Add(t.Pos, "found the DVIPA %s, expected the XCF address of a stack", t.Address)
		}
	}
	ports := slices.Clone(d.Ports)
	slices.SortStableFunc(ports, func(a, b Ports) int { return cmp.Compare(a.First, b.First) })
	widest := Ports{}
	for _, these := range ports {
		if these.First <= widest.Last {
			c.errs.Add(these.Pos, "found %s, which overlaps %s, expected each port once", these, widest)
		}
		if these.Last > widest.Last {
			widest = these
		}
	}
}

// ranges reports VIPARanges that overlap: of two, one would decide for an address.
func (c *checker) ranges(all []Range) {
	sorted := slices.Clone(all)
	slices.SortStableFunc(sorted, func(a, b Range) int {
		return cmp.Or(a.Prefix().Addr().Compare(b.Prefix().Addr()), cmp.Compare(a.Bits, b.Bits))
	})
	for i := 1; i < len(sorted); i++ {
		outer, inner := sorted[i-1], sorted[i]
		if !outer.Prefix().Contains(inner.Prefix().Addr()) {
			continue
		}
		found, other := inner, outer
		if (inner.Pos == Position{}) {
			found, other = outer, inner
		}
		c.errs.Add(found.Pos, "found the range %s, expected one apart from %s %s", found.Prefix(), other.Prefix(), there(other.Pos))
		sorted[i] = outer
	}
}

// there says where something is that an error refers to.
func there(p Position) string {
	if (p == Position{}) {
		return "in force"
	}
	return fmt.Sprintf("in line %d", p.Line)
}
