package fig15

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/plexlab-dev/plexlab/conformance/requirements"
	"github.com/plexlab-dev/plexlab/conformance/trial"
	"github.com/plexlab-dev/plexlab/harness/peer"
	"github.com/plexlab-dev/plexlab/harness/segment"
	"github.com/plexlab-dev/plexlab/nodes/contract"
)

var _ = trial.DescribeFamilies("a unique port at the routing stack", func(f trial.Family) {
	// "Unique ports may be individually identified as they are utilized and workload distribution may
	// be bypassed for such ports while ports which are not required to be unique may be subject to
	// workload distribution" (T12): one holder here, one on MVS2, and a port that both share.
	It("stands beside distributed ones", requirements.Covers("T12", "T5", "T6", "I15", "fig15/224->228"), func() {
		s := newStack(f, trial.UnitConfig{Profile: owner})
		shared := s.program.Listens("a", f.At(80))
		own := s.program.Listens("b", f.At(0))
		theirs := f.At(6000)
		mvs2 := s.Tenant(2)
		mvs2.Take(f.DVA1, true, 6000)
		mvs2.Take(f.DVA1, false, 80)
		s.mvs2.Say(s.mvs2.SRVSTAT(shared, true), s.mvs2.Unique(theirs, true))
		s.EventuallyForwarded(theirs, s.mvs2)
		s.EventuallyForwarded(shared, s.mvs2)
		s.EventuallyServed(own)

		Expect(s.Shares(shared, 4, s.mvs2)).To(Equal(map[string]int{trial.Self: 2, s.mvs2.Link: 2}))
		Expect(s.Shares(own, 3, s.mvs2)).To(Equal(map[string]int{trial.Self: 3}))
		Expect(s.Shares(theirs, 3, s.mvs2)).To(Equal(map[string]int{s.mvs2.Link: 3}))
		s.ports.Expect(shared, "shared MVS1 MVS2")
		s.ports.ExpectClean(f.DVA1)
	})

	// "NEWCONN messages, rather than SRVSTAT messages, could be utilized to send information for
	// cluster-wide ports" (T38): a connection of which only the own end is named.
	It("may be announced by NEWCONN", requirements.Covers("T38"), func() {
		s := newStack(f, trial.UnitConfig{Profile: owner})
		theirs := f.At(6000)
		every := contract.Connection{Remote: at(f.Any, 0), Local: theirs}
		s.mvs2.Say(s.mvs2.NEWCONN(every))
		s.EventuallyForwarded(theirs, s.mvs2)
		s.mvs2.Say(s.mvs2.TERMCONN(every))
		s.EventuallyReset(theirs)
	})

	// The message names the holder when the port is bound; its route counts from when the socket
	// listens (I19). Before that a request is refused, whoever is asked.
	It("is refused until its socket listens", requirements.Covers("I19", "fig15/228->end"), func() {
		s := newStack(f, trial.UnitConfig{Profile: owner})
		service := s.program.Binds("a", f.At(0))
		s.ports.Expect(service, "unique MVS1")
		s.ExpectReset(segment.NewSYN(s.From(), service))
		s.program.Do("listen a")
		s.EventuallyServed(service)
	})

	// A target that is told to route names itself at bind, and again as listener: it is told by the
	// time a client could come (506).
	It("is told to the owner by the time its socket listens", requirements.Covers("I19", "fig15/224->228"), func() {
		s := newStack(f, trial.UnitConfig{Inside: true}, clustered(f))
		service := s.program.Binds("a", f.At(0))
		s.mvs2.ExpectMessage(trial.Holder(service))
		s.program.Do("listen a")
		Expect(s.mvs2.Tell(clustered(f))).To(ContainElement(s.Unique(service, true)))
		s.program.Do("close a")
		s.mvs2.ExpectMessage(peer.Is(s.Unique(service, false)))
	})
})
