package home

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/plexlab-dev/plexlab/nodes/contract"
)

// What a stack opens itself to a DVIPA goes to its owner, by XCF or, where it is the owner itself, by its pair of links, and
// is distributed there, also where the DVIPA is an address of this stack: a table of its own, with the owners of DVIPAs, is
// asked before that of local addresses, for packets that begin here alone (ip-rule(8): such have lo as the interface
// that they come in by).

const (
	// insideTable has the routes to owners.
	insideTable = 212
	// insideFirst and localSecond are the places of the rules; that of local addresses has the first one by default.
	insideFirst, localSecond = 1, 2
)

// families that rules are for.
var ruleFamilies = []int{unix.AF_INET, unix.AF_INET6}

func insideRule(family int) *netlink.Rule {
	r := netlink.NewRule()
	r.Family, r.Priority, r.Table, r.IifName = family, insideFirst, insideTable, "lo"
	return r
}

func localRule(family, at int) *netlink.Rule {
	r := netlink.NewRule()
	r.Family, r.Priority, r.Table = family, at, unix.RT_TABLE_LOCAL
	return r
}

// openInside has owners asked for before local addresses.
func (h *Home) openInside() error {
	for _, family := range ruleFamilies {
		err := h.addRules(localRule(family, localSecond), insideRule(family))
		if errors.Is(err, unix.EAFNOSUPPORT) || errors.Is(err, unix.EOPNOTSUPP) {
			continue // the kernel is without IPv6
		}
		if err == nil {
			err = h.removeRules(localRule(family, 0))
		}
		if err != nil {
			return fmt.Errorf("ask for the owners of DVIPAs before local addresses: %w", err)
		}
	}
	return nil
}

// closeInside puts the rules back as they were.
func (h *Home) closeInside() error {
	failed := []error{h.setOwners(nil)}
	for _, family := range ruleFamilies {
		err := h.addRules(localRule(family, 0))
		if errors.Is(err, unix.EAFNOSUPPORT) || errors.Is(err, unix.EOPNOTSUPP) {
			continue
		}
		failed = append(failed, err, h.removeRules(insideRule(family), localRule(family, localSecond)))
	}
	return errors.Join(failed...)
}

// addRules adds rules that may be there.
func (h *Home) addRules(rules ...*netlink.Rule) error {
	for _, r := range rules {
		if err := h.nl.RuleAdd(r); err != nil && !errors.Is(err, unix.EEXIST) {
			return fmt.Errorf("add rule %v: %w", r, err)
		}
	}
	return nil
}

// removeRules removes rules that may be gone.
func (h *Home) removeRules(rules ...*netlink.Rule) error {
	for _, r := range rules {
		if err := h.nl.RuleDel(r); err != nil && !errors.Is(err, unix.ENOENT) {
			return fmt.Errorf("remove rule %v: %w", r, err)
		}
	}
	return nil
}

// SetOwners says who owns DVIPAs, by XCF address: what this stack opens to one of them goes there. What was
// said before is over. A DVIPA of IPv6 on an inter-stack network of IPv4 needs IPv6 on its interface; without, it is left
// out.
func (h *Home) SetOwners(owners map[netip.Addr]netip.Addr) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.setOwners(owners)
}

func (h *Home) setOwners(owners map[netip.Addr]netip.Addr) error {
	var failed []error
	set := make(map[netip.Addr]netip.Addr)
	for dvipa, owner := range owners {
		if dvipa.BitLen() != owner.BitLen() && h.hop == nil {
			continue
		}
		if h.owners[dvipa] != owner {
			if err := h.nl.RouteReplace(h.inside(dvipa, owner)); err != nil {
				failed = append(failed, fmt.Errorf("set the way to the owner %v of %v: %w", owner, dvipa, err))
				continue
			}
		}
		set[dvipa] = owner
	}
	for dvipa, owner := range h.owners {
		if _, there := set[dvipa]; there {
			continue
		}
		// The kernel takes a route away with the link that it goes by.
		if err := h.nl.RouteDel(h.inside(dvipa, owner)); err != nil && !errors.Is(err, unix.ESRCH) {
			failed = append(failed, fmt.Errorf("remove the way to the owner %v of %v: %w", owner, dvipa, err))
		}
	}
	h.owners = set
	return errors.Join(failed...)
}

// inside is the route to the owner of a DVIPA. Its source is named: the kernel would take the DVIPA itself, where this
// stack has it.
func (h *Home) inside(dvipa, owner netip.Addr) *netlink.Route {
	family := unix.AF_INET
	if dvipa.Is6() {
		family = unix.AF_INET6
	}
	route := &netlink.Route{
		Family: family, LinkIndex: h.xcf.Attrs().Index, Dst: alone(dvipa).IPNet, Gw: contract.NextHop(dvipa, owner).AsSlice(),
		Src: contract.NextHop(dvipa, h.self).AsSlice(), Table: insideTable, Protocol: routeProtocol,
	}
	if owner == h.self {
		route.LinkIndex, route.Gw, route.Scope = h.loop.Attrs().Index, nil, unix.RT_SCOPE_LINK
	}
	return route
}
