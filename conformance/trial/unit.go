package trial

import (
	"fmt"
	"net/netip"

	"github.com/onsi/ginkgo/v2"

	"github.com/plexlab-dev/plexlab/harness/impl"
	"github.com/plexlab-dev/plexlab/harness/segment"
	"github.com/plexlab-dev/plexlab/harness/verdict"
	"github.com/plexlab-dev/plexlab/topo"
)

// The addresses of a unit-level lab. The stack under test is one of MVS1 to MVS9, the scripted
// partners are the others: MVSn has XCF address 10.1.0.n and, towards network 44, 192.168.44.10n.
var (
	DVA1 = netip.MustParseAddr("192.168.44.10")
	DVB1 = netip.MustParseAddr("192.168.44.11")
	// ClientAddress is that of the scripted client on network 44.
	ClientAddress = netip.MustParseAddr("192.168.44.77")
)

// XCF is the XCF address of MVSn in a unit-level lab.
func XCF(n int) netip.Addr { return netip.AddrFrom4([4]byte{10, 1, 0, byte(n)}) }

// stackName is MVSn.
func stackName(n int) string { return fmt.Sprintf("MVS%d", n) }

// symbols are the names that profiles of a unit-level lab may use.
func symbols() map[string]string {
	names := map[string]string{"DVA1": DVA1.String(), "DVB1": DVB1.String()}
	for n := 1; n <= 9; n++ {
		names[fmt.Sprintf("XCF%d", n)] = XCF(n).String()
	}
	return names
}

// UnitConfig says what is around the one stack under test.
type UnitConfig struct {
	// Self: the stack under test is MVSn, 1 to 9; 0 means 1. Of two stacks, the one with the
	// lower number opens the XCF connection.
	Self int
	// Profile is the VIPADYNAMIC text of the stack under test, with symbols DVA1, DVB1, XCF1
	// to XCF9; empty for a stack without.
	Profile string
	// Verbatim: the stack reads Profile as it is written, symbols and mistakes included. Otherwise
	// the plan checks it first and puts it into canonical form.
	Verbatim bool
	// Variant is the reading of Figure 5 that the stack is started in; empty: the one that the
	// manifest names.
	Variant impl.Variant
	// Partners are the numbers of the scripted partners.
	Partners []int
	// Inside: the stack has no link to network 44, and there is no client.
	Inside bool
	// Timers of the XCF group; the zero value is the defaults.
	Timers topo.Timers
	// ClusterPorts are the pool, the rest and the sharing of ports; the zero value is the defaults.
	ClusterPorts topo.ClusterPorts
}

// UnitTrial is one stack under test among scripted partners, and a scripted client that no
// kernel stands behind.
type UnitTrial struct {
	*Trial
	// Stack is the name of the stack under test, XCFLink and OutsideLink are its interfaces as
	// the capture names them.
	Stack, XCFLink, OutsideLink string
	self                        int
	client                      *segment.Host
	port                        uint16 // source port that the client used last
}

// Unit starts a unit-level lab. Partners join when the spec says so (Join).
func Unit(c UnitConfig) *UnitTrial {
	ginkgo.GinkgoHelper()
	self := max(c.Self, 1)
	u := &UnitTrial{
		Stack: stackName(self), XCFLink: stackName(self) + "/xcf0", OutsideLink: stackName(self) + "/ext0",
		self: self, port: 20000,
	}
	u.Trial = build(unitPlan(self, c), inVariant(implementation(), c.Variant))
	if !c.Inside {
		u.startClient()
	}
	return u
}

func unitPlan(self int, c UnitConfig) topo.Plan {
	ginkgo.GinkgoHelper()
	text := c.Profile
	if c.Verbatim {
		c.Profile = ""
	}
	plan := planned(unitTopology(self, c))
	if c.Verbatim {
		for _, node := range plan.Nodes {
			if node.Kind == topo.KindStack {
				node.Stack.Profile = text
			}
		}
	}
	return plan
}

func unitTopology(self int, c UnitConfig) *topo.Topology {
	t := &topo.Topology{
		Plex:    "UNIT",
		Symbols: symbols(),
		Networks: []topo.Network{
			{Name: "xcf", Subnet: "10.1.0.0/24", XCF: true},
			{Name: "net44", Subnet: "192.168.44.0/24"},
		},
		Hosts: []topo.Host{
			{Name: "CLIENT", Links: []topo.HostLink{{Network: "net44", Address: "192.168.44.200"}}},
		},
		Timers:       c.Timers,
		ClusterPorts: c.ClusterPorts,
	}
	stack := topo.Stack{Name: stackName(self), XCF: XCF(self).String(), Profile: c.Profile}
	if !c.Inside {
		stack.Links = []topo.Link{{Network: "net44", Address: fmt.Sprintf("192.168.44.%d", 100+self)}}
	}
	t.Stacks = []topo.Stack{stack}
	for _, n := range c.Partners {
		t.Hosts = append(t.Hosts, topo.Host{
			Name: stackName(n), Links: []topo.HostLink{{Network: "xcf", Address: XCF(n).String()}},
		})
	}
	return t
}

// startClient puts the scripted client on network 44.
func (u *UnitTrial) startClient() {
	ginkgo.GinkgoHelper()
	socket, err := u.Lab.Packet(u.ctx, "CLIENT", u.link("CLIENT"))
	verdict.Engine(err, "open packet socket of the client")
	port, err := segment.NewPort(socket)
	verdict.Engine(err, "open port of the client")
	u.client, err = segment.NewHost(port, netip.PrefixFrom(ClientAddress, 24), netip.Addr{})
	verdict.Engine(err, "start the scripted client")
	ginkgo.DeferCleanup(u.client.Close)
}

// link is the name of a node's first interface.
func (t *Trial) link(node string) string { return t.node(node).Links[0].Name }

func (t *Trial) node(name string) topo.PlanNode {
	for _, n := range t.Plan.Nodes {
		if n.Name == name {
			return n
		}
	}
	verdict.Engine(fmt.Errorf("no node %s in the plan", name), "find a node")
	return topo.PlanNode{}
}

// MAC is the hardware address of a node on network 44.
func (u *UnitTrial) MAC(node string) string {
	for _, link := range u.node(node).Links {
		if link.Network == "net44" {
			return link.MAC
		}
	}
	return ""
}

// Client is the scripted client; nil for an inside stack.
func (u *UnitTrial) Client() *segment.Host { return u.client }

// From is an end of the client with a source port that the spec has not used yet.
func (u *UnitTrial) From() netip.AddrPort {
	u.port++
	return netip.AddrPortFrom(ClientAddress, u.port)
}

// Send sends a segment from the client.
func (u *UnitTrial) Send(s segment.Segment) {
	ginkgo.GinkgoHelper()
	verdict.Engine(u.client.Send(u.Soon(), s), "send %s", s)
}
