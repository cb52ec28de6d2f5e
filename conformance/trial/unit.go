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

// stackName is MVSn.
func stackName(n int) string { return fmt.Sprintf("MVS%d", n) }

// UnitConfig says what is around the one stack under test.
type UnitConfig struct {
	// Self: the stack under test is MVSn, 1 to 9; 0 means 1. Of two stacks, the one with the
	// lower number opens the XCF connection.
	Self int
	// Profile is the VIPADYNAMIC text of the stack under test, with symbols DVA1, DVB1, XCF1
	// to XCF9, and MASK for the mask of network 44; empty for a stack without.
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
	// Timers of the XCF group; of those left out, silence makes a member lost after unitDeadMS, and
	// the others have their defaults.
	Timers topo.Timers
	// ClusterPorts are the pool, the rest and the sharing of ports; the zero value is the defaults.
	ClusterPorts topo.ClusterPorts
	// Selection says where weights come from; the zero value is the profile.
	Selection topo.Selection
}

// UnitTrial is one stack under test among scripted partners, and a scripted client that no
// kernel stands behind.
type UnitTrial struct {
	*Trial
	// Stack is the name of the stack under test, XCFLink and OutsideLink are its interfaces as
	// the capture names them.
	Stack, XCFLink, OutsideLink string
	family                      Family
	self                        int
	client                      *segment.Host
	port                        uint16 // source port that the client used last
}

func unit(f Family, c UnitConfig) *UnitTrial {
	ginkgo.GinkgoHelper()
	self := max(c.Self, 1)
	u := &UnitTrial{
		Stack: stackName(self), XCFLink: stackName(self) + "/xcf0", OutsideLink: stackName(self) + "/ext0",
		family: f, self: self, port: 20000,
	}
	u.Trial = build(unitPlan(f, self, c), inVariant(implementation(), c.Variant))
	if !c.Inside {
		u.startClient()
	}
	return u
}

func unitPlan(f Family, self int, c UnitConfig) topo.Plan {
	ginkgo.GinkgoHelper()
	text := c.Profile
	if c.Verbatim {
		c.Profile = ""
	}
	plan := planned(unitTopology(f, self, c))
	if c.Verbatim {
		for _, node := range plan.Nodes {
			if node.Kind == topo.KindStack {
				node.Stack.Profile = text
			}
		}
	}
	return plan
}

func unitTopology(f Family, self int, c UnitConfig) *topo.Topology {
	t := &topo.Topology{
		Plex:    "UNIT",
		Symbols: f.symbols(),
		Networks: []topo.Network{
			{Name: "xcf", Subnet: f.xcf.String(), XCF: true},
			{Name: "net44", Subnet: f.net44.String()},
		},
		Hosts: []topo.Host{
			{Name: "CLIENT", Links: []topo.HostLink{{Network: "net44", Address: f.client}}},
		},
		Timers:       patient(c.Timers, unitDeadMS),
		ClusterPorts: c.ClusterPorts,
		Selection:    c.Selection,
	}
	stack := topo.Stack{Name: stackName(self), XCF: f.XCF(self).String(), Profile: f.masked(c.Profile)}
	if !c.Inside {
		stack.Links = []topo.Link{{Network: "net44", Address: f.Outside(self).String()}}
	}
	t.Stacks = []topo.Stack{stack}
	for _, n := range c.Partners {
		t.Hosts = append(t.Hosts, topo.Host{
			Name: stackName(n), Links: []topo.HostLink{{Network: "xcf", Address: f.XCF(n).String()}},
		})
	}
	return t
}

// startClient puts the scripted client on network 44.
func (u *UnitTrial) startClient() {
	ginkgo.GinkgoHelper()
	u.client = u.onNetwork44(u.family.Client)
}

// Rival puts a station on network 44 that answers for an address, such as a stack that has taken it over.
func (u *UnitTrial) Rival(address netip.Addr) {
	ginkgo.GinkgoHelper()
	u.onNetwork44(address)
}

// onNetwork44 starts a scripted host.
func (u *UnitTrial) onNetwork44(address netip.Addr) *segment.Host {
	ginkgo.GinkgoHelper()
	socket, err := u.Lab.Packet(u.ctx, "CLIENT", u.link("CLIENT"))
	verdict.Engine(err, "open packet socket of %s", address)
	port, err := segment.NewPort(socket)
	verdict.Engine(err, "open port of %s", address)
	host, err := segment.NewHost(port, u.family.OnNetwork44(address), netip.Addr{})
	verdict.Engine(err, "start the scripted host %s", address)
	ginkgo.DeferCleanup(host.Close)
	return host
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

// Client is the scripted client; nil for an inside stack.
func (u *UnitTrial) Client() *segment.Host { return u.client }

// From is an end of the client with a source port that the spec has not used yet.
func (u *UnitTrial) From() netip.AddrPort {
	u.port++
	return netip.AddrPortFrom(u.family.Client, u.port)
}

// Send sends a segment from the client.
func (u *UnitTrial) Send(s segment.Segment) {
	ginkgo.GinkgoHelper()
	verdict.Engine(u.client.Send(u.Soon(), s), "send %s", s)
}
