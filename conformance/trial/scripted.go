package trial

import (
	"net/netip"

	"github.com/onsi/ginkgo/v2"

	"github.com/plexlab-dev/plexlab/harness/segment"
	"github.com/plexlab-dev/plexlab/harness/verdict"
)

// Scripted starts a scripted client on network 46 of the fixtures, that of the client's node, with an
// address that no node has, and the way to everywhere else through the router.
func (s *SystemTrial) Scripted() *segment.Host {
	ginkgo.GinkgoHelper()
	address, gateway := netip.PrefixFrom(s.family.on46("77"), s.family.net44.Bits()), s.family.on46("1")
	socket, err := s.Lab.Packet(s.ctx, s.Client, s.link(s.Client))
	verdict.Engine(err, "open packet socket of a scripted client")
	port, err := segment.NewPort(socket)
	verdict.Engine(err, "open port of a scripted client")
	client, err := segment.NewHost(port, address, gateway)
	verdict.Engine(err, "start scripted client %s", address)
	ginkgo.DeferCleanup(client.Close)
	return client
}
