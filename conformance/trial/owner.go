package trial

import (
	"net/netip"
	"os"
	"path/filepath"
	"slices"

	"github.com/onsi/ginkgo/v2"
	"github.com/onsi/gomega"

	"github.com/plexlab-dev/plexlab/harness/segment"
	"github.com/plexlab-dev/plexlab/harness/verdict"
	"github.com/plexlab-dev/plexlab/nodes/contract/portfile"
	"github.com/plexlab-dev/plexlab/topo"
)

// Neighbour starts a scripted client on network 44 of the fixtures, beside their router, with an address
// that no node has. Whom it finds at a DVIPA is who owns it towards the network.
func (s *SystemTrial) Neighbour() *segment.Host {
	ginkgo.GinkgoHelper()
	const network = "net44"
	var node, link string
	for _, n := range s.Plan.Nodes {
		i := slices.IndexFunc(n.Links, func(l topo.PlanLink) bool { return l.Network == network })
		if n.Kind == topo.KindRouter && i >= 0 {
			node, link = n.Name, n.Links[i].Name
		}
	}
	socket, err := s.Lab.Packet(s.ctx, node, link)
	verdict.Engine(err, "open packet socket of a neighbour on %s", network)
	port, err := segment.NewPort(socket)
	verdict.Engine(err, "open port of a neighbour on %s", network)
	neighbour, err := segment.NewHost(port, s.family.OnNetwork44(s.family.Client), netip.Addr{})
	verdict.Engine(err, "start a neighbour on %s", network)
	ginkgo.DeferCleanup(neighbour.Close)
	return neighbour
}

// EventuallyOwner waits until a stack answers for a DVIPA on network 44.
func (t *Trial) EventuallyOwner(neighbour *segment.Host, dvipa netip.Addr, stack string) {
	ginkgo.GinkgoHelper()
	gomega.Eventually(func() (string, error) { return t.Owner(neighbour, dvipa) }).
		Should(gomega.Equal(stack), "who answers for %s", dvipa)
}

// Owner is the stack that answers for a DVIPA on network 44; an error says that none does at the moment.
func (t *Trial) Owner(neighbour *segment.Host, dvipa netip.Addr) (string, error) {
	ginkgo.GinkgoHelper()
	neighbour.Forget()
	mac, err := neighbour.Resolve(t.Shortly(), dvipa)
	if err != nil {
		return "", err
	}
	for _, node := range t.Plan.Nodes {
		if node.Kind == topo.KindStack && t.MAC(node.Name) == mac.String() {
			return node.Name, nil
		}
	}
	return mac.String(), nil
}

// Claim takes the next ownership epoch of a DVIPA for the partner, above after, as the contract says:
// by a claim beside the port file. An epoch that another stack has already is a failure of that.
func (p *Partner) Claim(dvipa netip.Addr, after uint64) (epoch uint64) {
	ginkgo.GinkgoHelper()
	epoch = after + 1
	directory := filepath.Join(portfile.OwnersDirectory(p.trial.Lab.PortFile()), portfile.ClaimsDirectory(dvipa))
	verdict.Engine(os.MkdirAll(directory, 0o700), "make a directory of claims")
	owner := portfile.Owner{Stack: p.identity.Stack, XCF: p.identity.XCF, Incarnation: p.identity.Incarnation}
	err := os.Symlink(owner.String(), filepath.Join(directory, portfile.ClaimName(epoch)))
	gomega.Expect(err).NotTo(gomega.HaveOccurred(), "%s takes %s at epoch %d", owner.Stack, dvipa, epoch)
	return epoch
}

// MAC is the hardware address of a node on network 44.
func (t *Trial) MAC(node string) string {
	for _, link := range t.node(node).Links {
		if link.Network == "net44" {
			return link.MAC
		}
	}
	return ""
}
