package datapath

import (
	"net/netip"
	"testing"

	"github.com/plexlab-dev/plexlab/nodes/contract"
	"github.com/plexlab-dev/plexlab/nodes/vipa"
)

// Addresses are those of the tests' lab: the DVIPA, that of the client, and what host n has on the outside and
// on XCF. The prefix lengths are 24, those of IPv6 longer by 96.
type addresses struct {
	family
	dvipa, remote netip.Addr
	outside, xcf  func(n int) netip.Addr
}

// addressesOf makes addresses of the prefixes of the outside and of XCF.
func addressesOf(f family, outside, xcf string) addresses {
	in := func(subnet string, last int) netip.Addr {
		b := netip.MustParseAddr(subnet).AsSlice()
		b[len(b)-1] = byte(last)
		a, _ := netip.AddrFromSlice(b)
		return a
	}
	return addresses{
		family: f, dvipa: in(outside, 100), remote: in(outside, 1),
		outside: func(n int) netip.Addr { return in(outside, 10+n) },
		xcf:     func(n int) netip.Addr { return in(xcf, 10+n) },
	}
}

const outside4, outside6, xcf4, xcf6 = "192.0.2.0", "2001:db8::", "10.1.0.0", "fd00:1::"

var of4 = addressesOf(ipv4, outside4, xcf4)

// everyFamily are the families as they can be forwarded.
var everyFamily = map[string]addresses{
	"IPv4":                of4,
	"IPv6":                addressesOf(ipv6, outside6, xcf6),
	"IPv6 on XCF of IPv4": addressesOf(ipv6, outside6, xcf4),
}

// eachFamily runs a test for every family, side by side.
func eachFamily(t *testing.T, fn func(t *testing.T, a addresses)) {
	t.Parallel()
	for name, a := range everyFamily {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fn(t, a)
		})
	}
}

// prefix is an address with the length of its subnet.
func prefix(a netip.Addr) netip.Prefix { return netip.PrefixFrom(a, a.BitLen()-8) }

// figure is what a Path holds of the family.
func (a addresses) figure(p *Path) *figure { return p.of(a.dvipa) }

func (a addresses) own() []vipa.Action {
	return []vipa.Action{vipa.Activate{DVIPA: a.dvipa}, vipa.Advertise{Prefix: prefix(a.dvipa), Epoch: 1}}
}

func (a addresses) service(port uint16) netip.AddrPort { return netip.AddrPortFrom(a.dvipa, port) }

// distribute makes hosts the current actual targets of a port.
func (a addresses) distribute(port uint16, hosts ...int) vipa.SetTargets {
	set := vipa.SetTargets{Service: a.service(port)}
	for _, n := range hosts {
		set.Targets = append(set.Targets, contract.Target{XCF: a.xcf(n)})
	}
	return set
}

func (a addresses) from(source uint16) contract.Connection {
	return contract.Connection{Remote: netip.AddrPortFrom(a.remote, source), Local: a.service(80)}
}

func (a addresses) add(target int, source uint16) vipa.AddConnections {
	return vipa.AddConnections{Target: a.xcf(target), Connections: []contract.Connection{a.from(source)}}
}

func (a addresses) end(target int, source uint16) vipa.EndConnections {
	return vipa.EndConnections{Target: a.xcf(target), Connections: []contract.Connection{a.from(source)}}
}
