package home

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// label marks the DVIPAs of IPv4 on lo; IPv6 addresses have no labels.
const label = "lo:dvipa"

// address is a DVIPA as it stands on lo: alone in its prefix. A DVIPA of IPv6 is not probed for
// duplicates, since several stacks hold it, and is deprecated, so that no socket chooses it as
// its source unasked; for IPv4 lo gives no source while another interface has one.
func address(dvipa netip.Addr) *netlink.Addr {
	a := alone(dvipa)
	if dvipa.Is4() {
		a.Label = label
		return a
	}
	a.Flags = unix.IFA_F_NODAD
	a.PreferedLft, a.ValidLft = 0, forever
	return a
}

// alone is an address alone in its prefix.
func alone(a netip.Addr) *netlink.Addr {
	return &netlink.Addr{IPNet: &net.IPNet{IP: a.AsSlice(), Mask: net.CIDRMask(a.BitLen(), a.BitLen())}}
}

const (
	// localPatience bounds the wait for the route of an address; a worker of the kernel sets it.
	localPatience = time.Second
	// localPoll is the time between two looks at it.
	localPoll = 200 * time.Microsecond
)

// awaitLocal waits until packets to an address of IPv6 are delivered here. The kernel puts the address
// there at once, but its route in a worker (addrconf_dad_work, net/ipv6/addrconf.c); a packet in between
// would be answered with "unreachable". What this stack sends to the address may go to another that owns it, still;
// the question is of a packet that comes.
func (h *Home) awaitLocal(dvipa netip.Addr) error {
	if dvipa.Is4() {
		return nil
	}
	coming := &netlink.RouteGetOptions{IifIndex: h.xcf.Attrs().Index}
	for deadline := time.Now().Add(localPatience); ; time.Sleep(localPoll) {
		routes, err := h.nl.RouteGetWithOptions(dvipa.AsSlice(), coming)
		if err == nil && len(routes) > 0 && routes[0].Type == unix.RTN_LOCAL {
			return nil
		}
		if err == nil {
			err = unix.ENETUNREACH
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("activate %v: the kernel has no local route to it after %v: %w", dvipa, localPatience, err)
		}
	}
}

// forever is INFINITY_LIFE_TIME (include/net/addrconf.h).
const forever = 1<<32 - 1

// isDVIPA recognizes an address of lo that Activate put there.
func isDVIPA(a netlink.Addr) bool {
	if a.IP.To4() != nil {
		return a.Label == label
	}
	return a.Flags&unix.IFA_F_DEPRECATED != 0 && !a.IP.IsLoopback()
}

// Kind says what an address of the home list is.
type Kind string

// The kinds of addresses.
const (
	KindReal     Kind = "real"
	KindXCF      Kind = "xcf"
	KindLoopback Kind = "loopback"
	KindDVIPA    Kind = "dvipa"
)

// Address is one row of the home list.
type Address struct {
	// Prefix is the address with the length of its mask, host bits kept.
	Prefix    netip.Prefix
	Interface string
	Kind      Kind
	// Advertised: the network is told that this stack has the address. True of every real
	// address, of a DVIPA between Advertise and Withdraw.
	Advertised bool
}

// List is the home list: every address of the namespace, by address. Link-local addresses of
// IPv6 are left out.
func (h *Home) List() ([]Address, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	links, err := retry(h.nl.LinkList)
	if err != nil {
		return nil, fmt.Errorf("list interfaces: %w", err)
	}
	var list []Address
	for _, link := range links {
		addresses, err := h.addresses(link)
		if err != nil {
			return nil, err
		}
		for _, a := range addresses {
			if row, ok := h.row(link, a); ok {
				list = append(list, row)
			}
		}
	}
	slices.SortFunc(list, func(a, b Address) int { return a.Prefix.Addr().Compare(b.Prefix.Addr()) })
	return list, nil
}

func (h *Home) row(link netlink.Link, a netlink.Addr) (Address, bool) {
	address, ok := netip.AddrFromSlice(a.IP)
	if !ok || a.IP.IsLinkLocalUnicast() {
		return Address{}, false
	}
	address = address.Unmap()
	ones, _ := a.Mask.Size()
	row := Address{Prefix: netip.PrefixFrom(address, ones), Interface: link.Attrs().Name}
	switch {
	case h.active[address]:
		row.Kind = KindDVIPA
		_, row.Advertised = h.advertised[address]
	case link.Attrs().Flags&net.FlagLoopback != 0:
		row.Kind = KindLoopback
	case link.Attrs().Index == h.xcf.Attrs().Index:
		row.Kind = KindXCF
	default:
		row.Kind, row.Advertised = KindReal, true
	}
	return row, true
}

func (h *Home) addresses(link netlink.Link) ([]netlink.Addr, error) {
	addresses, err := retry(func() ([]netlink.Addr, error) { return h.nl.AddrList(link, netlink.FAMILY_ALL) })
	if err != nil {
		return nil, fmt.Errorf("list addresses of %s: %w", link.Attrs().Name, err)
	}
	return addresses, nil
}

// dumpAttempts bounds how often a listing is begun anew that a change interrupted.
const dumpAttempts = 16

func retry[T any](dump func() ([]T, error)) (all []T, err error) {
	for range dumpAttempts {
		if all, err = dump(); !errors.Is(err, netlink.ErrDumpInterrupted) {
			break
		}
	}
	return all, err
}

// IsLocal says whether packets to an address stay on this stack: it is one of its own.
func (h *Home) IsLocal(a netip.Addr) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	routes, err := h.nl.RouteGet(a.AsSlice())
	return err == nil && len(routes) > 0 && routes[0].Type == unix.RTN_LOCAL
}
