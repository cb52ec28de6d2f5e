package fig11

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/plexlab-dev/plexlab/conformance/requirements"
	"github.com/plexlab-dev/plexlab/conformance/trial"
	"github.com/plexlab-dev/plexlab/harness/peer"
	"github.com/plexlab-dev/plexlab/nodes/contract"
)

// The specification knows one routing stack of a DVIPA at a time. Where two claim it, or one tells
// what was before, the ownership epoch decides; a stack that followed the wrong one would tell
// its listeners to somebody who does not route.
var _ = describe("a claim of ownership", func(f plex) {
	// listens opens a listener and expects that the owner hears of it, at its epoch.
	listens := func(u *trial.UnitTrial, owner *trial.Partner, port uint16, epoch uint64) {
		GinkgoHelper()
		u.Listen(u.Stack, "APPA", at(f.DVA1, port))
		owner.ExpectMessage(peer.Is(f.srvstat(at(f.DVA1, port), true, epoch)))
	}

	It("of a later epoch is followed, of an earlier one it is not", requirements.Covers("fig11/122-yes->124", "T28"), func() {
		u := f.Unit(trial.UnitConfig{Inside: true, Partners: []int{2, 3}})
		mvs2, mvs3 := u.Join(2), u.Join(3)
		mvs2.Tell(f.owned(f.DVA1, 5, toAll))
		listens(u, mvs2, 80, 5)

		By("the owner's own list of before, which left the stack out")
		Expect(mvs2.Tell(f.owned(f.DVA1, 4, f.toOthers))).To(HaveExactElements(contract.EndOfList{}))
		listens(u, mvs2, 81, 5)

		By("another stack that has an earlier epoch, and one that has the same")
		for _, epoch := range []uint64{4, 5} {
			Expect(mvs3.Tell(f.owned(f.DVA1, epoch, toAll))).To(HaveExactElements(contract.EndOfList{}))
		}
		listens(u, mvs2, 82, 5)
		Expect(trial.Told[contract.SRVSTAT](mvs3.Said())).To(BeEmpty())

		By("another stack that has a later one: it is told of everything, the old owner of nothing more")
		Expect(trial.Services(mvs3.Tell(f.owned(f.DVA1, 6, toAll)))).To(HaveExactElements(
			at(f.DVA1, 80).String(), at(f.DVA1, 81).String(), at(f.DVA1, 82).String()))
		listens(u, mvs3, 83, 6)

		By("the old owner once more")
		Expect(mvs2.Tell(f.owned(f.DVA1, 5, f.toOthers))).To(HaveExactElements(contract.EndOfList{}))
		listens(u, mvs3, 84, 6)
		Expect(trial.Services(mvs2.Said())).To(HaveLen(3), "services told to MVS2")

		By("the old owner's complete list, which has the DVIPA no more")
		Expect(mvs2.Tell()).To(HaveExactElements(contract.EndOfList{}))
		listens(u, mvs3, 85, 6)
	})

	// A stack that owns a DVIPA itself does not become the target of another that claims it at the
	// epoch it has: it still answers for the address, and serves it.
	It("does not impress the owner", requirements.Covers("fig11/122-yes->124"), func() {
		u := f.Unit(trial.UnitConfig{Partners: []int{2}, Profile: `
			VIPADYNAMIC
			VIPADEFINE MASK DVA1
			VIPADISTRIBUTE DVA1 DESTIP XCF1
			ENDVIPADYNAMIC`})
		mvs2 := u.Introduce(2, nil)
		mvs2.WaitMember()
		list := mvs2.ExpectList()
		Expect(list.DVIPAs).To(HaveLen(1))
		service := at(f.DVA1, 80)
		u.Listen(u.Stack, "APPA", service)
		u.EventuallyServed(service)

		Expect(mvs2.Tell(f.owned(f.DVA1, list.DVIPAs[0].Epoch, f.toOthers))).To(HaveExactElements(contract.EndOfList{}))
		u.Client().Forget()
		u.EventuallyServed(service)
	})

	// The owner that ended is told of nothing, and its targets go on: the address stays, and who
	// comes after it is told of all.
	It("ends with its stack, and the next one is told of everything", requirements.Covers("fig11/131-yes->133", "T28"), func() {
		h := f.newHolder(f.DVA1, 3)
		mvs3 := h.Join(3)
		s := h.connect()
		h.Listen(h.Stack, "APPA", at(f.DVA1, 90))
		h.mvs2.ExpectMessage(peer.Is(f.srvstat(at(f.DVA1, 90), true, 1)))
		h.mvs2.Close()
		h.lives(s)
		h.Listen(h.Stack, "APPA", at(f.DVA1, 91))

		answers := mvs3.Tell(f.owned(f.DVA1, 2, toAll))
		Expect(trial.Services(answers)).To(ContainElements(at(f.DVA1, 90).String(), at(f.DVA1, 91).String()))
		Expect(reported(answers)).To(ConsistOf(s.Connection))
		h.lives(s)
	})
})
