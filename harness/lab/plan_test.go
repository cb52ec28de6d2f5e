package lab_test

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/plexlab-dev/plexlab/harness/lab"
	"github.com/plexlab-dev/plexlab/topo"
)

// limit is the maximum of every wait in these tests, generous for a loaded machine.
const limit = 30 * time.Second

// sysplex is a plan with n stacks, a router and a client behind it. Stack i has 10.1.x.y on
// XCF and 203.0.x.y outside, with IPv6 beside them.
func sysplex(stacks int) *topo.Plan {
	plan := &topo.Plan{
		Name: "PLEX1",
		Networks: []topo.PlanNetwork{
			{Name: "XCF", Bridge: "br-xcf", Subnet: netip.MustParsePrefix("10.1.0.0/16"), XCF: true, MTU: 1500},
			{Name: "OUTSIDE", Bridge: "br-out", Subnet: netip.MustParsePrefix("203.0.0.0/16"), MTU: 1500},
			{Name: "FAR", Bridge: "br-far", Subnet: netip.MustParsePrefix("198.51.100.0/24"), MTU: 9000},
		},
	}
	ports := 0
	link := func(name, network string, addresses ...string) topo.PlanLink {
		ports++
		l := topo.PlanLink{Name: name, Port: fmt.Sprintf("p%d", ports), Network: network,
			MAC: fmt.Sprintf("02:00:00:00:%02x:%02x", ports>>8, ports&0xff)}
		for _, address := range addresses {
			l.Addresses = append(l.Addresses, netip.MustParsePrefix(address))
		}
		return l
	}
	far := topo.PlanRoute{Destination: netip.MustParsePrefix("198.51.100.0/24"), Via: netip.MustParseAddr("203.0.255.1")}
	plan.Nodes = append(plan.Nodes, topo.PlanNode{
		Name: "ROUTER", Kind: topo.KindRouter,
		Links: []topo.PlanLink{link("ext0", "OUTSIDE", "203.0.255.1/16"), link("ext1", "FAR", "198.51.100.1/24")},
	})
	for i := 1; i <= stacks; i++ {
		plan.Nodes = append(plan.Nodes, topo.PlanNode{
			Name: fmt.Sprintf("MVS%d", i), Kind: topo.KindStack,
			Links: []topo.PlanLink{
				link("xcf0", "XCF", fmt.Sprintf("10.1.0.%d/16", i), fmt.Sprintf("fd00:1::%x/64", i)),
				link("ext0", "OUTSIDE", fmt.Sprintf("203.0.0.%d/16", i)),
			},
			Routes: []topo.PlanRoute{far},
			Stack:  &topo.PlanStack{XCF: netip.AddrFrom4([4]byte{10, 1, 0, byte(i)}), XCFInterface: "xcf0", Outside: []string{"ext0"}},
		})
	}
	plan.Nodes = append(plan.Nodes, topo.PlanNode{
		Name: "CLIENT", Kind: topo.KindHost,
		Links:  []topo.PlanLink{link("ext0", "FAR", "198.51.100.9/24")},
		Routes: []topo.PlanRoute{{Destination: netip.MustParsePrefix("0.0.0.0/0"), Via: netip.MustParseAddr("198.51.100.1")}},
	})
	return plan
}

// nodeOf is a node of a plan, to be changed before the plan is built.
func nodeOf(plan *topo.Plan, name string) *topo.PlanNode {
	for i := range plan.Nodes {
		if plan.Nodes[i].Name == name {
			return &plan.Nodes[i]
		}
	}
	panic("no node " + name)
}

// bounded is a context that ends with the test, or after the limit.
func bounded(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	t.Cleanup(cancel)
	return ctx
}

// labs counts the labs of this process.
var labs atomic.Int32

// labName is a name that no other lab of this machine has.
func labName(t testing.TB) string {
	name, _, _ := strings.Cut(t.Name(), "/")
	return fmt.Sprintf("%.24s-%d-%d", name, os.Getpid(), labs.Add(1))
}

// up builds a lab of tiny stacks that ends with the test.
func up(t testing.TB, plan *topo.Plan, options lab.Options) *lab.Lab {
	t.Helper()
	if options.Name == "" {
		options.Name = labName(t)
	}
	if options.Implementation == nil {
		options.Implementation = tiny()
	}
	built, err := lab.Up(bounded(t), plan, options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		// The test's own context has ended by now.
		ctx, cancel := context.WithTimeout(context.Background(), limit)
		defer cancel()
		if err := built.Down(ctx); err != nil {
			t.Error(err)
		}
	})
	return built
}

// address parses an address with a port.
func address(text string) netip.AddrPort { return netip.MustParseAddrPort(text) }

// nowhere is the local address that leaves the choice to the kernel.
var nowhere netip.AddrPort

// exchange sends a line from one node to another over TCP and returns what arrives.
func exchange(t *testing.T, l *lab.Lab, from, to string, at netip.AddrPort) string {
	t.Helper()
	ctx := bounded(t)
	listener, err := l.Listen(ctx, to, "tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	conn, err := l.Dial(ctx, from, "tcp", nowhere, at)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	accepted, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer accepted.Close()
	if _, err := conn.Write([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	buffer := make([]byte, 16)
	read, err := accepted.Read(buffer)
	if err != nil {
		t.Fatal(err)
	}
	if remote, ok := accepted.RemoteAddr().(*net.TCPAddr); !ok || remote.String() != conn.LocalAddr().String() {
		t.Errorf("the peer is %v, want %v", accepted.RemoteAddr(), conn.LocalAddr())
	}
	return string(buffer[:read])
}
