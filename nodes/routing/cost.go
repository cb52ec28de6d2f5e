package routing

// Protocol is a routing protocol.
type Protocol string

// The protocols.
const (
	OSPF Protocol = "ospf"
	RIP  Protocol = "rip"
)

const (
	// ospfCosts is the number of costs of OSPF: 1 up to LSInfinity-1 (RFC 2328, appendix B).
	ospfCosts = 0xffffff - 1
	// ripCosts is the number of costs of RIP. 16 is infinity (RFC 2453, section 3.4.1), and each
	// router on the way adds one: with 11, a route is good behind Routers of them.
	ripCosts = 15 - RIPRouters
)

// RIPRouters is how many routers may lie one behind the other where RIP advertises.
const RIPRouters = 4

// Cost is what the host route of a DVIPA costs that is owned with an epoch: each owner's route is
// cheaper than that of the one before, so that the network believes the newer one although the
// routing daemon beside a frozen stack goes on telling of the older. In OSPF it is the metric of a
// type 2 external route, which is compared before any distance to the router that tells it (RFC
// 2328, section 16.4); in RIP the metric as it leaves the stack.
//
// Epochs grow without bound and costs do not. The cost falls from the highest to 1 and begins
// anew: with OSPF after 16,777,214 epochs, with RIP after 11. The one owner in so many that begins anew
// loses against an older one for as long as that is still heard: until it withdraws, or its
// interface or its daemon is silent for Config.Dead, or for five times Config.BFD.
func Cost(p Protocol, epoch uint64) uint32 {
	costs := uint64(ospfCosts)
	if p == RIP {
		costs = ripCosts
	}
	return uint32(costs - epoch%costs)
}
