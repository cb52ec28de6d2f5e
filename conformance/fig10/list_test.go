package fig10

import (
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/plexlab-dev/plexlab/conformance/requirements"
	"github.com/plexlab-dev/plexlab/conformance/trial"
	"github.com/plexlab-dev/plexlab/harness/peer"
	"github.com/plexlab-dev/plexlab/nodes/contract"
)

// mvs5 is the profile of MVS5 in the worked example, without what cluster-wide ports add.
const mvs5 = `
	VIPADynamic
	  VIPADEFine MOVEable IMMEDIATE MASK DVB1
	  VIPABackup 100 DVA1
	  VIPADISTribute DVB1 PORT 60 DESTIP ALL
	  VIPADISTribute DVA1 PORT DESTIP XCF2, XCF3, XCF4
	ENDVIPADynamic`

var _ = trial.DescribeFamilies("the list of a routing stack", func(f trial.Family) {
	// "The routing communication protocol stack distributes the list of DVIPAs, ports and candidate
	// target stacks to each of the stacks in the cluster (block 102)." It is complete: "the complete
	// list of dynamic routable VIPAs, their associated ipAddrList and portlist and the primary and
	// backup definitions".
	It("names every DVIPA with its ports, candidate targets, and the roles of the stack, to everyone",
		requirements.Covers("fig10/100->102", "T19", "I4", "I5", "I14"), func() {
			u := f.Unit(trial.UnitConfig{Self: 5, Profile: mvs5, Partners: []int{1, 2}})
			for _, n := range []int{1, 2} {
				p := u.Introduce(n, nil)
				Expect(p.WaitMember().Stack).To(Equal("MVS5"))
				list := p.ExpectList()
				Expect(list.DVIPAs).To(ConsistOf(
					SatisfyAll(
						HaveField("Prefix", f.OnNetwork44(f.DVB1)),
						HaveField("Role", contract.RolePrimary),
						HaveField("Owner", true),
						HaveField("Epoch", BeNumerically(">", 0)),
						HaveField("Distribution", Equal(&contract.Distribution{
							Ports: []contract.PortRange{{First: 60, Last: 60}}, All: true,
						})),
					),
					SatisfyAll(
						HaveField("Prefix.Addr()", f.DVA1),
						HaveField("Role", contract.RoleBackup),
						HaveField("Rank", BeEquivalentTo(100)),
						HaveField("Owner", false),
						HaveField("Distribution", Equal(&contract.Distribution{
							Targets: []contract.Target{
								{XCF: f.XCF(2), Weight: 1}, {XCF: f.XCF(3), Weight: 1}, {XCF: f.XCF(4), Weight: 1},
							},
						})),
					),
				))
			}
			u.ExpectPassed("fig10/100->102")
		})

	// T19: at initialization each stack sends its list, also one without definitions.
	It("is sent by a stack without definitions too, and is empty", requirements.Covers("T19"), func() {
		u := f.Unit(trial.UnitConfig{Inside: true, Partners: []int{2}})
		p := u.Introduce(2, nil)
		p.WaitMember()
		Expect(p.ExpectList().DVIPAs).To(BeEmpty())
	})

	// A stack that comes later, or comes back, learns what those before it learned (T17).
	It("is sent to a stack that joins later, and again to one that was started again",
		requirements.Covers("fig10/100->102", "T17"), func() {
			u := f.Unit(trial.UnitConfig{Self: 5, Profile: mvs5, Partners: []int{1, 2}})
			u.Join(1)
			late := u.Join(2)
			Expect(late.Restart(uint64(time.Now().UnixNano()))).To(Succeed())
			late.Passed()
			Expect(late.ExpectMessage(peer.Of[contract.VIPAList]("VIPA_LIST", nil))).To(
				HaveField("DVIPAs", HaveLen(2)))
		})
})
