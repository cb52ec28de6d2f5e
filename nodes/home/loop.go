package home

import (
	"errors"
	"fmt"
	"net"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// What the owner of a DVIPA opens to it itself is distributed as well. The kernel would deliver it here, past the
// hooks that packets are seen by as they arrive; so it leaves by one end of a pair of links and arrives by the other,
// where the data path takes it for what came by XCF.

const (
	// loopOut is the end that packets leave by, LoopInterface the one that they arrive by.
	loopOut = "own0"
	// LoopInterface is where packets arrive that this stack sends to DVIPAs of its own. It is there while a Home is open.
	LoopInterface = "own1"
)

// loopMAC is the address of both ends: links without ARP address each packet to themselves.
var loopMAC = net.HardwareAddr{0x02, 0, 0, 0, 0, 0x01}

// openLoop makes the pair of links, in place of one that an earlier process left.
func (h *Home) openLoop() (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("make the links %s and %s for DVIPAs of this stack: %w", loopOut, LoopInterface, err)
		}
	}()
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.MTU, attrs.HardwareAddr = loopOut, h.xcf.Attrs().MTU, loopMAC
	pair := &netlink.Veth{LinkAttrs: attrs, PeerName: LoopInterface, PeerHardwareAddr: loopMAC}
	if err = h.nl.LinkAdd(pair); errors.Is(err, unix.EEXIST) {
		if err = h.closeLoop(); err == nil {
			err = h.nl.LinkAdd(pair)
		}
	}
	if err != nil {
		return err
	}
	if h.loop, err = h.nl.LinkByName(loopOut); err != nil {
		return err
	}
	ends := []netlink.LinkAttrs{
		{Name: loopOut, Index: h.loop.Attrs().Index},
		{Name: LoopInterface, Index: h.loop.Attrs().ParentIndex}, // of a pair, the other end
	}
	for _, end := range ends {
		if err := configure(loopSettings(end.Name)); err != nil {
			return err
		}
		link := &netlink.Device{LinkAttrs: end}
		if err := h.nl.LinkSetARPOff(link); err != nil {
			return err
		}
		if err := h.nl.LinkSetUp(link); err != nil {
			return err
		}
	}
	if h.hop == nil {
		return nil
	}
	// The source that targets answer by XCF; a link-local address is one of its link.
	return h.nl.AddrReplace(h.loop, h.hop)
}

// closeLoop takes the pair away, if it is there.
func (h *Home) closeLoop() error {
	link, err := h.nl.LinkByName(loopOut)
	if errors.As(err, new(netlink.LinkNotFoundError)) {
		return nil
	}
	if err == nil {
		err = h.nl.LinkDel(link)
	}
	if errors.Is(err, unix.ENODEV) {
		return nil
	}
	return err
}

// loopSettings are those of one end: what arrives has a source of this stack.
func loopSettings(name string) []setting {
	return []setting{
		{name: "ipv4/conf/" + name + "/rp_filter", value: "0"},
		{name: "ipv4/conf/" + name + "/accept_local", value: "1"},
		{name: "ipv4/conf/" + name + "/arp_ignore", value: "8"},
		{name: "ipv4/conf/" + name + "/send_redirects", value: "0"},
		{"ipv6/conf/" + name + "/accept_ra", "0", true},
		{"ipv6/conf/" + name + "/accept_redirects", "0", true},
	}
}
