package home

import (
	"net/netip"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// What this stack sends to a DVIPA leaves for its owner, from the address on XCF, although the DVIPA is an address of this
// stack, and goes out and in again where this stack is the owner; what comes for it stays. Without an owner elsewhere it is an address like any other.
func TestOwners(t *testing.T) {
	t.Parallel()
	stack, _ := newHosts(t)
	h := stack.open()
	four, six := netip.MustParseAddr("192.0.2.100"), netip.MustParseAddr("2001:db8::100")
	// way is where a packet goes, by the gateway, from the source.
	way := func(to netip.Addr) string {
		t.Helper()
		routes, err := stack.nl.RouteGet(to.AsSlice())
		must(t, err)
		if routes[0].Type == unix.RTN_LOCAL {
			return "here"
		}
		if routes[0].LinkIndex == h.loop.Attrs().Index {
			return "round from " + routes[0].Src.String()
		}
		return routes[0].Gw.String() + " from " + routes[0].Src.String()
	}
	for _, dvipa := range []netip.Addr{four, six} {
		must(t, h.Activate(dvipa))
	}
	for _, step := range []struct{ owner, want4, want6 string }{
		{"", "here", "here"},
		{"10.1.0.2", "10.1.0.2 from 10.1.0.1", "fe80::5efe:a01:2 from fe80::5efe:a01:1"},
		{"10.1.0.2", "10.1.0.2 from 10.1.0.1", "fe80::5efe:a01:2 from fe80::5efe:a01:1"},
		{"10.1.0.3", "10.1.0.3 from 10.1.0.1", "fe80::5efe:a01:3 from fe80::5efe:a01:1"},
		{"10.1.0.1", "round from 10.1.0.1", "round from fe80::5efe:a01:1"}, // this stack
		{"", "here", "here"},
		{"10.1.0.3", "10.1.0.3 from 10.1.0.1", "fe80::5efe:a01:3 from fe80::5efe:a01:1"},
	} {
		owners := map[netip.Addr]netip.Addr{}
		if step.owner != "" {
			owner := netip.MustParseAddr(step.owner)
			owners = map[netip.Addr]netip.Addr{four: owner, six: owner}
		}
		must(t, h.SetOwners(owners))
		if got := way(four); got != step.want4 {
			t.Errorf("with owner %q packets to %v go %s, want %s", step.owner, four, got, step.want4)
		}
		if got := way(six); got != step.want6 {
			t.Errorf("with owner %q packets to %v go %s, want %s", step.owner, six, got, step.want6)
		}
	}
	coming, err := stack.nl.RouteGetWithOptions(four.AsSlice(), &netlink.RouteGetOptions{
		Iif: h.xcf.Attrs().Name, SrcAddr: netip.MustParseAddr("10.1.0.3").AsSlice(),
	})
	must(t, err)
	if coming[0].Type != unix.RTN_LOCAL {
		t.Errorf("a packet that comes for the DVIPA goes on by %v, want it to stay", coming[0])
	}

	// A stack that takes over what another owns meanwhile has its address, before anything that it sends there stays.
	taken := netip.MustParseAddr("2001:db8::101")
	must(t, h.SetOwners(map[netip.Addr]netip.Addr{taken: netip.MustParseAddr("10.1.0.3")}))
	must(t, h.Activate(taken))
	must(t, h.Deactivate(taken))

	// An earlier process may have left all of it.
	again := stack.open()
	must(t, again.Activate(four))
	if got := way(four); got != "here" {
		t.Errorf("after the next start packets to %v go %s, want here", four, got)
	}
	must(t, again.Close())
	for _, name := range []string{loopOut, LoopInterface} {
		if _, err := stack.nl.LinkByName(name); err == nil {
			t.Errorf("after Close there is %s still", name)
		}
	}
	rules, err := stack.nl.RuleList(unix.AF_INET)
	must(t, err)
	var got []int
	for _, r := range rules {
		got = append(got, r.Priority)
	}
	if len(got) != 3 || got[0] > 0 {
		t.Errorf("after Close the rules have places %v, want those of a new namespace", got)
	}
}
