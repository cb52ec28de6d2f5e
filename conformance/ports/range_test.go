package ports

import (
	. "github.com/onsi/ginkgo/v2"
	"golang.org/x/sys/unix"

	"github.com/plexlab-dev/plexlab/conformance/requirements"
	"github.com/plexlab-dev/plexlab/conformance/trial"
)

var _ = trial.DescribeFamilies("a DVIPA of a VIPARange, in the Sysplex of Figure 9", func(f trial.Family) {
	inRange := f.InRange(6)
	both(func(sharing string) {
		// ranged gives MVS1 and MVS5 the VIPARange.
		ranged := func() *trial.SystemTrial {
			return started(f.System, sharing, among("MVS1", "MVS5"), stating(f.VIPARange("CLUSTERPORTS"), "MVS1", "MVS5"))
		}

		// Nothing is kept of its ports before a bind activates it; that bind gets its port all the same. With the last
		// socket the DVIPA goes, and all that was kept, and another bind brings both back.
		DescribeTable("has ports from the bind on that activates it",
			func(port uint16) {
				s := ranged()
				program := s.Program("MVS1", "APPC")
				held := program.Listens("a", at(inRange, port))
				program.Binds("b", at(inRange, 0))
				s.EventuallyTellsOwner("MVS5", inRange, "MVS1")
				program.Do("close a")
				program.Do("close b")
				s.EventuallyTellsOwner("MVS5", inRange, "")
				program.Binds("c", held)
			},
			Entry("to a port that it names", requirements.Covers("T35", "I31", "fig15/222-yes->226", "fig15/204-yes->208"), uint16(6000)),
			Entry("to any port", requirements.Covers("T35", "I31", "fig15/222-yes->226", "fig15/205-selected->208"), uint16(0)),
		)

		// A bind on another stack moves it (I36), and the ports that sockets have stay theirs.
		It("takes its ports along when another bind moves it", requirements.Covers("T35", "I36", "fig15/204-no->206"), func() {
			s := ranged()
			mvs1, mvs5 := s.Program("MVS1", "APPC"), s.Program("MVS5", "APPC")
			first := mvs1.Listens("a", at(inRange, 0))
			s.EventuallyTellsOwner("MVS5", inRange, "MVS1")
			mvs5.Refused(unix.EADDRINUSE, first)
			s.EventuallyTellsOwner("MVS5", inRange, "MVS1")
			second := mvs5.Listens("a", at(inRange, 0))
			s.EventuallyTellsOwner("MVS1", inRange, "MVS5")
			mvs5.Refused(unix.EADDRINUSE, first)
			mvs1.Refused(unix.EADDRINUSE, second)
		})
	})
}, SpecPriority(1))
