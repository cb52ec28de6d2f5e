package routing

import (
	"math"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestTheNewerOwnerIsTheCheaper(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		protocol Protocol
		most     uint32
	}{{OSPF, 0xfffffe}, {RIP, 11}} {
		anew := uint64(c.most) // where the range begins anew
		for _, epoch := range []uint64{0, 1, 7, anew - 1, anew, anew + 1, 3*anew - 1, math.MaxUint64 - 1} {
			older, newer := Cost(c.protocol, epoch), Cost(c.protocol, epoch+1)
			if older < 1 || older > c.most {
				t.Errorf("%s, epoch %d: got cost %d, want 1 to %d", c.protocol, epoch, older, c.most)
			}
			if begins := (epoch+1)%anew == 0; begins && (older != 1 || newer != c.most) || !begins && newer != older-1 {
				t.Errorf("%s, epochs %d and %d: got costs %d and %d, want one less, or %d after 1", c.protocol, epoch, epoch+1, older, newer, c.most)
			}
		}
	}
}

func TestRoutes(t *testing.T) {
	t.Parallel()
	owned := map[netip.Addr]ownership{}
	for text, epoch := range map[string]uint64{"198.51.100.10/24": 3, "198.51.100.11/24": 5, "203.0.113.1/32": 2, "2001:db8::1/64": 4} {
		prefix := netip.MustParsePrefix(text)
		owned[prefix.Addr()] = ownership{prefix: prefix, epoch: epoch}
	}
	want := []route{
		{netip.MustParsePrefix("2001:db8::1/128"), 7},
		{netip.MustParsePrefix("2001:db8::/64"), 7},
		{netip.MustParsePrefix("198.51.100.10/32"), 8},
		{netip.MustParsePrefix("198.51.100.11/32"), 6},
		{netip.MustParsePrefix("203.0.113.1/32"), 9},
		{netip.MustParsePrefix("198.51.100.0/24"), 6},
	}
	if diff := cmp.Diff(want, routes(RIP, owned), cmpopts.EquateComparable(netip.Prefix{})); diff != "" {
		t.Errorf("routes (-want +got):\n%s", diff)
	}
}

func TestRouterID(t *testing.T) {
	t.Parallel()
	if got := RouterID(netip.MustParseAddr("10.1.0.7")); got != netip.MustParseAddr("10.1.0.7") {
		t.Errorf("of an IPv4 address: got %v, want itself", got)
	}
	one, two := RouterID(netip.MustParseAddr("fd00::1")), RouterID(netip.MustParseAddr("fd00::2"))
	if !one.Is4() || !two.Is4() || one == two {
		t.Errorf("of IPv6 addresses: got %v and %v, want two that differ, in the form of IPv4", one, two)
	}
}
