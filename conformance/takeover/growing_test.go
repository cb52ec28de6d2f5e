package takeover

import (
	"slices"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/plexlab-dev/plexlab/conformance/requirements"
	"github.com/plexlab-dev/plexlab/conformance/trial"
	"github.com/plexlab-dev/plexlab/harness/segment"
	"github.com/plexlab-dev/plexlab/harness/verdict"
	"github.com/plexlab-dev/plexlab/nodes/contract"
	"github.com/plexlab-dev/plexlab/topo"
)

var _ = trial.DescribeFamilies("a growing plex", func(f trial.Family) {
	// "DESTIP ALL": the stacks of the group, also those that come later. "allowing all or selected stacks": nobody has to
	// change a profile, and nobody who is served notices. In the example MVS5 distributes DVB1 so.
	It("takes in a stack that joins later, without disruption and without a change of configuration",
		requirements.Covers("T17", "T55"), func() {
			service := trial.At(f.DVB1, 60)
			s := f.System("figure9.yaml", func(t *topo.Topology) {
				trial.Serving("APPB")(t)
				trial.Without("MVS1")(t)
				// The servers of APPB, those on MVS4 besides.
				t.Applications[0].On = append(t.Applications[0].On, "MVS4")
			})
			verdict.Engine(s.Lab.Kill(s.Context(), "MVS4"), "kill MVS4")
			s.EventuallyWithout("MVS5", "MVS4")
			s.EventuallyTargets("MVS5", service, "MVS2", "MVS3", "MVS5")
			held := []held{{s.HoldOne("MVS5", service, "MVS2"), "MVS2"}, {s.HoldOne("MVS5", service, "MVS5"), "MVS5"}}

			s.Start("MVS4")
			s.EventuallyTargets("MVS5", service, "MVS2", "MVS3", "MVS4", "MVS5")
			Expect(s.Answers(service, 8)).To(Equal(map[string]int{"MVS2": 2, "MVS3": 2, "MVS4": 2, "MVS5": 2}))
			expectAlive(s, held)
		})

	// A stack "may be configured" without the function at all: it says HELLO, takes part in the handshake and answers
	// nothing, neither lists nor what follows. It gets nothing, and nobody waits for it longer than a stated time.
	It("leaves a stack without the distribution function alone, which harms nothing, a takeover included",
		requirements.Covers("T26", "T55"), func() {
			service := f.At(60)
			u := f.Unit(trial.UnitConfig{Self: 5, Partners: []int{1, 2, 3}, Profile: `
				VIPADynamic
				VIPABackup 100 DVA1
				VIPADISTribute DVA1 PORT 60 61 DESTIP ALL
				ENDVIPADynamic`})
			without := u.Introduce(3, nil)
			without.WaitMember()
			mvs1, mvs2 := u.Join(1), u.Join(2)
			mvs1.Say(mvs1.Owns(f.DVA1, 1, trial.On(trial.ToAll, trial.Only(60), trial.Only(61))))
			u.Settled(mvs1)
			begin := u.Capture.Mark()

			mvs1.Close()
			list := mvs2.ExpectList()
			for !slices.ContainsFunc(list.DVIPAs, func(d contract.DVIPA) bool { return d.Owner }) {
				list = mvs2.ExpectList()
			}
			mvs2.Say(mvs2.SRVSTAT(service, true))
			u.EventuallyForwarded(service, mvs2)
			u.Settled(mvs2)
			// Who might hold a connection is not known until all have told, or the time is over: nobody is refused before.
			u.EventuallyReset(f.At(61))
			u.ExpectForwarded(segment.NewSYN(u.From(), service), mvs2)
			Expect(u.Capture.On(without.Link).Received().After(begin).Matching(segment.Pattern{Dst: service})).To(BeEmpty(),
				"requests that the stack without the function got")
		})
})
