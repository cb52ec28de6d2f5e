package routing

import (
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

const (
	// rulePriority comes after the table of local addresses (0) and before the main one (32766).
	rulePriority = 1000
	// ruleProtocol marks the rules of this package (FRA_PROTOCOL), as routes of a stack are marked.
	ruleProtocol = 212
)

// discards are the rules that drop what a prefix attracts from outside and no address of the stack
// takes.
type discards struct {
	nl         *netlink.Handle
	interfaces []string
	prefixes   map[netip.Prefix]bool
}

// openDiscards removes what an earlier process left.
func openDiscards(interfaces []string) (*discards, error) {
	nl, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("open route netlink socket: %w", err)
	}
	d := &discards{nl: nl, interfaces: interfaces, prefixes: map[netip.Prefix]bool{}}
	for _, family := range []int{unix.AF_INET, unix.AF_INET6} {
		rules, err := nl.RuleList(family)
		if err != nil {
			nl.Close()
			return nil, fmt.Errorf("list routing rules: %w", err)
		}
		for _, r := range rules {
			if r.Protocol != ruleProtocol {
				continue
			}
			r.Family = family
			if err := nl.RuleDel(&r); err != nil {
				nl.Close()
				return nil, fmt.Errorf("remove %v of an earlier process: %w", r, err)
			}
		}
	}
	return d, nil
}

// add drops what comes for a prefix from now on.
func (d *discards) add(prefixes []netip.Prefix) error {
	for _, p := range prefixes {
		if d.prefixes[p] {
			continue
		}
		for _, name := range d.interfaces {
			if err := d.nl.RuleAdd(rule(name, p)); err != nil && !errors.Is(err, unix.EEXIST) {
				return fmt.Errorf("drop what comes by %s for others in %v: %w", name, p, err)
			}
		}
		d.prefixes[p] = true
	}
	return nil
}

// keep ends that for all but these.
func (d *discards) keep(prefixes []netip.Prefix) error {
	kept := map[netip.Prefix]bool{}
	for _, p := range prefixes {
		kept[p] = d.prefixes[p]
	}
	for p := range d.prefixes {
		if kept[p] {
			continue
		}
		for _, name := range d.interfaces {
			if err := d.nl.RuleDel(rule(name, p)); err != nil && !errors.Is(err, unix.ENOENT) {
				return fmt.Errorf("drop no more what comes by %s for others in %v: %w", name, p, err)
			}
		}
		delete(d.prefixes, p)
	}
	return nil
}

func (d *discards) close() error {
	defer d.nl.Close()
	return d.keep(nil)
}

// rule is `ip rule add iif NAME to PREFIX blackhole`.
func rule(name string, prefix netip.Prefix) *netlink.Rule {
	r := netlink.NewRule()
	r.Family = unix.AF_INET6
	if prefix.Addr().Is4() {
		r.Family = unix.AF_INET
	}
	r.Priority, r.Protocol, r.Type, r.IifName = rulePriority, ruleProtocol, unix.RTN_BLACKHOLE, name
	r.Dst = &net.IPNet{IP: prefix.Addr().AsSlice(), Mask: net.CIDRMask(prefix.Bits(), prefix.Addr().BitLen())}
	return r
}
