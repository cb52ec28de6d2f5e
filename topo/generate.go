package topo

import (
	"fmt"
	"slices"
)

// Shape says what Generate makes.
type Shape struct {
	// Stacks of the plex, 1 to 128: MVS1, MVS2 and so on, XCF1 being the XCF address of MVS1.
	Stacks int
	// Outside is how many of the first stacks are attached to network 44, 0 to Stacks. MVS1, which
	// owns the DVIPA, always is: 0 means 1.
	Outside int
	// Ports of the DVIPA that are distributed, as after PORT; empty means all.
	Ports string
	// Sources is how many source addresses CLIENT has, 0 to 201; 0 means 1.
	Sources int
	// Applications to be run; their On may name the stacks and CLIENT.
	Applications []Application
}

// Generate makes a topology of any size, for tests and measurements: like that of Figure 9 it has
// an XCF network, network 44 with ROUTER, and CLIENT on network 46 behind it. MVS1 is the primary
// of DVA1, 192.168.44.10, and distributes it to ALL. What is wrong with the shape is told by Plan.
func Generate(s Shape) *Topology {
	t := &Topology{
		Plex:    fmt.Sprintf("PLEX%d", s.Stacks),
		Symbols: map[string]string{"DVA1": "192.168.44.10"},
		Networks: []Network{
			{Name: "xcf", Subnet: "10.1.0.0/24", XCF: true},
			{Name: "net44", Subnet: "192.168.44.0/24"},
			{Name: "net46", Subnet: "192.168.46.0/24"},
		},
		Routers: []Router{{Name: "ROUTER", Links: []Link{
			{Network: "net44", Address: "192.168.44.1"}, {Network: "net46", Address: "192.168.46.1"},
		}}},
		Applications: slices.Clone(s.Applications),
	}
	for n := 1; n <= s.Stacks; n++ {
		xcf := fmt.Sprintf("XCF%d", n)
		t.Symbols[xcf] = fmt.Sprintf("10.1.0.%d", n)
		stack := Stack{Name: fmt.Sprintf("MVS%d", n), XCF: xcf}
		if n <= max(1, s.Outside) {
			stack.Links = []Link{{Network: "net44", Address: fmt.Sprintf("192.168.44.%d", 100+n)}}
		}
		t.Stacks = append(t.Stacks, stack)
	}
	if len(t.Stacks) > 0 {
		t.Stacks[0].Profile = fmt.Sprintf(`VIPADynamic
  VIPADEFine MOVEable IMMEDIATE 255.255.255.0 DVA1
  VIPADISTribute DVA1 PORT %s DESTIP ALL
ENDVIPADynamic
`, s.Ports)
	}
	client := HostLink{Network: "net46", Address: "192.168.46.10"}
	if more := s.Sources - 1; more > 0 {
		client.More = []string{fmt.Sprintf("192.168.46.20-192.168.46.%d", 19+more)}
	}
	t.Hosts = []Host{{Name: "CLIENT", Links: []HostLink{client}}}
	return t
}
