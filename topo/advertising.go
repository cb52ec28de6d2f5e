package topo

import "cmp"

// Methods of advertising.
const (
	ByAddress = "address"
	ByOSPF    = "ospf"
	ByRIP     = "rip"
)

// Advertising says how the outside learns which stack owns a DVIPA (Figure 10, block 104). Timers are
// those of the routing protocol, the same in all stacks and routers; one that is left out stands for the
// default named beside it. A plan has none left out, unless the method is address.
type Advertising struct {
	// address: the owner answers for the DVIPA on its adapters; ospf or rip: it tells the routers, and the
	// DVIPA need not lie in a subnet of the owner. If left out, address.
	Method string `json:"method" yaml:"method,omitempty" jsonschema:"enum=address,enum=ospf,enum=rip"`
	// Seconds between two hellos of OSPF or two updates of RIP, 1 to 60; changes do not wait for them.
	// If left out, 1.
	HelloS int `json:"hello_s" yaml:"hello_s,omitempty"`
	// Seconds of silence until a neighbour is lost, at least 2 and more than hello_s, at most 600. If
	// left out, three times hello_s.
	DeadS int `json:"dead_s" yaml:"dead_s,omitempty"`
	// Milliseconds between two packets of BFD, 10 to 10000: five that are missing end a neighbour sooner
	// than dead_s. If left out, 200.
	BFDMS int `json:"bfd_ms" yaml:"bfd_ms,omitempty"`
}

// maxRIPRouters is how many routers may lie one behind the other with RIP: it counts to 15, one for
// each router, and the rest tells newer owners from older ones.
const maxRIPRouters = 4

func (p *planner) readAdvertising() {
	const at = path("/advertising")
	a := p.topology.Advertising
	switch a.Method {
	case "", ByAddress:
		for _, timer := range []struct {
			key   string
			value int
		}{{"hello_s", a.HelloS}, {"dead_s", a.DeadS}, {"bfd_ms", a.BFDMS}} {
			if timer.value != 0 {
				p.fail(at.at(timer.key), "found %s for the method %s, expected it for ospf or rip only", timer.key, ByAddress)
			}
		}
		return
	case ByOSPF, ByRIP:
	default:
		p.fail(at.at("method"), "found %.40q, expected %s, %s or %s", a.Method, ByAddress, ByOSPF, ByRIP)
		return
	}
	if routers := len(p.topology.Routers); a.Method == ByRIP && routers > maxRIPRouters {
		p.fail(at.at("method"), "found %s with %d routers, expected at most %d: its costs end at 15; %s bears more", ByRIP, routers, maxRIPRouters, ByOSPF)
	}
	a.HelloS = cmp.Or(a.HelloS, 1)
	a.DeadS = cmp.Or(a.DeadS, 3*a.HelloS)
	a.BFDMS = cmp.Or(a.BFDMS, 200)
	p.plan.Advertising = a
	switch least := max(2, a.HelloS+1); {
	case a.HelloS < 1 || a.HelloS > 60:
		p.fail(at.at("hello_s"), "found %d, expected 1 to 60 seconds", a.HelloS)
	case a.DeadS < least || a.DeadS > 600:
		p.fail(at.at("dead_s"), "found %d, expected %d to 600 seconds", a.DeadS, least)
	}
	if a.BFDMS < 10 || a.BFDMS > 10000 {
		p.fail(at.at("bfd_ms"), "found %d, expected 10 to 10000 milliseconds", a.BFDMS)
	}
}
