package fig11

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/plexlab-dev/plexlab/conformance/requirements"
	"github.com/plexlab-dev/plexlab/conformance/trial"
	"github.com/plexlab-dev/plexlab/harness/verdict"
)

var _ = describe("the way of a list through the figure", func(f plex) {
	// What a stack keeps as a backup (132, 135, 134) nobody sees before it takes over, and neither
	// the order of blocks: the stack's own account has to tell the way that the figure draws, edge by
	// edge, for a stack that is no candidate, a candidate, one with a listener, with a connection too,
	// and one that is no candidate any more and still holds the connection (I16).
	passes := func(profile, end string) {
		u := f.Unit(trial.UnitConfig{Partners: []int{2}, Profile: profile})
		u.NeedsTraces()
		mvs2 := u.Join(2)
		mvs2.Tell()
		service := at(f.DVA1, 80)
		candidate, others := f.owned(f.DVA1, 1, toAll), f.owned(f.DVA1, 1, f.toOthers)
		toCandidate := func() { mvs2.Tell(candidate) }
		toNone := func() { mvs2.Tell(others) }

		u.ExpectPath("fig11", "120->122 122-yes->124 124-no->132 "+end, toNone)
		u.ExpectPath("fig11", "120->122 122-yes->124 124-yes->126 126->128 128-no->131 131-no->132 "+end, toCandidate)
		u.Listen(u.Stack, "APPA", service)
		u.ExpectPath("fig11", "120->122 122-yes->124 124-yes->126 126->128 128-yes->130 130->131 131-no->132 "+end, toCandidate)
		_, err := mvs2.Visitor().Dial(u.Soon(), 20000, service)
		verdict.Stimulus(err, "a connection to %s", service)
		u.ExpectPath("fig11", "120->122 122-yes->124 124-yes->126 126->128 128-yes->130 130->131 131-yes->133 133->132 "+end, toCandidate)
		u.ExpectPath("fig11", "120->122 122-yes->124 124-no->132 131-yes->133 133->132 "+end, toNone)
	}

	It("ends at 132 in a stack that is no backup",
		requirements.Covers("fig11/120->122", "fig11/122-yes->124", "fig11/124-yes->126", "fig11/124-no->132", "fig11/126->128",
			"fig11/128-no->131", "fig11/128-yes->130", "fig11/130->131", "fig11/131-no->132", "fig11/131-yes->133",
			"fig11/133->132", "fig11/132-no->end", "I16"), func() {
			passes("", "132-no->end")
		})

	It("ends at 134 in a backup without a distribution of its own",
		requirements.Covers("fig11/132-yes->135", "fig11/135-no->134", "fig11/134->end"), func() {
			passes("VIPADYNAMIC VIPABACKUP 10 DVA1 ENDVIPADYNAMIC", "132-yes->135 135-no->134 134->end")
		})

	It("ends at 135 in a backup with a distribution of its own",
		requirements.Covers("fig11/132-yes->135", "fig11/135-yes->end"), func() {
			passes("VIPADYNAMIC VIPABACKUP 10 DVA1 VIPADISTRIBUTE DVA1 DESTIP XCF3 ENDVIPADYNAMIC", "132-yes->135 135-yes->end")
		})

	// Rank and own distribution are of one DVIPA each: a backup of DVB1 is none of DVA1.
	It("is each DVIPA's own", requirements.Covers("fig11/132-no->end"), func() {
		u := f.Unit(trial.UnitConfig{Partners: []int{2}, Profile: "VIPADYNAMIC VIPABACKUP 10 DVB1 ENDVIPADYNAMIC"})
		u.NeedsTraces()
		mvs2 := u.Join(2)
		mvs2.Tell()
		u.ExpectPath("fig11", `120->122 122-yes->124 124-no->132 132-no->end
			122-yes->124 124-no->132 132-yes->135 135-no->134 134->end`, func() {
			answers := mvs2.Tell(f.owned(f.DVA1, 1, f.toOthers), f.owned(f.DVB1, 2, f.toOthers))
			Expect(answers).To(HaveLen(1))
		})
	})
})
