package fig11

import (
	"net/netip"

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

// A knock is a connection request to the stack under test on XCF, as a routing stack forwards it.
type knock struct {
	u       *trial.UnitTrial
	visitor *segment.Host
	port    uint16
}

// newKnock starts a visitor behind the partner.
func newKnock(u *trial.UnitTrial, p *trial.Partner) *knock {
	return &knock{u: u, visitor: p.Visitor(), port: 20000}
}

// at sends a SYN to a service and returns it, once it has arrived.
func (k *knock) at(service netip.AddrPort) (segment.Segment, capture.Mark) {
	GinkgoHelper()
	k.port++
	mark := k.u.Capture.Mark()
	syn := segment.NewSYN(netip.AddrPortFrom(k.visitor.Address(), k.port), service)
	verdict.Engine(k.visitor.Send(k.u.Soon(), syn), "send %s", syn)
	_, err := k.u.Capture.On(k.u.XCFLink).Received().After(mark).As(capture.Stimulus).Await(k.u.Soon(), segment.Connect(syn.Src, syn.Dst))
	verdict.Stimulus(err, "%s at %s", syn, k.u.XCFLink)
	return syn, mark
}

// accepted expects that the stack under test accepts a connection to the service, and ends the
// request, so that nothing is held of it.
func (k *knock) accepted(service netip.AddrPort) {
	GinkgoHelper()
	syn, mark := k.at(service)
	answer := segment.Pattern{Src: syn.Dst, Dst: syn.Src, Has: segment.SYN | segment.ACK}
	_, err := k.u.Capture.On(k.u.XCFLink).Sent().After(mark).Await(k.u.Soon(), answer)
	Expect(err).NotTo(HaveOccurred())
	verdict.Engine(k.visitor.Send(k.u.Soon(), segment.NewRST(syn.Src, syn.Dst, syn.Next())), "reset %s", syn)
}

// unanswered expects that the stack under test answers nothing at all from the service, until it
// has accepted a connection to another one.
func (k *knock) unanswered(service, other netip.AddrPort) {
	GinkgoHelper()
	_, mark := k.at(service)
	marker, _ := k.at(other)
	err := k.u.Capture.On(k.u.XCFLink).Sent().After(mark).NoneBefore(k.u.Soon(),
		segment.Pattern{Src: service},
		segment.Pattern{Src: marker.Dst, Dst: marker.Src, Has: segment.SYN | segment.ACK})
	Expect(err).NotTo(HaveOccurred())
}

var _ = describe("a message that is no list", func(f plex) {
	// Only a message with a VIPA list concerns a target: whatever else comes, and about whatever
	// address, makes it neither hold that address nor answer (block 122).
	It("makes the stack neither hold the address nor answer",
		requirements.Covers("fig11/120->122", "fig11/122-no->end", "fig11/122-yes->124"), func() {
			u := f.Unit(trial.UnitConfig{Inside: true, Partners: []int{2}})
			mvs2 := u.Join(2)
			visitor := newKnock(u, mvs2)
			u.Listen(u.Stack, "APPA", at(f.Any, 80))
			connection := contract.Connection{Remote: at(f.Client, 1024), Local: at(f.DVA1, 80)}
			mvs2.Tell()
			mvs2.Passed()

			messages := []contract.Message{
				contract.EndOfList{},
				contract.SRVSTAT{Service: at(f.DVA1, 80), XCF: mvs2.XCF, Listening: true, Epoch: 1},
				contract.NEWCONN{DVIPA: f.DVA1, XCF: mvs2.XCF, Connections: []contract.Connection{connection}, Epoch: 1},
				contract.TERMCONN{DVIPA: f.DVA1, XCF: mvs2.XCF, Connections: []contract.Connection{connection}, Epoch: 1},
				contract.NEWCONNAck{Acknowledge: 1},
			}
			before := len(mvs2.Messages())
			for _, message := range messages {
				u.ExpectPath("fig11", "120->122 122-no->end", func() { mvs2.Say(message) })
			}
			answers := mvs2.Tell(f.owned(f.DVB1, 1, on(toAll, only(80))))
			Expect(answers).To(HaveExactElements(f.srvstat(at(f.DVB1, 80), true, 1), contract.EndOfList{}))
			Expect(mvs2.Messages()).To(HaveLen(before+len(answers)), "messages of the stack under test")
			visitor.unanswered(at(f.DVA1, 80), at(f.DVB1, 80))
		})
})

var _ = describe("a list of an owner", func(f plex) {
	// "If the stack is identified as a candidate target stack ... adds the DVIPA as a
	// non-advertised or internal VIPA address" (blocks 124, 126): by its XCF address or by ALL.
	// Before that a connection request for the DVIPA is none of the stack's business.
	DescribeTable("makes a candidate target take connections",
		func(d contract.Distribution) {
			u := f.Unit(trial.UnitConfig{Inside: true, Partners: []int{2}})
			mvs2 := u.Join(2)
			visitor := newKnock(u, mvs2)
			u.Listen(u.Stack, "APPA", at(f.Any, 80))
			visitor.unanswered(at(f.DVA1, 80), at(f.self, 80))
			mvs2.Tell(f.owned(f.DVA1, 1, d))
			visitor.accepted(at(f.DVA1, 80))
		},
		Entry("by name", requirements.Covers("fig11/124-yes->126"), f.toSelf),
		Entry("by ALL", requirements.Covers("fig11/124-yes->126"), toAll),
	)

	// The internal address is not advertised: the stack says nothing of it to the outside and
	// answers nobody who asks for it there, while it answers for its own address. What comes in on
	// XCF it answers all the same, past the routing stack (T9).
	It("does not make a target tell the network", requirements.Covers("fig11/124-yes->126", "T9"), func() {
		u := f.Unit(trial.UnitConfig{Partners: []int{2}})
		mvs2 := u.Join(2)
		visitor := mvs2.Visitor()
		mark := u.Capture.Mark()
		mvs2.Tell(f.owned(f.DVA1, 1, toAll))
		u.Listen(u.Stack, "APPA", at(f.DVA1, 80))

		_, err := u.Client().Resolve(u.Shortly(), f.DVA1)
		Expect(err).To(HaveOccurred(), "an answer to who has %s", f.DVA1)
		_, err = u.Client().Resolve(u.Soon(), f.outside)
		verdict.Stimulus(err, "a question at %s", u.OutsideLink)
		ofDVA1 := func(d segment.Decoded) bool { return d.Holder() == f.DVA1 }
		told := capture.Where("a claim of "+f.DVA1.String(), ofDVA1)
		Expect(u.Capture.On(u.OutsideLink).Sent().After(mark).Matching(told)).To(BeEmpty())

		syn := segment.NewSYN(u.From(), at(f.DVA1, 80))
		verdict.Engine(visitor.Send(u.Soon(), syn), "send %s", syn)
		_, err = u.Capture.On(u.XCFLink).Received().As(capture.Stimulus).Await(u.Soon(), segment.Connect(syn.Src, syn.Dst))
		verdict.Stimulus(err, "%s at %s", syn, u.XCFLink)
		answer := segment.Pattern{Src: syn.Dst, Dst: syn.Src, Has: segment.SYN | segment.ACK}
		_, err = u.Capture.On(u.OutsideLink).Sent().After(mark).Await(u.Soon(), answer)
		Expect(err).NotTo(HaveOccurred())
		Expect(u.Capture.On(u.XCFLink).Sent().Matching(answer)).To(BeEmpty())
	})

	// "If the stack is not a candidate" (124-no) it holds nothing and its listeners are nobody's
	// business, whether they name the address or not; the same list with the stack in it shows
	// that nothing else kept them back.
	It("does not concern a stack that is no candidate", requirements.Covers("fig11/124-no->132"), func() {
		u := f.Unit(trial.UnitConfig{Inside: true, Partners: []int{2}})
		mvs2 := u.Join(2)
		visitor := newKnock(u, mvs2)
		u.Listen(u.Stack, "APPA", at(f.Any, 80))
		Expect(mvs2.Tell(f.owned(f.DVA1, 1, on(f.toOthers, only(80))))).To(HaveExactElements(contract.EndOfList{}))
		u.Listen(u.Stack, "APPA", at(f.Any, 81))
		visitor.unanswered(at(f.DVA1, 80), at(f.self, 80))

		both := on(toAll, contract.PortRange{First: 80, Last: 81})
		answers := mvs2.Tell(f.owned(f.DVA1, 1, both))
		Expect(trial.Services(answers)).To(HaveExactElements(at(f.DVA1, 80).String(), at(f.DVA1, 81).String()))
		Expect(trial.Told[contract.SRVSTAT](mvs2.Said())).To(HaveLen(2), "SRVSTAT of the whole run")
	})

	// A stack that owns nothing, or a DVIPA that is not distributed, names no candidate.
	It("that owns nothing, or distributes nothing, names no candidate", requirements.Covers("fig11/122-no->end", "fig11/124-no->132"), func() {
		u := f.Unit(trial.UnitConfig{Inside: true, Partners: []int{2}})
		mvs2 := u.Join(2)
		u.Listen(u.Stack, "APPA", at(f.Any, 80))
		mvs2.Tell()
		backup := contract.DVIPA{Prefix: f.OnNetwork44(f.DVA1), Role: contract.RoleBackup, Rank: 10, Distribution: &toAll}
		u.ExpectPath("fig11", "120->122 122-no->end", func() {
			Expect(mvs2.Tell(backup)).To(HaveExactElements(contract.EndOfList{}))
		})
		alone := f.owned(f.DVA1, 1, toAll)
		alone.Distribution = nil
		u.ExpectPath("fig11", "120->122 122-yes->124 124-no->132 132-no->end", func() {
			Expect(mvs2.Tell(alone)).To(HaveExactElements(contract.EndOfList{}))
		})
	})

	// A list is complete (T19): what its sender owned before and does not list any more has ended.
	It("replaces the one before", requirements.Covers("T19"), func() {
		u := f.Unit(trial.UnitConfig{Inside: true, Partners: []int{2}})
		mvs2 := u.Join(2)
		visitor := newKnock(u, mvs2)
		u.Listen(u.Stack, "APPA", at(f.Any, 80))
		dva1, dvb1 := f.owned(f.DVA1, 1, on(toAll, only(80))), f.owned(f.DVB1, 2, on(toAll, only(80), only(90)))
		Expect(trial.Services(mvs2.Tell(dva1, dvb1))).To(HaveExactElements(at(f.DVA1, 80).String(), at(f.DVB1, 80).String()))
		visitor.accepted(at(f.DVA1, 80))
		visitor.accepted(at(f.DVB1, 80))
		Expect(trial.Services(mvs2.Tell(dvb1))).To(HaveExactElements(at(f.DVB1, 80).String()))
		visitor.unanswered(at(f.DVA1, 80), at(f.DVB1, 80))
		u.Listen(u.Stack, "APPA", at(f.DVB1, 90))
		mvs2.ExpectMessage(peer.Is(f.srvstat(at(f.DVB1, 90), true, 2)))
	})
})
