package contract

import (
	"net/netip"
	"testing"
)

func TestNextHop(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ destination, xcf, want string }{
		{"192.0.2.1", "10.1.0.2", "10.1.0.2"},
		{"2001:db8::1", "fd00::2", "fd00::2"},
		{"2001:db8::1", "10.1.0.2", "fe80::5efe:a01:2"},
	} {
		xcf := netip.MustParseAddr(c.xcf)
		hop := NextHop(netip.MustParseAddr(c.destination), xcf)
		if hop.String() != c.want {
			t.Errorf("next hop to %s by %s is %v, want %s", c.destination, c.xcf, hop, c.want)
		}
		if xcf.Is4() && XCFAddress(hop) != xcf {
			t.Errorf("next hop %v is of %v, want %s", hop, XCFAddress(hop), c.xcf)
		}
	}
	if hop := NextHop(netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("fd00::2")); hop.IsValid() {
		t.Errorf("next hop of IPv4 on an inter-stack network of IPv6 is %v, want none", hop)
	}
}
