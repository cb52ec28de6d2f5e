package bench

import (
	"net/netip"
	"testing"

	"github.com/plexlab-dev/plexlab/topo"
)

// TestTopologiesHaveWhatIsMeasured checks the addresses that the parts take for granted.
func TestTopologiesHaveWhatIsMeasured(t *testing.T) {
	for name, text := range map[string][]byte{
		"distribute": distributeTopology, "listen": listenTopology, "ports": portsTopology,
		"takeover": takeoverTopology, "takeover with OSPF": routedTopology(),
	} {
		plan, err := planOf(name, text)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for _, want := range []struct {
			node    string
			address netip.Addr
		}{
			{routing, netip.MustParseAddr("192.168.44.1")},
			{target, listenTarget},
		} {
			if !has(plan, want.node, want.address) {
				t.Errorf("%s: %s has not the address %s", name, want.node, want.address)
			}
		}
	}
	plan, err := planOf("distribute", distributeTopology)
	if err != nil {
		t.Fatal(err)
	}
	sources := netip.MustParsePrefix(loadSources)
	for a := sources.Addr(); sources.Contains(a); a = a.Next() {
		if !has(plan, client, a) {
			t.Errorf("the client has not the source address %s", a)
		}
	}
}

// TestAttemptsHaveSourcesOfTheirOwn: the client's kernel must not know them, and the way there is by the client.
func TestAttemptsHaveSourcesOfTheirOwn(t *testing.T) {
	for name, text := range map[string][]byte{"takeover": takeoverTopology, "with OSPF": routedTopology()} {
		plan, err := planOf(name, text)
		if err != nil {
			t.Fatal(err)
		}
		if !has(plan, client, attemptRoute) {
			t.Errorf("%s: the client has not the address %s", name, attemptRoute)
		}
		for a := attemptSources.Addr(); attemptSources.Contains(a); a = a.Next() {
			for _, node := range plan.Nodes {
				if has(plan, node.Name, a) {
					t.Errorf("%s: %s has the address %s", name, node.Name, a)
				}
			}
		}
	}
}

func TestSysplexInBothSizes(t *testing.T) {
	for _, stacks := range []int{5, 32} {
		plan, err := sysplexOf(stacks).Plan()
		if err != nil {
			t.Fatal(err)
		}
		got := 0
		for _, node := range plan.Nodes {
			if node.Kind == topo.KindStack {
				got++
			}
		}
		if got != stacks {
			t.Errorf("%d stacks, want %d", got, stacks)
		}
	}
}

func has(plan topo.Plan, node string, address netip.Addr) bool {
	for _, n := range plan.Nodes {
		for _, link := range n.Links {
			for _, prefix := range link.Addresses {
				if n.Name == node && prefix.Addr() == address {
					return true
				}
			}
		}
	}
	return false
}
