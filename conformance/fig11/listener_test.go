package fig11

import (
	"net/netip"
	"slices"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/plexlab-dev/plexlab/conformance/requirements"
	"github.com/plexlab-dev/plexlab/conformance/trial"
	"github.com/plexlab-dev/plexlab/harness/peer"
	"github.com/plexlab-dev/plexlab/harness/segment"
	"github.com/plexlab-dev/plexlab/harness/verdict"
	"github.com/plexlab-dev/plexlab/nodes/contract"
)

// noticed is the most time from the end of a listening socket that the stack knows, or from
// listen() of an application under the launcher, to SRVSTAT at the routing stack.
const noticed = 100 * time.Millisecond

// prompt does something to a listening socket and expects SRVSTAT in time.
func prompt(p *trial.Partner, want contract.SRVSTAT, what func()) {
	GinkgoHelper()
	begin := time.Now()
	what()
	p.ExpectMessage(peer.Is(want))
	for _, entry := range p.Messages() {
		if took := entry.At.Sub(begin); entry.At.After(begin) && took > noticed {
			verdict.Mismatch("SRVSTAT within "+noticed.String(), "after "+took.String())
		}
	}
}

var _ = Describe("SRVSTAT", func() {
	service := at(trial.DVA1, 80)
	began, ended := srvstat(service, true, 1), srvstat(service, false, 1)
	// target is a stack under test that is a target of MVS2 for all ports of DVA1.
	target := func() (*trial.UnitTrial, *trial.Partner) {
		GinkgoHelper()
		u := trial.Unit(trial.UnitConfig{Inside: true, Partners: []int{2}})
		mvs2 := u.Join(2)
		mvs2.Tell(owned(trial.DVA1, 1, toAll))
		mvs2.Passed()
		return u, mvs2
	}

	// "A message is sent to the routing stack that communications may be routed to the application"
	// (130), as soon as it listens; and when it does not any more, by whatever way that comes about.
	It("follows an application under the launcher", requirements.Covers("fig11/128-yes->130", "fig05/514->end"), func() {
		u, mvs2 := target()
		var l *trial.Listener
		prompt(mvs2, began, func() { l = u.Listen(u.Stack, "APPA", service) })
		prompt(mvs2, ended, func() { l.Close() })
		prompt(mvs2, began, func() { l.Again() })
		prompt(mvs2, ended, func() { l.Shutdown() })
		l.Close()
		prompt(mvs2, began, func() { l.Again() })
		prompt(mvs2, ended, func() { l.Kill() })
		Expect(trial.Told[contract.SRVSTAT](said(mvs2))).To(HaveExactElements(began, ended, began, ended, began, ended))
	})

	// A half-open request holds a closed socket in the kernel for a while; the routing stack hears at
	// once all the same.
	It("tells the end of a listener with a half-open request", requirements.Covers("fig11/128-yes->130"), func() {
		u, mvs2 := target()
		visitor := mvs2.Visitor()
		var l *trial.Listener
		prompt(mvs2, began, func() { l = u.Listen(u.Stack, "APPA", service) })
		syn := segment.NewSYN(netip.AddrPortFrom(visitor.Address(), 20000), service)
		verdict.Engine(visitor.Send(u.Soon(), syn), "send %s", syn)
		_, err := visitor.Receive(u.Soon(), segment.Pattern{Src: service, Has: segment.SYN | segment.ACK}.Match)
		verdict.Stimulus(err, "the half-open request %s", syn)
		prompt(mvs2, ended, func() { l.Close() })
	})

	// Programs that came without the launcher are found by looking; how soon one is found is bounded
	// by trial.Limit alone, but once it is known its end is told as soon as any other's.
	It("follows a program without the launcher", requirements.Covers("fig11/128-yes->130"), func() {
		u, mvs2 := target()
		l := u.Listen(u.Stack, "", service)
		mvs2.ExpectMessage(peer.Is(began))
		prompt(mvs2, ended, func() { l.Close() })
		l.Again()
		mvs2.ExpectMessage(peer.Is(began))
		prompt(mvs2, ended, func() { l.Kill() })
	})

	// "Multiple servers in a single data processing system" are one target (T13, I9): SRVSTAT when
	// the first begins and when the last ends, whatever addresses they name.
	DescribeTable("counts the listeners of a stack once",
		func(first, second netip.Addr) {
			u := trial.Unit(trial.UnitConfig{Inside: true, Partners: []int{2}})
			mvs2 := u.Join(2)
			list := owned(trial.DVA1, 1, on(toAll, only(80), only(81)))
			mvs2.Tell(list)
			mvs2.Passed()
			marker := u.Listen(u.Stack, "APPC", at(trial.DVA1, 81))
			mvs2.ExpectMessage(peer.Is(srvstat(at(trial.DVA1, 81), true, 1)))

			one := u.Listen(u.Stack, "APPA", at(first, 80), "shared")
			mvs2.ExpectMessage(peer.Is(began))
			two := u.Listen(u.Stack, "APPB", at(second, 80), "shared")
			Expect(mvs2.Tell(list)).To(ConsistOf(began, srvstat(at(trial.DVA1, 81), true, 1), contract.EndOfList{}))
			one.Close()
			marker.Close()
			mvs2.ExpectMessage(peer.Is(srvstat(at(trial.DVA1, 81), false, 1)))
			Expect(mvs2.Tell(list)).To(ConsistOf(began, contract.EndOfList{}))
			two.Close()
			mvs2.ExpectMessage(peer.Is(ended))

			ofMarker := func(m contract.SRVSTAT) bool { return m.Service.Port() == 81 }
			told := slices.DeleteFunc(trial.Told[contract.SRVSTAT](said(mvs2)), ofMarker)
			Expect(told).To(HaveExactElements(began, began, began, ended), "one by itself, two for lists, one at the end")
		},
		Entry("that share one address", requirements.Covers("I9", "T13"), trial.DVA1, trial.DVA1),
		Entry("one of which names it", requirements.Covers("I9", "T13"), anyIPv4, trial.DVA1),
	)
})
