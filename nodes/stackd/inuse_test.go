package main

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/plexlab-dev/plexlab/nodes/contract"
	"github.com/plexlab-dev/plexlab/nodes/contract/control"
	"github.com/plexlab-dev/plexlab/nodes/vipa"
)

// Every conflict that marking would meet is foreseen, and no other.
func TestConflictingPorts(t *testing.T) {
	t.Parallel()
	const port = 5000
	everything, enumerated := &contract.Distribution{All: true}, &contract.Distribution{
		All: true, Ports: []contract.PortRange{{First: port, Last: port}},
	}
	other := netip.MustParseAddr("10.1.0.9")
	here, bothRouted := map[uint16]bool{port: true}, map[netip.Addr][]uint16{target.XCF: {port}, other: {port}}
	says := func(chosen ...uint16) []control.InUse {
		return []control.InUse{{XCF: target.XCF, DVIPAs: []control.DVIPAInUse{{DVIPA: dvipa.Addr(), Ports: []uint16{port}, Chosen: chosen}}}}
	}
	for _, test := range []struct {
		name   string
		m      vipa.Marking
		used   map[uint16]bool
		routed map[netip.Addr][]uint16
		told   []control.InUse
		want   bool
	}{
		{"alone", vipa.Marking{}, here, map[netip.Addr][]uint16{self.XCF: {port}}, nil, false},
		{"connections of two targets", vipa.Marking{}, nil, bothRouted, nil, true},
		{"distributed by enumeration", vipa.Marking{Distribution: enumerated}, here, bothRouted, says(port), false},
		{"outbound ones of two targets", vipa.Marking{Distribution: everything, Served: map[uint16][]netip.Addr{}}, nil, bothRouted, nil, true},
		{"to servers on two targets", vipa.Marking{Distribution: everything, Served: map[uint16][]netip.Addr{port: {target.XCF, other}}}, nil, bothRouted, nil, false},
		{"chosen here, served there", vipa.Marking{
			Distribution: everything, Chosen: []uint16{port}, Served: map[uint16][]netip.Addr{port: {target.XCF}},
		}, here, nil, nil, true},
		{"bound here, served there", vipa.Marking{Served: map[uint16][]netip.Addr{port: {target.XCF}}}, here, nil, nil, true},
		{"bound there, as it says", vipa.Marking{}, here, nil, says(), true},
		{"bound by number on both, distributed", vipa.Marking{Distribution: everything, Named: []uint16{port}}, here, nil, says(), false},
		{"chosen there, as it says", vipa.Marking{Distribution: everything, Named: []uint16{port}}, here, nil, says(port), true},
		{"what it says of itself counts", vipa.Marking{Distribution: everything, Named: []uint16{port}, Served: map[uint16][]netip.Addr{}},
			here, map[netip.Addr][]uint16{target.XCF: {port}}, says(), false},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			test.m.DVIPA = dvipa.Addr()
			got := usersOf(test.m, self.XCF, test.used, test.routed, test.told).conflicting()
			if conflicts := slices.Equal(got, []uint16{port}); conflicts != test.want || !conflicts && len(got) > 0 {
				t.Errorf("conflicts: %v, want one: %v", got, test.want)
			}
		})
	}
}
