package fig12

import (
	"fmt"
	"net/netip"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/plexlab-dev/plexlab/conformance/requirements"
	"github.com/plexlab-dev/plexlab/conformance/trial"
	"github.com/plexlab-dev/plexlab/harness/impl"
	"github.com/plexlab-dev/plexlab/topo"
)

var _ = Describe("in the Sysplex of Figure 9 with a DVIPA of IPv6 beside DVA1", func() {
	// The inter-stack network is of IPv4: it carries both, by next hops that the contract makes of the
	// XCF addresses, and each family has tables of its own.
	It("web servers on MVS1, MVS2 and MVS4 answer in turn to both",
		requirements.Covers("fig12/145-yes->144", "fig12/150->end"), trial.Needing(impl.IPv6), func() {
			s := trial.IPv4.System("figure9.yaml", besideDVA1)
			for _, service := range []netip.AddrPort{trial.IPv4.At(60), trial.IPv6.At(60)} {
				s.EventuallyTargets("MVS1", service, "MVS1", "MVS2", "MVS4")
				Expect(s.Answers(service, 9)).To(Equal(map[string]int{"MVS1": 3, "MVS2": 3, "MVS4": 3}), "answers of %s", service)
			}
		})
})

// besideDVA1 joins the stacks with a link to the outside, and the client, by a network of IPv6, where MVS1
// has a DVIPA that the web servers of APPA listen at too.
func besideDVA1(t *topo.Topology) {
	const network, six = "net6", "DVA6"
	t.Symbols[six] = trial.IPv6.DVA1.String()
	t.Networks = append(t.Networks, topo.Network{Name: network, Subnet: trial.IPv6.OnNetwork44(trial.IPv6.DVA1).Masked().String()})
	for i := range t.Stacks {
		if s := &t.Stacks[i]; len(s.Links) > 0 {
			s.Links = append(s.Links, topo.Link{Network: network, Address: trial.IPv6.Outside(i + 1).String()})
		}
	}
	mvs1 := &t.Stacks[0]
	mvs1.Profile = strings.Replace(mvs1.Profile, "ENDVIPADynamic",
		fmt.Sprintf("VIPADEFine /64 %s VIPADISTribute %s DESTIP XCF1, XCF2, XCF4 ENDVIPADynamic", six, six), 1)
	client := &t.Hosts[0]
	client.Links = append(client.Links, topo.HostLink{Network: network, Address: trial.IPv6.Client.String()})
	appA := &t.Applications[0]
	files := map[string]string{}
	for name, text := range appA.Files {
		files[name] = strings.Replace(text, "location /", `listen [{{.Address "`+six+`"}}]:60; location /`, 1)
	}
	appA.Files = files
}
