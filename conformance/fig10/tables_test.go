package fig10

import (
	"net/netip"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/plexlab-dev/plexlab/conformance/requirements"
	"github.com/plexlab-dev/plexlab/conformance/trial"
	"github.com/plexlab-dev/plexlab/harness/segment"
)

var _ = trial.DescribeFamilies("the tables of a routing stack", func(f trial.Family) {
	service := netip.AddrPortFrom(f.DVB1, 60)

	// "As the messages are received, the routing communication protocol stack determines if the
	// message is associated with a cluster-wide port assignment (block 108). If not, the routing
	// communication protocol stack builds a Destination Port Table (DPT) which identifies those
	// stacks having instances of applications bound to the DVIPA and listening (block 112).
	// Alternatively [...] the connection routing table may be directly modified (block 110)."
	It("are built from what the stacks tell, message by message",
		requirements.Covers("fig10/106->108", "fig10/108-no->112", "fig10/112->106", "fig10/108-yes->110", "fig10/110->106"), func() {
			u := f.Unit(trial.UnitConfig{Self: 5, Profile: mvs5, Partners: []int{1, 2}})
			mvs1, mvs2 := u.Join(1), u.Join(2)
			u.ExpectReset(segment.NewSYN(u.From(), service))

			mvs1.Say(mvs1.SRVSTAT(service, true))
			u.EventuallyForwarded(service, mvs1)
			mvs2.Say(mvs2.SRVSTAT(service, true))
			u.EventuallyForwarded(service, mvs2)

			unique := mvs2.SRVSTAT(netip.AddrPortFrom(f.DVB1, 4000), true)
			unique.Unique = true
			mvs2.Say(unique)
			u.EventuallyForwarded(unique.Service, mvs2)
			u.ExpectForwarded(segment.NewSYN(u.From(), unique.Service), mvs2)

			other := mvs1.SRVSTAT(netip.AddrPortFrom(f.DVB1, 4001), true)
			other.Unique = true
			mvs1.Say(other)
			u.EventuallyForwarded(other.Service, mvs1)
			u.ExpectPassed("fig10/106->108", "fig10/108-no->112", "fig10/112->106", "fig10/108-yes->110", "fig10/110->106")
		})
})

var _ = trial.DescribeFamilies("in the Sysplex of Figure 9", func(f trial.Family) {
	// "without user intervention to establish the routing path": the servers were started as
	// they are, and nobody told the routing stacks (T27).
	It("both routing stacks know who serves, as soon as the servers listen",
		requirements.Covers("fig10/108-no->112", "T27"), func() {
			s := f.System("figure9.yaml", nil)
			appA, appB := f.At(60), netip.AddrPortFrom(f.DVB1, 60)
			s.EventuallyTargets("MVS1", appA, "MVS1", "MVS2", "MVS4")
			s.EventuallyTargets("MVS5", appB, "MVS2", "MVS3", "MVS5")
			Expect(s.Answers(appA, 6)).To(Equal(map[string]int{"MVS1": 2, "MVS2": 2, "MVS4": 2}))
			Expect(s.Answers(appB, 6)).To(Equal(map[string]int{"MVS2": 2, "MVS3": 2, "MVS5": 2}))
		})
})
