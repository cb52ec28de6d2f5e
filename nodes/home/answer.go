package home

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// answer makes the kernel answer neighbour solicitations for a DVIPA of IPv6 on the outside interfaces
// (RFC 4861, section 7.2.8), or ends that. Were the DVIPA an address of the interface, the kernel would
// answer too, but also name it as the one who asks when it looks for a neighbour itself, and so
// draw packets away from a stack that has become the owner meanwhile. For IPv4 the kernel answers for
// addresses on lo by itself.
func (h *Home) answer(dvipa netip.Addr, on bool) error {
	if dvipa.Is4() {
		return nil
	}
	var failed []error
	for _, a := range h.outside {
		proxy := &netlink.Neigh{LinkIndex: a.index, Family: unix.AF_INET6, Flags: netlink.NTF_PROXY, IP: dvipa.AsSlice()}
		change := h.nl.NeighDel
		if on {
			change = h.nl.NeighSet
		}
		// The kernel takes it away with the link, and the link may be gone.
		err := change(proxy)
		if err != nil && (on || !errors.Is(err, unix.ENOENT) && !errors.Is(err, unix.ENODEV)) {
			failed = append(failed, fmt.Errorf("answer neighbours on %s for %v, %v: %w", a.name, dvipa, on, err))
		}
	}
	return errors.Join(failed...)
}
