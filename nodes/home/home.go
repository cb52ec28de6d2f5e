// Package home is what the network sees of a stack: its home list (every address it has), the
// DVIPAs among them, their advertising by address ownership, and the stack's way out. It works
// on the network namespace of the process and needs CAP_NET_ADMIN there, for advertising
// CAP_NET_RAW too.
package home

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Config names the links of a stack.
type Config struct {
	// XCFInterface leads to the other stacks. Required.
	XCFInterface string
	// Outside are the links to the network; none for an inside stack.
	Outside []string
}

// Home holds the addresses of one stack. It is safe for concurrent use.
type Home struct {
	config  Config
	handle  *netlink.Handle
	lo, xcf netlink.Link

	mu      sync.Mutex
	dvipas  map[netip.Addr]bool // whether advertised
	wayOut  netip.Addr
	ending  context.Context
	end     context.CancelFunc
	repeats sync.WaitGroup
}

// Open prepares the links: the sysctls that DVIPAs need. Addresses and routes stay as they are.
func Open(c Config) (*Home, error) {
	handle, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("open home list: %w", err)
	}
	h := &Home{config: c, handle: handle, dvipas: map[netip.Addr]bool{}}
	if err := h.prepare(); err != nil {
		handle.Close()
		return nil, fmt.Errorf("open home list: %w", err)
	}
	h.ending, h.end = context.WithCancel(context.Background())
	return h, nil
}

func (h *Home) prepare() (err error) {
	if h.lo, err = h.handle.LinkByName("lo"); err != nil {
		return fmt.Errorf("find loopback interface: %w", err)
	}
	if h.xcf, err = h.handle.LinkByName(h.config.XCFInterface); err != nil {
		return fmt.Errorf("find XCF interface %q: %w", h.config.XCFInterface, err)
	}
	for _, name := range h.config.Outside {
		if _, err := h.handle.LinkByName(name); err != nil {
			return fmt.Errorf("find outside interface %q: %w", name, err)
		}
	}
	return h.config.setSysctls()
}

// Activate makes the DVIPA an address of this stack that the network is not told of
// (Figure 11, block 126). One that is active already is left alone.
func (h *Home) Activate(dvipa netip.Addr) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if _, active := h.dvipas[dvipa]; active {
		return nil
	}
	if err := h.handle.AddrReplace(h.lo, hostAddress(dvipa)); err != nil {
		return fmt.Errorf("activate %s: %w", dvipa, err)
	}
	h.dvipas[dvipa] = false
	return nil
}

// Deactivate takes the DVIPA away; one that is not active is left alone. Connections that use
// it keep their sockets and lose their way.
func (h *Home) Deactivate(dvipa netip.Addr) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.deactivate(dvipa)
}

func (h *Home) deactivate(dvipa netip.Addr) error {
	if _, active := h.dvipas[dvipa]; !active {
		return nil
	}
	err := h.handle.AddrDel(h.lo, hostAddress(dvipa))
	if err != nil && !errors.Is(err, unix.EADDRNOTAVAIL) {
		return fmt.Errorf("deactivate %s: %w", dvipa, err)
	}
	delete(h.dvipas, dvipa)
	return nil
}

// hostAddress is the DVIPA as it stands on the loopback interface: alone, without a subnet,
// and at once, without duplicate address detection.
func hostAddress(dvipa netip.Addr) *netlink.Addr {
	address := &netlink.Addr{IPNet: netlink.NewIPNet(dvipa.AsSlice())}
	if dvipa.Is6() {
		address.Flags = unix.IFA_F_NODAD
	}
	return address
}

// SetWayOut makes via, the XCF address of a routing stack, the way to everywhere that no other
// route leads to; the zero Addr ends that.
func (h *Home) SetWayOut(via netip.Addr) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.setWayOut(via)
}

func (h *Home) setWayOut(via netip.Addr) error {
	if via == h.wayOut {
		return nil
	}
	if h.wayOut.IsValid() && (!via.IsValid() || via.BitLen() != h.wayOut.BitLen()) {
		if err := h.handle.RouteDel(h.defaultRoute(h.wayOut)); err != nil && !errors.Is(err, unix.ESRCH) {
			return fmt.Errorf("end way out through %s: %w", h.wayOut, err)
		}
		h.wayOut = netip.Addr{}
	}
	if via.IsValid() {
		if err := h.handle.RouteReplace(h.defaultRoute(via)); err != nil {
			return fmt.Errorf("way out through %s: %w", via, err)
		}
	}
	h.wayOut = via
	return nil
}

func (h *Home) defaultRoute(via netip.Addr) *netlink.Route {
	everywhere := netip.PrefixFrom(zero(via), 0)
	destination := netlink.NewIPNet(everywhere.Addr().AsSlice())
	destination.Mask = make([]byte, len(destination.Mask))
	return &netlink.Route{
		LinkIndex: h.xcf.Attrs().Index, Dst: destination, Gw: via.AsSlice(), Protocol: unix.RTPROT_STATIC,
	}
}

func zero(of netip.Addr) netip.Addr {
	if of.Is4() {
		return netip.IPv4Unspecified()
	}
	return netip.IPv6Unspecified()
}

// Close takes away what was added; sysctls stay.
func (h *Home) Close() error {
	h.end()
	h.repeats.Wait()
	h.mu.Lock()
	defer h.mu.Unlock()
	failed := []error{h.setWayOut(netip.Addr{})}
	var dvipas []netip.Addr
	for dvipa := range h.dvipas {
		dvipas = append(dvipas, dvipa)
	}
	slices.SortFunc(dvipas, netip.Addr.Compare)
	for _, dvipa := range dvipas {
		failed = append(failed, h.deactivate(dvipa))
	}
	h.handle.Close()
	return errors.Join(failed...)
}
