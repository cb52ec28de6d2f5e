package fig10

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/plexlab-dev/plexlab/conformance/requirements"
	"github.com/plexlab-dev/plexlab/conformance/trial"
	"github.com/plexlab-dev/plexlab/nodes/contract"
)

var _ = trial.DescribeFamilies("advertising", func(f trial.Family) {
	// "The routing communication protocol stacks 22 and 38 also advertise their respective DVIPAs
	// [...] (block 104). Alternatively, ownership of the DVIPAs for communications on the network 44
	// may be established through the IP Assist function": here, by who answers for the address.
	It("makes the routing stack, and nobody else, answer for its DVIPA",
		requirements.Covers("fig10/102->104", "fig10/104->106"), func() {
			u := f.Unit(trial.UnitConfig{Self: 5, Profile: mvs5, Partners: []int{1}})
			mac, err := u.Client().Resolve(u.Soon(), f.DVB1)
			Expect(err).NotTo(HaveOccurred())
			Expect(mac.String()).To(Equal(u.MAC(u.Stack)))

			// Of DVA1 it is a backup; MVS1 owns it, and it is no address of MVS5 towards the network.
			mvs1 := u.Join(1)
			mvs1.Say(mvs1.Owns(f.DVA1, 1, contract.Distribution{All: true}))
			u.Settled(mvs1)
			_, err = u.Client().Resolve(u.Shortly(), f.DVA1)
			Expect(err).To(HaveOccurred(), "MVS5 answers for DVA1")
			u.ExpectPassed("fig10/102->104", "fig10/104->106")
		})
})
