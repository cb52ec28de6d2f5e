// Package home keeps the addresses a stack has, its home list, and how the network sees them:
// DVIPAs on the loopback interface, the kernel settings without which packets for them go
// astray, the announcement of an address that the stack has come to own, and the way out of a
// stack that has no link to the outside.
//
// Every stack that is active for a DVIPA holds it on lo; which of them answers for it is not
// decided here but by the rules of the data path about ARP and neighbour solicitations. A DVIPA
// therefore has to be known there before Activate, and until after Deactivate. For one of IPv6 a stack
// that does not advertise it would not answer anyway.
package home

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"sync"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/plexlab-dev/plexlab/nodes/contract"
)

// Config is what a Home does not change while it is open.
type Config struct {
	// XCF is the address of this stack on the inter-stack network, XCFInterface the interface
	// there. Required.
	XCF          netip.Addr
	XCFInterface string
	// Outside are the interfaces towards the network; none for an inside stack.
	Outside []string
	// FirstPort and LastPort bound the pool of cluster-wide ports; both 0 for none. The kernel takes a
	// port of a failed connection back only if it may choose it, so its own range is widened to
	// hold the pool.
	FirstPort, LastPort uint16
	// Log, nil for the default one.
	Log *slog.Logger
	// OutsideChanged, where not nil, is told when the last link to the outside went down (false) and when one
	// came up again; at Open only if all are down.
	OutsideChanged func(up bool)
}

// A Home is the addresses of one stack. Its methods may be called at the same time.
type Home struct {
	nl      *netlink.Handle
	self    netip.Addr // XCF address
	lo, xcf netlink.Link
	loop    netlink.Link // loopOut
	outside []*announcer
	// hop is the address beside an XCF address of IPv4 by which packets of IPv6 come here, nil
	// without IPv6.
	hop     *netlink.Addr
	watcher *watcher
	log     *slog.Logger

	mu sync.Mutex
	// active are the DVIPAs on lo; advertised those that are announced, with the end of that.
	active     map[netip.Addr]bool
	advertised map[netip.Addr]context.CancelFunc
	// wayOut are the default routes set here, one of a family.
	wayOut []*netlink.Route
	// owners are those of DVIPAs that there are routes to.
	owners         map[netip.Addr]netip.Addr
	outsideChanged func(up bool)
}

// Open takes the network namespace of the calling thread in hand: it makes the settings and
// removes DVIPAs and the way out that an earlier process left. It needs CAP_NET_ADMIN over the
// namespace, CAP_NET_RAW for outside interfaces, and write access to /proc/sys/net.
func Open(c Config) (_ *Home, err error) {
	h := &Home{self: c.XCF, outsideChanged: c.OutsideChanged,
		active: make(map[netip.Addr]bool), advertised: make(map[netip.Addr]context.CancelFunc),
		log: cmp.Or(c.Log, slog.Default()),
	}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("open home list: %w", err), h.closeSockets())
		}
	}()
	if err := configure(settings(c)); err != nil {
		return nil, err
	}
	if h.nl, err = netlink.NewHandle(unix.NETLINK_ROUTE); err != nil {
		return nil, fmt.Errorf("open route netlink socket: %w", err)
	}
	if h.lo, err = h.nl.LinkByName("lo"); err != nil {
		return nil, fmt.Errorf("find lo: %w", err)
	}
	if err := h.nl.LinkSetUp(h.lo); err != nil {
		return nil, fmt.Errorf("set lo up: %w", err)
	}
	if h.xcf, err = h.nl.LinkByName(c.XCFInterface); err != nil {
		return nil, fmt.Errorf("find XCF interface %q: %w", c.XCFInterface, err)
	}
	for _, name := range c.Outside {
		a, err := newAnnouncer(name)
		if err != nil {
			return nil, err
		}
		h.outside = append(h.outside, a)
	}
	if err := h.addHop(c.XCF); err != nil {
		return nil, err
	}
	if err := h.sweep(); err != nil {
		return nil, err
	}
	if err := h.openLoop(); err != nil {
		return nil, err
	}
	if err := h.openInside(); err != nil {
		return nil, err
	}
	return h, h.watch()
}

// Forward makes a routing stack the way out of inside stacks. Before the data path knows the DVIPAs that a neighbour may
// still send here, the kernel would forward what is for them as what is for anybody. It is to be called by a thread in
// the namespace that Open was called in.
func (h *Home) Forward() error {
	if len(h.outside) == 0 {
		return nil
	}
	return configure(forwarding("1"))
}

// addHop gives the stack the address that contract.NextHop makes of its XCF address.
func (h *Home) addHop(xcf netip.Addr) error {
	hop := contract.NextHop(netip.IPv6Unspecified(), xcf)
	if hop == xcf || !hop.IsValid() {
		return nil
	}
	a := alone(hop)
	a.Flags = unix.IFA_F_NODAD
	err := h.nl.AddrReplace(h.xcf, a)
	switch {
	case errors.Is(err, unix.EACCES), errors.Is(err, unix.EOPNOTSUPP):
		return nil // the interface, or the kernel, is without IPv6
	case err != nil:
		return fmt.Errorf("put %v on %s: %w", hop, h.xcf.Attrs().Name, err)
	}
	h.hop = a
	return nil
}

// sweep removes what an earlier process left.
func (h *Home) sweep() error {
	addresses, err := h.addresses(h.lo)
	if err != nil {
		return err
	}
	for _, a := range addresses {
		if isDVIPA(a) {
			if err := h.nl.AddrDel(h.lo, &a); err != nil && !errors.Is(err, unix.EADDRNOTAVAIL) {
				return fmt.Errorf("remove %v of an earlier process from lo: %w", a.IPNet, err)
			}
			if dvipa, _ := netip.AddrFromSlice(a.IP); dvipa.Unmap().Is6() {
				if err := h.answer(dvipa, false); err != nil {
					return err
				}
			}
		}
	}
	for _, family := range []int{unix.AF_INET, unix.AF_INET6} {
		if err := h.sweepRoutes(family); err != nil {
			return err
		}
	}
	return nil
}

// Close takes every DVIPA, the way out and those to owners away. The settings stay.
func (h *Home) Close() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	var failed []error
	for address := range h.active {
		failed = append(failed, h.deactivate(address))
	}
	failed = append(failed, h.setWayOut(netip.Addr{}), h.closeInside(), h.closeLoop())
	if h.hop != nil {
		if err := h.nl.AddrDel(h.xcf, h.hop); err != nil && !errors.Is(err, unix.EADDRNOTAVAIL) {
			failed = append(failed, fmt.Errorf("remove %v from %s: %w", h.hop.IPNet, h.xcf.Attrs().Name, err))
		}
	}
	return errors.Join(append(failed, h.closeSockets())...)
}

func (h *Home) closeSockets() error {
	var failed []error
	if h.watcher != nil {
		failed = append(failed, h.watcher.Close())
	}
	for _, a := range h.outside {
		failed = append(failed, a.Close())
	}
	if h.nl != nil {
		h.nl.Close()
	}
	return errors.Join(failed...)
}

// Activate makes the DVIPA an address of this stack that the network is not told of (Figure
// 11, block 126). It succeeds where the address is active.
func (h *Home) Activate(dvipa netip.Addr) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.active[dvipa] {
		return nil
	}
	if err := h.nl.AddrReplace(h.lo, address(dvipa)); err != nil {
		return fmt.Errorf("activate %v: put address on lo: %w", dvipa, err)
	}
	h.active[dvipa] = true
	return h.awaitLocal(dvipa)
}

// Deactivate takes the DVIPA away from the stack, and ends its advertising. It succeeds where
// the address is not active.
func (h *Home) Deactivate(dvipa netip.Addr) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.deactivate(dvipa)
}

func (h *Home) deactivate(dvipa netip.Addr) error {
	if err := h.withdraw(dvipa); err != nil {
		return err
	}
	if !h.active[dvipa] {
		return nil
	}
	err := h.nl.AddrDel(h.lo, address(dvipa))
	if err != nil && !errors.Is(err, unix.EADDRNOTAVAIL) {
		return fmt.Errorf("deactivate %v: remove address from lo: %w", dvipa, err)
	}
	delete(h.active, dvipa)
	return nil
}

// Advertise tells the network that this stack owns the DVIPA (Figure 10, block 104): caches of
// neighbours that name another stack are put right. The address is active already. The first
// announcement is out on every outside interface that is up when Advertise returns, repeats
// follow; a repeated Advertise begins anew, and so does an interface that comes up.
func (h *Home) Advertise(dvipa netip.Prefix) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	address := dvipa.Addr()
	if !h.active[address] {
		return fmt.Errorf("advertise %v: address is not active", address)
	}
	return h.advertise(address)
}

func (h *Home) advertise(address netip.Addr) error {
	if cancel, ok := h.advertised[address]; ok {
		cancel()
	}
	ctx, cancel := context.WithCancel(context.Background())
	h.advertised[address] = cancel
	failed := []error{h.answer(address, true)}
	for _, a := range h.outside {
		if err := a.announce(ctx, address); err != nil {
			failed = append(failed, fmt.Errorf("advertise %v: %w", address, err))
		}
	}
	return errors.Join(failed...)
}

// Withdraw ends that: no further announcement goes out. It succeeds where the address is not
// advertised.
func (h *Home) Withdraw(dvipa netip.Addr) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.withdraw(dvipa)
}

func (h *Home) withdraw(dvipa netip.Addr) error {
	cancel, ok := h.advertised[dvipa]
	if !ok {
		return nil
	}
	cancel()
	delete(h.advertised, dvipa)
	return h.answer(dvipa, false)
}
