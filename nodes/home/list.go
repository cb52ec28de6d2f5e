package home

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"
)

// Kind says what an address of the home list is.
type Kind string

// The kinds of address.
const (
	Real     Kind = "real"     // of a link to the outside
	XCF      Kind = "xcf"      // on the inter-stack network
	Loopback Kind = "loopback" // 127.0.0.1 and the like
	DVIPA    Kind = "dvipa"
)

// Address is one row of the home list.
type Address struct {
	Prefix    netip.Prefix
	Interface string
	Kind      Kind
	// Advertised: the network is told that this stack has the address.
	Advertised bool
}

// dumpAttempts bounds how often a dump that changed under way is asked for again.
const dumpAttempts = 8

// List returns every address of the stack, by interface and address.
func (h *Home) List() ([]Address, error) {
	links, err := retry(h.handle.LinkList)
	if err != nil {
		return nil, fmt.Errorf("list addresses: %w", err)
	}
	var all []Address
	for _, link := range links {
		addresses, err := retry(func() ([]netlink.Addr, error) { return h.handle.AddrList(link, netlink.FAMILY_ALL) })
		if err != nil {
			return nil, fmt.Errorf("list addresses of %s: %w", link.Attrs().Name, err)
		}
		for _, a := range addresses {
			ip, _ := netip.AddrFromSlice(a.IP)
			ones, _ := a.Mask.Size()
			all = append(all, h.row(link.Attrs().Name, netip.PrefixFrom(ip.Unmap(), ones)))
		}
	}
	slices.SortStableFunc(all, func(a, b Address) int { return a.Prefix.Addr().Compare(b.Prefix.Addr()) })
	return all, nil
}

func (h *Home) row(link string, prefix netip.Prefix) Address {
	h.mu.Lock()
	advertised, dvipa := h.dvipas[prefix.Addr()]
	h.mu.Unlock()
	row := Address{Prefix: prefix, Interface: link, Kind: Real}
	switch {
	case dvipa && link == "lo":
		row.Kind, row.Advertised = DVIPA, advertised
	case link == "lo":
		row.Kind = Loopback
	case link == h.config.XCFInterface:
		row.Kind = XCF
	default:
		row.Advertised = slices.Contains(h.config.Outside, link)
	}
	return row
}

// retry asks again where the kernel says that what it listed changed meanwhile.
func retry[T any](list func() (T, error)) (T, error) {
	for attempt := 1; ; attempt++ {
		all, err := list()
		if !errors.Is(err, netlink.ErrDumpInterrupted) || attempt == dumpAttempts {
			return all, err
		}
	}
}
