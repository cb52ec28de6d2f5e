package takeover

import (
	"maps"
	"net/netip"
	"slices"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/plexlab-dev/plexlab/conformance/requirements"
	"github.com/plexlab-dev/plexlab/conformance/trial"
	"github.com/plexlab-dev/plexlab/nodes/contract/control"
	"github.com/plexlab-dev/plexlab/topo"
)

var _ = trial.DescribeFamilies("an operator", func(f trial.Family) {
	service := f.At(60)

	// goesTo waits until a stack owns the DVIPA, as MVS5 tells, and expects who is given its connections.
	goesTo := func(s *trial.SystemTrial, owner string, targets ...string) {
		GinkgoHelper()
		s.EventuallyTellsOwner("MVS5", f.DVA1, owner)
		s.EventuallyTargets(owner, service, targets...)
		Expect(whoAnswered(s.Answers(service, 2*len(targets)))).To(Equal(targets))
	}

	// The specification has no sentence on quiescing; that nobody is sent a connection who does not want any is block
	// 144, "current actual targets". What is quiesced stays what it is otherwise.
	It("quiesces what gets no new connections then, and keeps those that it has, until it is resumed", requirements.Covers("T50"), func() {
		s := f.System("figure9.yaml", withoutBackup)
		s.EventuallyTargets("MVS1", service, "MVS1", "MVS2", "MVS4")
		held := s.HoldOne("MVS1", service, "MVS2")
		for _, c := range []struct {
			what   string
			target control.VaryTarget
		}{
			{"a stack", control.VaryTarget{}},
			{"a port", control.VaryTarget{Port: service.Port()}},
			{"a port of one DVIPA", control.VaryTarget{Port: service.Port(), DVIPA: f.DVA1}},
			{"an application", control.VaryTarget{Application: "APPA"}},
		} {
			By(c.what)
			s.Vary("MVS2", control.VaryQuiesce, c.target)
			s.EventuallyTargets("MVS1", service, "MVS1", "MVS4")
			Expect(s.Answers(service, 6)).To(Equal(map[string]int{"MVS1": 3, "MVS4": 3}), "who answers when %s of MVS2 is quiesced", c.what)
			s.ExpectAlive(held)

			s.Vary("MVS2", control.VaryResume, c.target)
			s.EventuallyTargets("MVS1", service, "MVS1", "MVS2", "MVS4")
			Expect(s.Answers(service, 6)).To(Equal(map[string]int{"MVS1": 2, "MVS2": 2, "MVS4": 2}), "who answers when %s of MVS2 is resumed", c.what)
			s.ExpectAlive(held)
		}
	})

	// A slip of the pen is not taken for done: the answer says what there is. A port need not be in use yet.
	It("is told of what there is not", requirements.Covers("T50", "T51"), func() {
		u := f.Unit(trial.UnitConfig{Profile: distributes, Partners: []int{2}})
		mvs2 := u.Join(2)
		u.Listen(u.Stack, "APPA", service)
		for _, c := range []struct {
			command control.VaryCommand
			target  control.VaryTarget
			names   string
		}{
			{control.VaryQuiesce, control.VaryTarget{Application: "NOAPP"}, "APPA"},
			{control.VaryQuiesce, control.VaryTarget{DVIPA: f.Nowhere, Port: service.Port()}, f.DVA1.String()},
			{control.VaryDeactivate, control.VaryTarget{DVIPA: f.Nowhere}, f.DVA1.String()},
		} {
			u.VaryRefused(u.Stack, c.command, c.target, c.names)
		}
		u.Vary(u.Stack, control.VaryQuiesce, control.VaryTarget{Port: 99})
		mvs2.Say(mvs2.SRVSTAT(service, true))
		u.EventuallyForwarded(service, mvs2)
	})

	// Of the owner itself, its own server alone is concerned: it goes on as the distributor.
	It("quiesces the server of the routing stack without the routing",
		requirements.Covers("T50"), func() {
			s := f.System("figure9.yaml", withoutBackup)
			s.EventuallyTargets("MVS1", service, "MVS1", "MVS2", "MVS4")
			held := s.HoldOne("MVS1", service, "MVS1")
			s.Vary("MVS1", control.VaryQuiesce, control.VaryTarget{})
			s.EventuallyTargets("MVS1", service, "MVS2", "MVS4")
			Expect(s.Answers(service, 4)).To(Equal(map[string]int{"MVS2": 2, "MVS4": 2}))
			s.ExpectAlive(held)
		})

	// As at takeover, but told beforehand: the backup distributes by its own statement (135), to MVS2, MVS3 and MVS4.
	It("deactivates a DVIPA, which a backup takes over, and reactivates it, and no connection to a living target notices",
		requirements.Covers("T51"), func() {
			s := f.System("figure9-outside.yaml", aroundDVA1)
			s.EventuallyTargets("MVS1", service, "MVS1", "MVS2", "MVS4")
			held := []held{{s.HoldOne("MVS1", service, "MVS1"), "MVS1"}, {s.HoldOne("MVS1", service, "MVS2"), "MVS2"}}

			s.Vary("MVS1", control.VaryDeactivate, control.VaryTarget{DVIPA: f.DVA1})
			goesTo(s, "MVS5", "MVS2", "MVS4")
			expectAlive(s, held)

			s.Vary("MVS1", control.VaryReactivate, control.VaryTarget{DVIPA: f.DVA1})
			goesTo(s, "MVS1", "MVS1", "MVS2", "MVS4")
			expectAlive(s, held)
		})

	// "In order": nobody waits for a time-out, and nobody is surprised.
	It("takes an owner out of the group, and brings it back",
		requirements.Covers("T52"), func() {
			s := f.System("figure9-outside.yaml", aroundDVA1)
			s.EventuallyTargets("MVS1", service, "MVS1", "MVS2", "MVS4")
			held := []held{{s.HoldOne("MVS1", service, "MVS2"), "MVS2"}, {s.HoldOne("MVS1", service, "MVS4"), "MVS4"}}

			s.Vary("MVS1", control.VaryLeaveGroup, control.VaryTarget{})
			s.EventuallyWithout("MVS5", "MVS1")
			goesTo(s, "MVS5", "MVS2", "MVS4")
			expectAlive(s, held)

			s.Vary("MVS1", control.VaryJoinGroup, control.VaryTarget{})
			goesTo(s, "MVS1", "MVS1", "MVS2", "MVS4")
			expectAlive(s, held)
		})

	// A target that left gets nothing new; what it has drains, as long as it lives, also where its answers leave by a
	// routing stack.
	DescribeTable("takes a target out of the group, which drains, and brings it back", func(file string) {
		s := f.System(file, withoutBackup)
		s.EventuallyTargets("MVS1", service, "MVS1", "MVS2", "MVS4")
		conn := s.HoldOne("MVS1", service, "MVS2")
		s.Vary("MVS2", control.VaryLeaveGroup, control.VaryTarget{})
		s.EventuallyWithout("MVS1", "MVS2")
		s.EventuallyTargets("MVS1", service, "MVS1", "MVS4")
		Expect(s.Answers(service, 4)).To(Equal(map[string]int{"MVS1": 2, "MVS4": 2}))
		s.ExpectAlive(conn)

		s.Vary("MVS2", control.VaryJoinGroup, control.VaryTarget{})
		s.EventuallyTargets("MVS1", service, "MVS1", "MVS2", "MVS4")
		Expect(whoAnswered(s.Answers(service, 6))).To(Equal([]string{"MVS1", "MVS2", "MVS4"}))
		s.ExpectAlive(conn)
	},
		Entry("with a link to the outside", requirements.Covers("T52"), "figure9-outside.yaml"),
		Entry("without", requirements.Covers("T52"), "figure9.yaml"),
	)

	// The backup has its own VIPADISTribute: it keeps no list (135), and the mask all the same. The primary has its
	// statement.
	It("has a DVIPA that nobody had taken by the first one that it is reactivated on", requirements.Covers("T51"), func() {
		s := f.System("figure9.yaml", func(t *topo.Topology) {
			aroundDVA1(t)
			servedOnlyBy(t, "MVS1", "MVS2")
		})
		s.EventuallyTargets("MVS1", service, "MVS1", "MVS2")
		s.Vary("MVS5", control.VaryDeactivate, control.VaryTarget{DVIPA: f.DVA1})
		s.Vary("MVS1", control.VaryDeactivate, control.VaryTarget{DVIPA: f.DVA1})
		s.EventuallyTellsOwner("MVS5", f.DVA1, "")
		s.EventuallyTellsOwner("MVS1", f.DVA1, "")
		own := s.Tells("MVS1", f.DVA1)
		Expect(netip.PrefixFrom(own.DVIPA, own.PrefixLength)).To(Equal(f.OnNetwork44(f.DVA1)))
		Expect(own.Origin).To(Equal("VIPADEFine"))
		s.Vary("MVS5", control.VaryReactivate, control.VaryTarget{DVIPA: f.DVA1})
		s.EventuallyTargets("MVS5", service, "MVS2")
	})
})

// whoAnswered are the stacks that answered at all.
func whoAnswered(answers map[string]int) []string { return slices.Sorted(maps.Keys(answers)) }
