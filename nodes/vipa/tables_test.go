package vipa_test

import (
	"net/netip"
	"testing"

	"github.com/plexlab-dev/plexlab/nodes/contract"
	"github.com/plexlab-dev/plexlab/nodes/vipa"
)

// TestTablesRoundRobin: with equal weights no two targets differ by more than one connection at
// any time, and a change of one service leaves the turns of another alone.
func TestTablesRoundRobin(t *testing.T) {
	t.Parallel()
	tables := vipa.NewTables(xcf(0))
	service := netip.MustParseAddrPort("10.9.0.1:60")
	targets := []contract.Target{{XCF: xcf(1)}, {XCF: xcf(2)}, {XCF: xcf(0)}}
	tables.Apply(vipa.SetTargets{Service: service, Targets: targets})

	count := make(map[netip.Addr]int)
	for port := range uint16(100) {
		other := vipa.SetTargets{Service: netip.MustParseAddrPort("10.9.0.1:61"), Targets: targets[:1+port%3]}
		tables.Apply(other)
		decision, _ := tables.Route(vipa.Packet{SYN: true, Connection: contract.Connection{
			Remote: netip.AddrPortFrom(netip.MustParseAddr("192.0.2.1"), 1000+port), Local: service,
		}})
		if decision.Local != (decision.Forward == xcf(0)) {
			t.Fatalf("decision %+v at the stack %s", decision, xcf(0))
		}
		count[decision.Forward]++
		low, high := count[xcf(0)], count[xcf(0)]
		for _, target := range targets {
			low, high = min(low, count[target.XCF]), max(high, count[target.XCF])
		}
		if high-low > 1 {
			t.Fatalf("after %d connections: %v", port+1, count)
		}
	}
	if len(tables.CRT) != 100 {
		t.Errorf("%d CRT entries of 100 connections", len(tables.CRT))
	}
}

// TestTablesEndConnections: TERMCONN of a stack that the entry does not point to any more ends nothing.
func TestTablesEndConnections(t *testing.T) {
	t.Parallel()
	tables := vipa.NewTables(xcf(0))
	c := contract.Connection{
		Remote: netip.MustParseAddrPort("192.0.2.1:1000"), Local: netip.MustParseAddrPort("10.9.0.1:60"),
	}
	tables.Apply(vipa.AddConnections{Target: xcf(1), Connections: []contract.Connection{c}})
	tables.Apply(vipa.EndConnections{Target: xcf(2), Connections: []contract.Connection{c}})
	if tables.CRT[c] != xcf(1) {
		t.Errorf("the entry points to %s, want %s", tables.CRT[c], xcf(1))
	}
	tables.Apply(vipa.EndConnections{Target: xcf(1), Connections: []contract.Connection{c}})
	if len(tables.CRT) > 0 {
		t.Errorf("CRT %v, want none", tables.CRT)
	}
}
