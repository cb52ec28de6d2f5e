package ports

import (
	"net/netip"
	"slices"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/plexlab-dev/plexlab/conformance/trial"
	"github.com/plexlab-dev/plexlab/topo"
)

// of leaves of the stacks of Figure 9 the named ones, and of their profiles what is not about DVA1, which has no
// cluster-wide ports: MVS5 owns DVB1, which has them.
func of(stacks ...string) func(*topo.Topology) {
	return func(t *topo.Topology) {
		t.Stacks = slices.DeleteFunc(t.Stacks, func(s topo.Stack) bool { return !slices.Contains(stacks, s.Name) })
		for i := range t.Stacks {
			var kept []string
			for line := range strings.Lines(t.Stacks[i].Profile) {
				if !strings.Contains(line, "DVA1") {
					kept = append(kept, line)
				}
			}
			t.Stacks[i].Profile = strings.Join(kept, "")
		}
	}
}

// among leaves of Figure 9 the named stacks alone: no servers, and nobody outside.
func among(stacks ...string) func(*topo.Topology) {
	return func(t *topo.Topology) {
		of(stacks...)(t)
		trial.Serving()(t)
		t.Hosts, t.Routers = nil, nil
		t.Networks = slices.DeleteFunc(t.Networks, func(n topo.Network) bool { return n.Name == "net46" })
	}
}

// stating adds a statement to the profiles of stacks.
func stating(statement string, stacks ...string) func(*topo.Topology) {
	return func(t *topo.Topology) {
		for i := range t.Stacks {
			if s := &t.Stacks[i]; slices.Contains(stacks, s.Name) {
				s.Profile = strings.Replace(s.Profile, "ENDVIPADynamic", statement+"\nENDVIPADynamic", 1)
			}
		}
	}
}

// plex starts stacks of Figure 9 with a sharing technique, no servers, and nobody outside.
func plex(f trial.Family, sharing string, stacks ...string) *trial.SystemTrial {
	GinkgoHelper()
	return started(f.System, sharing, among(stacks...))
}

// started is the Sysplex of Figure 9, started in one of the ways of trial.
func started(start func(string, func(*topo.Topology)) *trial.SystemTrial, sharing string, changes ...func(*topo.Topology)) *trial.SystemTrial {
	GinkgoHelper()
	s := start("figure9.yaml", func(t *topo.Topology) {
		t.ClusterPorts.Sharing = sharing
		for _, change := range changes {
			change(t)
		}
	})
	Expect(s.Ports("MVS5").Sharing).To(Equal(sharing), "how the stacks share ports")
	if sharing == topo.SharingDistributor { // for clusters that have no memory in common
		Expect(s.Lab.PortFile()).NotTo(BeAnExistingFile())
	}
	return s
}

// takes has a program hold ports of DVB1.
func takes(f trial.Family, p *trial.Program, names ...string) []netip.AddrPort {
	GinkgoHelper()
	var held []netip.AddrPort
	for _, name := range names {
		held = append(held, p.Binds(name, at(f.DVB1, 0)))
	}
	return held
}
