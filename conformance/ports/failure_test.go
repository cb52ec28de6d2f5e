package ports

import (
	"net/netip"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"golang.org/x/sys/unix"

	"github.com/plexlab-dev/plexlab/conformance/requirements"
	"github.com/plexlab-dev/plexlab/conformance/trial"
	"github.com/plexlab-dev/plexlab/harness/verdict"
	"github.com/plexlab-dev/plexlab/nodes/contract/control"
	"github.com/plexlab-dev/plexlab/topo"
)

var _ = trial.DescribeFamilies("the ports of a stack that fails", func(f trial.Family) {
	// "The stack specific port information may be used in the event of the failure of a stack to
	// update the cluster-wide port availability structure to make the ports of the failed stack
	// available for use" (T32). What carried connections may rest: whoever names it has it at once.
	// What others hold stays.
	It("become available", requirements.Covers("T32", "I30"), func() {
		s := newOwner(f, trial.UnitConfig{Profile: owner()})
		own := s.program.Binds("a", f.At(6000))
		s.program.Binds("b", f.At(80))
		tenant := s.Tenant(2)
		tenant.Take(f.DVA1, true, 5000, 5001)
		tenant.Take(f.DVA1, false, 80)
		s.mvs2.Say(s.mvs2.Unique(f.At(5000), true))
		s.EventuallyForwarded(f.At(5000), s.mvs2)
		tenant.End()
		s.mvs2.Close()

		ports := s.PortFile()
		ports.EventuallyFree(f.At(5000))
		ports.EventuallyFree(f.At(5001))
		ports.Eventually(f.At(80), "shared MVS1")
		ports.Expect(own, "unique MVS1")
		ports.ExpectClean(f.DVA1)
		s.EventuallyReset(f.At(5000))
		s.program.Binds("c", f.At(5000))
	})

	// A stack that is merely not heard lives, as the lock of its slot tells: its ports are its own
	// until it ends.
	It("stay its own while it lives", requirements.Covers("I30", "T32"), func() {
		s := newOwner(f, trial.UnitConfig{Profile: owner()})
		tenant := s.Tenant(2)
		tenant.Take(f.DVA1, true, 5000)
		s.mvs2.Close()
		s.EventuallyWithout(s.Stack, "MVS2")
		s.program.Refused(unix.EADDRINUSE, f.At(5000))
		s.PortFile().Expect(f.At(5000), "unique MVS2")
		tenant.End()
		s.PortFile().EventuallyFree(f.At(5000))
	})

	// One that comes back before the others have noticed frees itself what it left, and takes ports
	// anew: those are not taken from it when they do notice (incarnations).
	It("are its own when it comes back at that moment", requirements.Covers("I30"), func() {
		s := newOwner(f, trial.UnitConfig{Profile: owner()})
		tenant := s.Tenant(2)
		tenant.Take(f.DVA1, true, 5000, 5001)
		tenant.End()
		back := tenant.Return(f.DVA1)
		back.Take(f.DVA1, true, 5001)
		s.mvs2.Close()
		s.EventuallyWithout(s.Stack, "MVS2")
		s.program.Binds("a", f.At(5000))
		s.program.Refused(unix.EADDRINUSE, f.At(5001))
		s.PortFile().Expect(f.At(5001), "unique MVS2")
		s.PortFile().ExpectClean(f.DVA1)
	})
}, Label(forAll))

var _ = trial.DescribeFamilies("in the Sysplex of Figure 9", func(f trial.Family) {
	// Without common storage a stack that is frozen cannot be told from one that is gone: its ports are given back, and
	// another stack may have been given one of them when it goes on. Then two have it, which is not hidden: the owner of
	// the DVIPA and both holders say so, and nobody else gets the port until both have let go.
	It("a port that a frozen stack lost to another is known to have two holders", requirements.Covers("I30", "T35"), func() {
		s := plex(f, topo.SharingDistributor, "MVS2", "MVS3", "MVS5")
		mvs2, mvs3 := s.Program("MVS2", "APPC"), s.Program("MVS3", "APPC")
		held := takes(f, mvs2, "a")[0]
		verdict.Engine(s.Lab.Freeze(s.Context(), "MVS2"), "freeze MVS2")
		s.EventuallyWithout("MVS5", "MVS2")
		s.EventuallyBinds(mvs3, "a", held)
		verdict.Engine(s.Lab.Thaw(s.Context(), "MVS2"), "thaw MVS2")

		twice := func() []string {
			for _, found := range s.Ports("MVS5").Findings {
				if found.DVIPA == held.Addr() && found.Port == held.Port() && found.Kind == control.FindingSeveralHolders {
					return found.Stacks
				}
			}
			return nil
		}
		Eventually(twice).WithPolling(trial.AskPorts).Should(ConsistOf("MVS2", "MVS3"), "who has port %d as MVS5 sees it", held.Port())
		for _, stack := range []string{"MVS2", "MVS5"} {
			s.EventuallyLogged(stack, "two stacks hold a port of a DVIPA")
		}
		mvs3.Do("close a")
		Eventually(twice).WithPolling(trial.AskPorts).Should(BeEmpty(), "who has port %d as MVS5 sees it", held.Port())
		mvs3.Refused(unix.EADDRINUSE, held)
		mvs2.Do("close a")
		s.EventuallyBinds(mvs3, "b", held)
	})

	both(func(sharing string) {
		// All survivors notice at once, and the ports are given back once: each can then be had by one
		// stack again, and by one alone.
		It("the ports of a stack that dies are given back", requirements.Covers("I30", "T32", "T35"), func() {
			s := plex(f, sharing, "MVS2", "MVS3", "MVS5")
			mvs2, mvs5 := s.Program("MVS2", "APPC"), s.Program("MVS5", "APPC")
			held := takes(f, s.Program("MVS3", "APPC"), "a", "b", "c")
			verdict.Engine(s.Lab.Kill(s.Context(), "MVS3"), "kill MVS3")
			for i, port := range held {
				name := string(rune('a' + i))
				s.EventuallyBinds(mvs2, name, port)
				mvs5.Refused(unix.EADDRINUSE, port)
			}
			s.Start("MVS3")
			s.Program("MVS3", "APPC").Refused(unix.EADDRINUSE, held[0])
		})

		// It dies and comes back at once, before the others have had time to notice, and takes one of its
		// ports again.
		It("the ports of a stack that comes back at once are its own", requirements.Covers("I30", "T35"), func() {
			s := plex(f, sharing, "MVS2", "MVS3", "MVS5")
			held := takes(f, s.Program("MVS3", "APPC"), "a", "b")
			verdict.Engine(s.Lab.Kill(s.Context(), "MVS3"), "kill MVS3")
			s.Start("MVS3")
			back, mvs2 := s.Program("MVS3", "APPC"), s.Program("MVS2", "APPC")
			s.EventuallyBinds(back, "a", held[0])
			s.EventuallyBinds(mvs2, "b", held[1])
			for _, other := range []*trial.Program{mvs2, s.Program("MVS5", "APPC")} {
				other.Refused(unix.EADDRINUSE, held[0])
			}
			back.Refused(unix.EADDRINUSE, held[1])
		})

		// The routing stack itself dies and comes back: what the others hold is theirs still, and nobody
		// else is given it.
		It("the ports of a DVIPA outlive its owner", requirements.Covers("I24", "T35", "T20"), func() {
			s := plex(f, sharing, "MVS2", "MVS3", "MVS5")
			mvs2 := s.Program("MVS2", "APPC")
			held := takes(f, mvs2, "a")[0]
			verdict.Engine(s.Lab.Kill(s.Context(), "MVS5"), "kill MVS5")
			s.EventuallyWithout("MVS2", "MVS5")
			s.Start("MVS5")
			mvs5 := s.Program("MVS5", "APPC")
			s.EventuallyBinds(mvs5, "a", at(f.DVB1, 0))
			mvs5.Refused(unix.EADDRINUSE, held)
			s.Program("MVS3", "APPC").Refused(unix.EADDRINUSE, held)
			mvs2.Do("close a")
			s.EventuallyBinds(mvs5, "b", held)
		})

		// A backup has the DVIPA meanwhile. When its owner has taken it back, the ports of the backup are as taken as
		// those of everybody, and the backup asks like everybody.
		It("the ports of a DVIPA are kept when its owner takes it back", requirements.Covers("I24", "T35"), func() {
			s := started(f.System, sharing, among("MVS1", "MVS3", "MVS5"), stating("VIPABackup 100 DVB1", "MVS1"))
			mvs1, mvs3 := s.Program("MVS1", "APPC"), s.Program("MVS3", "APPC")
			before := takes(f, mvs1, "a")[0]
			verdict.Engine(s.Lab.Kill(s.Context(), "MVS5"), "kill MVS5")
			s.EventuallyTellsOwner("MVS1", f.DVB1, "MVS1")
			s.EventuallyBinds(mvs1, "b", at(f.DVB1, 0))
			meanwhile := s.EventuallyBinds(mvs1, "c", at(f.DVB1, 0))
			s.Start("MVS5")
			s.EventuallyTellsOwner("MVS1", f.DVB1, "MVS5")
			mvs5 := s.Program("MVS5", "APPC")
			after := s.EventuallyBinds(mvs5, "a", at(f.DVB1, 0))
			for _, held := range []netip.AddrPort{before, meanwhile} {
				mvs5.Refused(unix.EADDRINUSE, held)
				mvs3.Refused(unix.EADDRINUSE, held)
			}
			mvs1.Refused(unix.EADDRINUSE, after)
			mvs1.Do("close c")
			s.EventuallyBinds(mvs5, "b", meanwhile)
		})
	})
}, SpecPriority(1))
