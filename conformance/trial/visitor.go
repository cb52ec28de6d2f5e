package trial

import (
	"net/netip"

	"github.com/onsi/ginkgo/v2"

	"github.com/plexlab-dev/plexlab/harness/segment"
	"github.com/plexlab-dev/plexlab/harness/verdict"
)

// Visitor starts a scripted client behind the partner, one at most for each: what it sends to a
// DVIPA reaches the stack under test on XCF, as if the partner had forwarded it (Figure 12, block
// 150), and what the stack answers comes back to it. Of partner MVSn it has the address
// 10.1.0.(100+n).
func (p *Partner) Visitor() *segment.Host {
	ginkgo.GinkgoHelper()
	u := p.trial
	node := stackName(int(p.XCF.As4()[3]))
	socket, err := u.Lab.Packet(u.ctx, node, u.link(node))
	verdict.Engine(err, "open packet socket of %s", node)
	port, err := segment.NewPort(socket)
	verdict.Engine(err, "open port of a visitor")
	address := p.XCF.As4()
	address[3] += 100
	visitor, err := segment.NewHost(port, netip.PrefixFrom(netip.AddrFrom4(address), 24), XCF(u.self))
	verdict.Engine(err, "start a visitor")
	ginkgo.DeferCleanup(visitor.Close)
	return visitor
}
