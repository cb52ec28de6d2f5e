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
// 10.1.0.(100+n), or the like of IPv6.
func (p *Partner) Visitor() *segment.Host {
	ginkgo.GinkgoHelper()
	u := p.trial
	node := stackName(p.n)
	socket, err := u.Lab.Packet(u.ctx, node, u.link(node))
	verdict.Engine(err, "open packet socket of %s", node)
	port, err := segment.NewPort(socket)
	verdict.Engine(err, "open port of a visitor")
	f := u.family
	visitor, err := segment.NewHost(port, netip.PrefixFrom(f.XCF(100+p.n), f.xcf.Bits()), f.XCF(u.self))
	verdict.Engine(err, "start a visitor")
	ginkgo.DeferCleanup(visitor.Close)
	return visitor
}
