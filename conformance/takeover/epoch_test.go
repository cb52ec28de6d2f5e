package takeover

import (
	"errors"
	"fmt"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/plexlab-dev/plexlab/conformance/requirements"
	"github.com/plexlab-dev/plexlab/conformance/trial"
	"github.com/plexlab-dev/plexlab/harness/capture"
	"github.com/plexlab-dev/plexlab/harness/peer"
	"github.com/plexlab-dev/plexlab/harness/segment"
	"github.com/plexlab-dev/plexlab/harness/verdict"
	"github.com/plexlab-dev/plexlab/nodes/contract"
)

// distributes is the profile of a primary of DVA1 that distributes two ports of it.
const distributes = `
	VIPADYNAMIC
	VIPADEFINE MASK DVA1
	VIPADISTRIBUTE DVA1 PORT 60 61 DESTIP XCF2, XCF3
	ENDVIPADYNAMIC`

var _ = trial.DescribeFamilies("an ownership", func(f trial.Family) {
	// A stack takes DVA1 back from MVS5. Whatever was said of an ownership before, late or by one that does
	// not know, changes nothing in the tables of this one (I38): not that a listener or a connection
	// ended, not that there are others, not who owned DVA1.
	It("is not changed by what is said of an earlier one",
		requirements.Covers("I38", "fig11/122-yes->124", "fig13/160-TERMCONN->162", "fig13/160-NEWCONN->164", "fig13/160-SRVSTAT->165"), func() {
			u := f.Unit(trial.UnitConfig{Profile: distributes, Partners: []int{2, 5}})
			mvs2, mvs5 := u.Join(2), u.Join(5)
			earlier := mvs2.Epoch(f.DVA1)
			theirs := mvs5.Claim(f.DVA1, earlier)
			stale := contract.VIPAList{DVIPAs: []contract.DVIPA{backup(f, f.DVA1, theirs, 100, stacks(f, 2))}}
			given := contract.VIPAList{DVIPAs: []contract.DVIPA{backup(f, f.DVA1, 0, 100, nil)}}
			mvs5.Say(stale)
			mvs5.ExpectMessage(owns(theirs, f.DVA1))
			mvs5.Say(given, contract.EndOfList{})
			mvs2.ExpectMessage(owns(theirs, f.DVA1))
			held, unheard := segment.NewACK(u.From(), f.At(60), 7, 9), segment.NewACK(u.From(), f.At(60), 7, 9)
			mvs2.Say(mvs2.NEWCONN(trial.Of(held)), mvs2.SRVSTAT(f.At(60), true), contract.EndOfList{})
			u.EventuallyFollows(held, mvs2)
			u.EventuallyForwarded(f.At(60), mvs2)
			u.Settled(mvs5)
			u.EndLists(mvs2) // which may have been asked again when MVS5 yielded

			for _, old := range []uint64{earlier, theirs} {
				ended, began := mvs2.SRVSTAT(f.At(60), false), mvs2.SRVSTAT(f.At(61), true)
				terminated, another := mvs2.TERMCONN(trial.Of(held)), mvs2.NEWCONN(trial.Of(unheard))
				ended.Epoch, began.Epoch, terminated.Epoch, another.Epoch = old, old, old, old
				mvs2.Say(ended, began, terminated, another)
			}
			u.Settled(mvs2)
			mvs5.TellAll(stale)

			u.ExpectForwarded(held, mvs2)
			u.ExpectForwarded(segment.NewSYN(u.From(), f.At(60)), mvs2)
			u.ExpectReset(unheard)
			u.ExpectReset(segment.NewSYN(u.From(), f.At(61)))
			u.Client().Forget()
			mac, err := u.Client().Resolve(u.Soon(), f.DVA1)
			Expect(err).NotTo(HaveOccurred())
			Expect(mac.String()).To(Equal(u.MAC(u.Stack)))
		})

	// Until MVS5 yields it goes on to distribute, also to MVS2, which has told by then what it holds. So MVS2 is asked
	// again, and the first packets of such a connection are not answered with RST meanwhile (I16, I20).
	It("is not settled before all have told what the owner before distributed until it yielded", requirements.Covers("I16", "I20"), func() {
		u := f.Unit(trial.UnitConfig{Profile: distributes, Partners: []int{2, 5}})
		mvs2, mvs5 := u.Join(2), u.Join(5)
		theirs := mvs5.Claim(f.DVA1, mvs5.Epoch(f.DVA1))
		mvs5.Say(contract.VIPAList{DVIPAs: []contract.DVIPA{backup(f, f.DVA1, theirs, 100, stacks(f, 2))}})
		mvs2.ExpectMessage(owns(theirs, f.DVA1))
		u.EndLists(mvs2)
		mvs2.Passed()
		mvs5.ExpectMessage(owns(theirs, f.DVA1))
		mvs5.Say(contract.VIPAList{DVIPAs: []contract.DVIPA{backup(f, f.DVA1, 0, 100, nil)}})
		u.EndLists(mvs5)

		mvs2.ExpectMessage(owns(theirs, f.DVA1))
		late := segment.NewACK(u.From(), f.At(60), 7, 9)
		since := u.Capture.Mark()
		u.Send(late)
		u.ExpectArrived(late)
		mvs2.Say(mvs2.NEWCONN(trial.Of(late)), contract.EndOfList{})
		u.EventuallyFollows(late, mvs2)
		Expect(u.Capture.On(u.OutsideLink).Sent().After(since).Matching(segment.Pattern{Src: late.Dst, Dst: late.Src})).
			To(BeEmpty(), "what the client of the connection is told")
	})

	// MVS5 takes DVA1 while the stack is frozen. The kernel of the stack goes on, and the process will know
	// of its loss only when it has read what has come meanwhile; yet from the end of its lease on, nobody
	// on the network gets an answer from it for DVA1, and no packet is passed on (I38).
	It("is over for a stack that is frozen, and stays so when it thaws", requirements.Covers("I38"), func() {
		u := f.Unit(trial.UnitConfig{Profile: distributes, Partners: []int{2, 5}})
		mvs2, mvs5 := u.Join(2), u.Join(5)
		mvs2.Say(mvs2.SRVSTAT(f.At(60), true))
		u.EventuallyForwarded(f.At(60), mvs2)
		verdict.Engine(u.Lab.Freeze(u.Context(), u.Stack), "freeze %s", u.Stack)
		theirs := mvs5.Claim(f.DVA1, mvs5.Epoch(f.DVA1))
		before := len(mvs5.Said())
		mvs5.Passed()
		mvs5.Say(contract.VIPAList{DVIPAs: []contract.DVIPA{primary(f, f.DVA1, theirs, stacks(f, 2))}})
		Eventually(attempted(u, f)).Should(Succeed(), "the end of the lease of %s", u.Stack)

		since := u.Capture.Mark()
		verdict.Engine(u.Lab.Thaw(u.Context(), u.Stack), "thaw %s", u.Stack)
		heard := func() bool { return len(trial.Told[contract.EndOfList](mvs5.Said()[before:])) > 0 }
		for limit := u.Soon(); !heard() && limit.Err() == nil; {
			Expect(quiet(u, f)).To(Succeed())
		}
		mvs5.ExpectMessage(peer.Of[contract.EndOfList]("END_OF_LIST: it has given DVA1 up", nil))
		Expect(quiet(u, f)).To(Succeed())
		Expect(u.Capture.On(u.XCFLink).Sent().After(since).Matching(segment.Pattern{Dst: f.At(60)})).To(BeEmpty(), "what is forwarded to targets")
	})

	// Nor does an owner that has been told of its end, by a list and nothing else, pass on what reaches it by way of the new one, or the two
	// could send a request round and round: it is a target like any other.
	It("that is over leaves no way to the targets that it had", requirements.Covers("I38"), func() {
		u := f.Unit(trial.UnitConfig{Profile: distributes, Partners: []int{2, 3}})
		mvs2, mvs3 := u.Join(2), u.Join(3)
		mvs3.Say(mvs3.SRVSTAT(f.At(60), true))
		u.EventuallyForwarded(f.At(60), mvs3)
		mvs2.Tell(primary(f, f.DVA1, mvs2.Epoch(f.DVA1)+1, &contract.Distribution{All: true}))

		since := u.Capture.Mark()
		visitor := mvs2.Visitor()
		syn := segment.NewSYN(trial.At(visitor.Address(), 30000), f.At(60))
		verdict.Engine(visitor.Send(u.Soon(), syn), "send %s by way of MVS2", syn)
		_, err := visitor.Receive(u.Soon(), segment.Pattern{Src: syn.Dst, Dst: syn.Src, Has: segment.RST}.Match)
		Expect(err).NotTo(HaveOccurred(), "the answer of a stack where nobody listens")
		Expect(u.Capture.On(u.XCFLink).Sent().After(since).Matching(segment.Pattern{Src: syn.Src, Dst: syn.Dst})).To(BeEmpty(), "what is passed on")
	})
})

// lastList is the last list that the stack under test told a partner.
func lastList(p *trial.Partner) (list contract.VIPAList) {
	for _, m := range p.Said() {
		if l, ok := m.(contract.VIPAList); ok {
			list = l
		}
	}
	return list
}

// quiet says what the stack under test, MVS1, sends when it is asked for DVA1: it is to send nothing.
func quiet(u *trial.UnitTrial, f trial.Family) error {
	GinkgoHelper()
	return asked(u, f, "")
}

// attempted is quiet for a spec that asks again and again, and goes on either way.
func attempted(u *trial.UnitTrial, f trial.Family) func() error {
	return func() error { return asked(u, f, capture.Attempt) }
}

// asked asks for DVA1 and sends a request to it, and says what the stack under test sends because of it. That
// its kernel answers for its own address is the marker.
func asked(u *trial.UnitTrial, f trial.Family, role capture.Role) error {
	GinkgoHelper()
	syn := segment.NewSYN(u.From(), f.At(60))
	since := u.Capture.Mark()
	verdict.Engine(u.Client().Ask(f.DVA1), "ask for DVA1")
	u.Send(syn)
	u.ExpectArrived(syn)
	verdict.Engine(u.Client().Ask(f.Outside(1)), "ask for %s", u.Stack)
	activity := capture.Where(fmt.Sprintf("anything for %s", f.DVA1), func(d segment.Decoded) bool {
		return d.Holder() == f.DVA1 || d.SrcIP == f.DVA1 || d.Kind == segment.TCP && d.DstIP == f.DVA1
	})
	outside := u.Capture.On(u.OutsideLink).Sent().After(since).As(role).NoneBefore(u.Soon(), activity, answered(f.Outside(1)))
	var inside error
	if passed := u.Capture.On(u.XCFLink).Sent().After(since).Matching(segment.Pattern{Dst: syn.Dst}); len(passed) > 0 {
		inside = fmt.Errorf("passed on: %s", capture.Listing(passed))
	}
	return errors.Join(outside, inside)
}
