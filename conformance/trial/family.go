package trial

import (
	"fmt"
	"math/bits"
	"net/netip"
	"strings"

	"github.com/onsi/ginkgo/v2"

	"github.com/plexlab-dev/plexlab/harness/impl"
	"github.com/plexlab-dev/plexlab/topo"
)

// A Family is the addresses of a lab of one IP version: XCF network, network 44, and what is on them.
type Family struct {
	// Name is IPv4 or IPv6.
	Name string
	// DVA1 and DVB1 are the DVIPAs of the worked example.
	DVA1, DVB1 netip.Addr
	// Client is the address of the scripted client of a unit-level lab on network 44.
	Client netip.Addr
	// Any is the unspecified address, Loopback that of a stack to itself. Nowhere is on no network.
	Any, Loopback, Nowhere netip.Addr
	// Range is a part of network 44, of 16 addresses, that specs give a VIPARange.
	Range netip.Prefix

	xcf, net44 netip.Prefix
	// net46 begins the addresses of network 46.
	net46 string
	// client is the node that the scripted client stands beside.
	client string
	// mask is that of network 44, as a profile has it.
	mask string
	// suffix of the names of topologies.
	suffix string
}

// IPv4: the stack under test is one of MVS1 to MVS9, the scripted partners are the others: MVSn has XCF
// address 10.1.0.n and, towards network 44, 192.168.44.10n. IPv6 is the like.
var (
	IPv4 = Family{
		Name: "IPv4",
		DVA1: netip.MustParseAddr("192.168.44.10"), DVB1: netip.MustParseAddr("192.168.44.11"),
		Client: netip.MustParseAddr("192.168.44.77"), Any: netip.IPv4Unspecified(),
		Loopback: netip.MustParseAddr("127.0.0.1"), Nowhere: netip.MustParseAddr("10.9.9.9"),
		Range: netip.MustParsePrefix("192.168.44.64/28"),
		xcf:   netip.MustParsePrefix("10.1.0.0/24"), net44: netip.MustParsePrefix("192.168.44.0/24"),
		net46: "192.168.46.", client: "192.168.44.200", mask: "255.255.255.0",
	}
	IPv6 = Family{
		Name: "IPv6",
		DVA1: netip.MustParseAddr("2001:db8:44::10"), DVB1: netip.MustParseAddr("2001:db8:44::11"),
		Client: netip.MustParseAddr("2001:db8:44::77"), Any: netip.IPv6Unspecified(),
		Loopback: netip.IPv6Loopback(), Nowhere: netip.MustParseAddr("fd00:10:9::9"),
		Range: netip.MustParsePrefix("2001:db8:44::40/124"),
		xcf:   netip.MustParsePrefix("fd00:10:1::/64"), net44: netip.MustParsePrefix("2001:db8:44::/64"),
		net46: "2001:db8:46::", client: "2001:db8:44::200", mask: "/64", suffix: "-ipv6",
	}
)

// DescribeFamilies describes the same of both families. An implementation that does not declare the
// capability ipv6 leaves the specs of IPv6 UNIMPLEMENTED.
func DescribeFamilies(text string, describe func(Family), decorators ...any) bool {
	all := append([]any{ginkgo.Offset(1)}, decorators...)
	return ginkgo.Describe(text, append(all, func() {
		for _, f := range []Family{IPv4, IPv6} {
			var needs ginkgo.Labels
			if f.Name == IPv6.Name {
				needs = Needing(impl.IPv6)
			}
			ginkgo.Context("with "+f.Name, needs, func() { describe(f) })
		}
	})...)
}

// Needed ends a spec of a family that the implementation does not serve.
func (f Family) Needed() {
	ginkgo.GinkgoHelper()
	if f.Name == IPv6.Name {
		Needs(impl.IPv6)
	}
}

// Unit starts a unit-level lab. Partners join when the spec says so (Join).
func (f Family) Unit(c UnitConfig) *UnitTrial {
	ginkgo.GinkgoHelper()
	f.Needed()
	return unit(f, c)
}

// System starts the Sysplex of a file of fixtures/topologies, for IPv6 that of its counterpart
// ("figure9.yaml", "figure9-ipv6.yaml"), changed if change is not nil.
func (f Family) System(file string, change func(*topo.Topology)) *SystemTrial {
	ginkgo.GinkgoHelper()
	f.Needed()
	return system(f, file, change)
}

// Busy is System for specs of more packets than a capture can hold: only TCP segments with SYN
// alone or with RST are recorded.
func (f Family) Busy(file string, change func(*topo.Topology)) *SystemTrial {
	ginkgo.GinkgoHelper()
	f.Needed()
	patiently := func(t *topo.Topology) {
		t.Timers.DeadMS = busyDeadMS
		if change != nil {
			change(t)
		}
	}
	return system(f, file, patiently, f.beginsAndResets()...)
}

func (f Family) file(name string) string {
	return strings.TrimSuffix(name, ".yaml") + f.suffix + ".yaml"
}

// XCF is the XCF address of MVSn.
func (f Family) XCF(n int) netip.Addr {
	b := f.xcf.Addr().AsSlice()
	b[len(b)-1] = byte(n)
	a, _ := netip.AddrFromSlice(b)
	return a
}

// Outside is the address of MVSn on network 44.
func (f Family) Outside(n int) netip.Addr {
	a := f.net44.Addr().String()
	return netip.MustParseAddr(fmt.Sprintf("%s%d", strings.TrimSuffix(a, "0"), 100+n))
}

// OnNetwork44 is an address with the length of network 44.
func (f Family) OnNetwork44(a netip.Addr) netip.Prefix { return netip.PrefixFrom(a, f.net44.Bits()) }

// InRange is the address of a number, from 0, in Range; from 16 on it lies beyond.
func (f Family) InRange(n int) netip.Addr {
	a := f.Range.Addr()
	for range n {
		a = a.Next()
	}
	return a
}

// VIPARange is the statement for Range, with keywords or without.
func (f Family) VIPARange(keywords string) string {
	return fmt.Sprintf("VIPARANGE %s /%d %s", keywords, f.Range.Bits(), f.Range.Addr())
}

// OfClient is a port of the client of the fixtures, which is on network 46.
func (f Family) OfClient(port uint16) netip.AddrPort { return netip.AddrPortFrom(f.on46("10"), port) }

// on46 is an address on network 46 of the fixtures, by what it ends in.
func (f Family) on46(end string) netip.Addr { return netip.MustParseAddr(f.net46 + end) }

// Sources is a prefix of n addresses, 1 or 8, that the client of Figure 9 has, as the load client takes it.
func (f Family) Sources(n int) string {
	first := f.on46("32")
	if f.DVA1.Is6() {
		first = f.on46("30")
	}
	return netip.PrefixFrom(first, first.BitLen()-bits.Len(uint(n-1))).String()
}

// InURL is an address and a port as URLs and nginx have them; the address may be a template.
func (f Family) InURL(address string, port uint16) string {
	if f.DVA1.Is6() {
		address = "[" + address + "]"
	}
	return fmt.Sprintf("%s:%d", address, port)
}

// At is a port of DVA1.
func (f Family) At(port uint16) netip.AddrPort { return netip.AddrPortFrom(f.DVA1, port) }

// masked is the text of a profile with the mask of network 44.
func (f Family) masked(profile string) string { return strings.ReplaceAll(profile, "MASK", f.mask) }

// symbols are the names that profiles of a unit-level lab may use.
func (f Family) symbols() map[string]string {
	names := map[string]string{"DVA1": f.DVA1.String(), "DVB1": f.DVB1.String()}
	for n := 1; n <= 9; n++ {
		names[fmt.Sprintf("XCF%d", n)] = f.XCF(n).String()
	}
	return names
}
