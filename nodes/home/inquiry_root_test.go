package home

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/vishvananda/netlink"
)

// What another station has is found, whatever the asker has itself; what nobody has is not, and a link that is down
// tells nothing.
func TestElsewhere(t *testing.T) {
	t.Parallel()
	stack, neighbour := newHosts(t)
	h := stack.open("ext0")
	defer h.Close()
	must(t, h.Activate(dvipa4))
	must(t, h.Activate(dvipa6))
	ask := func() (found []netip.Addr) {
		t.Helper()
		asked := []netip.Addr{dvipa4, dvipa6, netip.MustParseAddr("192.0.2.101"), netip.MustParseAddr("2001:db8::101")}
		stack.do(func() (err error) {
			found, err = h.Elsewhere(asked, 50*time.Millisecond)
			return err
		})
		return found
	}
	// A worker of the kernel makes it answer for an address of IPv6 that was just given.
	expect := func(when string, want ...netip.Addr) {
		t.Helper()
		diff := "not asked"
		for deadline := time.Now().Add(localPatience); diff != "" && time.Now().Before(deadline); {
			diff = cmp.Diff(want, ask(), cmpopts.EquateComparable(netip.Addr{}), cmpopts.EquateEmpty())
		}
		if diff != "" {
			t.Errorf("%s (-want +got):\n%s", when, diff)
		}
	}
	expect("before anybody has it")
	neighbour.address("ext0", dvipa4.String()+"/32")
	neighbour.address("ext0", dvipa6.String()+"/128")
	expect("when the neighbour has it", dvipa4, dvipa6)
	known, err := neighbour.nl.NeighList(neighbour.link("ext0").Attrs().Index, 0)
	must(t, err)
	if slices.ContainsFunc(known, func(n netlink.Neigh) bool { return n.IP.Equal(dvipa4.AsSlice()) || n.IP.Equal(dvipa6.AsSlice()) }) {
		t.Errorf("the neighbour has learned of the asker: %v", known)
	}
	must(t, stack.nl.LinkSetDown(stack.link("ext0")))
	expect("when the link is down")
}
