package takeover

import (
	"context"
	"net/netip"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/plexlab-dev/plexlab/conformance/requirements"
	"github.com/plexlab-dev/plexlab/conformance/trial"
	"github.com/plexlab-dev/plexlab/harness/impl"
	"github.com/plexlab-dev/plexlab/harness/lab"
	"github.com/plexlab-dev/plexlab/harness/verdict"
	"github.com/plexlab-dev/plexlab/topo"
)

// "also advertise their respective DVIPAs as owned [...] through routing protocols (block 104)": DVIPAs that lie in no
// network of their owners, so that nothing but the table of the router leads to them. With IPv6 it is OSPF of version 3 (RFC
// 5340) and RIPng (RFC 2080).
var _ = trial.DescribeFamilies("a plex with a routing protocol", func(f trial.Family) {
	// routed is Figure 9 with such DVIPAs, and the service of APPA on some of its targets.
	routed := func(method string, targets ...string) (*trial.SystemTrial, netip.AddrPort) {
		GinkgoHelper()
		s := f.System("figure9-ospf.yaml", func(t *topo.Topology) {
			aroundDVA1(t)
			servedOnlyBy(t, targets...)
			t.Advertising.Method = method
			t.Advertising.BFDMS = patientBFDMS
		})
		service := netip.AddrPortFrom(s.Plan.Symbols["DVA1"], 60)
		s.EventuallyTargets("MVS1", service, targets...)
		s.EventuallyRoute("ROUTER", hostRoute(service.Addr()), "MVS1")
		return s, service
	}
	// follows waits until ROUTER has the host route of DVA1 by a stack, and the prefix of its mask, which is that of DVB1
	// too, by the one of the newest epoch (T14).
	follows := func(s *trial.SystemTrial, service netip.AddrPort, stack string) {
		GinkgoHelper()
		s.EventuallyRoute("ROUTER", hostRoute(service.Addr()), stack)
		s.EventuallyRoute("ROUTER", f.OnNetwork44(service.Addr()).Masked(), stack)
	}

	DescribeTable("the table of the router follows the newest owner, and inside stacks have a way out",
		func(method string) {
			s, service := routed(method, "MVS1", "MVS2", "MVS4")
			held := s.HoldOne("MVS1", service, "MVS2")

			// The daemon beside a frozen stack keeps its neighbours, and goes on to tell them of DVA1: the newer epoch costs less.
			By("MVS1 freezes")
			s.Signal("MVS1", "STOP")
			follows(s, service, "MVS5")
			s.EventuallyTargets("MVS5", service, "MVS2", "MVS4")
			// MVS2 and MVS4 have no link to the outside: what they answer leaves by MVS5.
			Expect(s.Answers(service, 4)).To(Equal(map[string]int{"MVS2": 2, "MVS4": 2}))
			s.ExpectAlive(held)
			By("MVS1 thaws")
			s.Signal("MVS1", "CONT")
			follows(s, service, "MVS1")
			s.EventuallyTargets("MVS1", service, "MVS1", "MVS2", "MVS4")
			s.ExpectAlive(held)

			By("MVS1 dies")
			verdict.Engine(s.Lab.Kill(s.Context(), "MVS1"), "kill MVS1")
			follows(s, service, "MVS5")
			s.EventuallyTargets("MVS5", service, "MVS2", "MVS4")
			Expect(s.Answers(service, 4)).To(Equal(map[string]int{"MVS2": 2, "MVS4": 2}))
			s.ExpectAlive(held)
			By("MVS1 comes back")
			s.Start("MVS1")
			follows(s, service, "MVS1")
			s.EventuallyTargets("MVS1", service, "MVS1", "MVS2", "MVS4")
			Expect(s.Answers(service, 6)).To(Equal(map[string]int{"MVS1": 2, "MVS2": 2, "MVS4": 2}))
			s.ExpectAlive(held)

			// It leads out as well, and is the owner of nothing that is asked for here.
			By("MVS5 dies")
			verdict.Engine(s.Lab.Kill(s.Context(), "MVS5"), "kill MVS5")
			s.EventuallyWithout("MVS2", "MVS5")
			s.EventuallyRoute("ROUTER", hostRoute(service.Addr()), "MVS1")
			Expect(whoAnswered(s.Answers(service, 6))).To(Equal([]string{"MVS1", "MVS2", "MVS4"}))
			s.ExpectAlive(held)
		},
		Entry("OSPF", SpecPriority(3), requirements.Covers("fig10/102->104", "T14", "T57"), topo.ByOSPF),
		Entry("RIP", requirements.Covers("fig10/102->104", "T14", "T57"), topo.ByRIP),
	)

	// The network hears of nothing before the routers have MVS1 for a neighbour again, seconds after its link is up or it goes on:
	// until then MVS5 keeps DVA1. With RIP, which has no adjacencies, they hear of it at once.
	DescribeTable("a takeback waits until the router hears of it", func(method string, limit time.Duration, faults ...routerLoss) {
		s, service := routed(method, "MVS1", "MVS2")
		held := s.HoldOne("MVS1", service, "MVS2")
		for _, fault := range faults {
			By(fault.name)
			absent := s.WatchRoute("ROUTER", hostRoute(service.Addr()))
			verdict.Engine(fault.begin(s.Lab, s.Context()), "%s", fault.name)
			s.EventuallyRoute("ROUTER", hostRoute(service.Addr()), "MVS5")
			s.EventuallyBFD("ROUTER", 1) // with MVS5
			s.ExpectAlive(held)
			verdict.Engine(fault.end(s.Lab, s.Context()), "end of: %s", fault.name)
			s.EventuallyRoute("ROUTER", hostRoute(service.Addr()), "MVS1")
			s.EventuallyBFD("ROUTER", 2)
			s.ExpectAlive(held)
			Expect(absent()).To(BeNumerically("<", limit), "how long ROUTER had no route to DVA1")
		}
	},
		// Apart, since within a second of the takeback, and of what MVS5 withdraws with it, routers refuse what MVS5 would advertise for the next.
		Entry("OSPF, its link cut", SpecPriority(2), requirements.Covers("I39", "T14"), topo.ByOSPF, noRouteOSPF, linkCut),
		Entry("OSPF, frozen", SpecPriority(2), requirements.Covers("I39", "T14"), topo.ByOSPF, noRouteOSPF, frozenWhole),
		Entry("RIP, its link cut, and frozen", requirements.Covers("I39", "T14"), topo.ByRIP, noRouteRIP, linkCut, frozenWhole),
	)
}, SpecPriority(1), trial.Needing(impl.Advertising))

// A routerLoss is something by which routers lose MVS1.
type routerLoss struct {
	name       string
	begin, end func(*lab.Lab, context.Context) error
}

var (
	linkCut = routerLoss{"the link of MVS1 to network 44 is cut",
		func(l *lab.Lab, ctx context.Context) error { return l.LinkDown(ctx, "MVS1", "ext0") },
		func(l *lab.Lab, ctx context.Context) error { return l.LinkUp(ctx, "MVS1", "ext0") }}
	frozenWhole = routerLoss{"MVS1 freezes as a whole, its routing daemon included",
		func(l *lab.Lab, ctx context.Context) error { return l.Freeze(ctx, "MVS1") },
		func(l *lab.Lab, ctx context.Context) error { return l.Thaw(ctx, "MVS1") }}
)

// The most that a router may be without a route while that changes its next hop, as it does at each takeover.
const (
	// noRouteOSPF: a daemon takes one of IPv6 away before it adds the other. It calculates ways once a second, so that one it does not
	// find is absent for that long.
	noRouteOSPF = 500 * time.Millisecond
	// noRouteRIP: what is withdrawn is told at once, and what is advertised half the time between two updates (1 s) after another change; as
	// long again on a machine that others use too.
	noRouteRIP = 1500 * time.Millisecond
)

// patientBFDMS are the milliseconds between two packets of BFD, five of which have to be missing: as by default, XCF finds a frozen
// stack silent before the routers do.
const patientBFDMS = 400

// hostRoute is the prefix of one.
func hostRoute(a netip.Addr) netip.Prefix { return netip.PrefixFrom(a, a.BitLen()) }
