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
	"github.com/plexlab-dev/plexlab/harness/tolerance"
	"github.com/plexlab-dev/plexlab/harness/verdict"
	"github.com/plexlab-dev/plexlab/nodes/contract"
)

// noticed is the most time from a system call that begins or ends listening to SRVSTAT at the
// routing stack, for a socket of an application under the launcher or one that the stack knows.
// The reference takes some milliseconds; the rest is for a machine that does a great deal at once.
// It is less than what comes of waiting for the kernel's own events (0.7 s with a half-open
// request, never after shutdown), or of a look once a second.
func noticed() time.Duration { return trial.Allowed(tolerance.Noticed) }

// prompt expects SRVSTAT in time after the last order to the listener.
func prompt(p *trial.Partner, l *trial.Listener, want contract.SRVSTAT) {
	GinkgoHelper()
	p.ExpectMessage(peer.Is(want))
	for _, entry := range slices.Backward(p.Messages()) {
		if entry.Message != contract.Message(want) {
			continue
		}
		if took := entry.At.Sub(l.Began()); took > noticed() {
			verdict.Mismatch("SRVSTAT within "+noticed().String(), "after "+took.String())
		}
		return
	}
}

var _ = describe("SRVSTAT", func(f plex) {
	service := at(f.DVA1, 80)
	began, ended := f.srvstat(service, true, 1), f.srvstat(service, false, 1)
	// target is a stack under test that is a target of MVS2 for all ports of DVA1.
	target := func() (*trial.UnitTrial, *trial.Partner) {
		GinkgoHelper()
		u := f.Unit(trial.UnitConfig{Inside: true, Partners: []int{2}})
		mvs2 := u.Join(2)
		mvs2.Tell(f.owned(f.DVA1, 1, toAll))
		mvs2.Passed()
		return u, mvs2
	}

	// "A message is sent to the routing stack that communications may be routed to the application"
	// (130), as soon as it listens; and when it does not any more, by whatever way that comes about.
	It("follows an application under the launcher", requirements.Covers("fig11/128-yes->130", "fig05/514->end"), func() {
		u, mvs2 := target()
		l := u.Listen(u.Stack, "APPA", service)
		prompt(mvs2, l, began)
		l.Close()
		prompt(mvs2, l, ended)
		l.Again()
		prompt(mvs2, l, began)
		l.Shutdown()
		prompt(mvs2, l, ended)
		l.Close()
		l.Again()
		prompt(mvs2, l, began)
		l.Kill()
		prompt(mvs2, l, ended)
		Expect(trial.Told[contract.SRVSTAT](mvs2.Said())).To(HaveExactElements(began, ended, began, ended, began, ended))
	})

	// A half-open request holds a closed socket in the kernel for a while; the routing stack hears at
	// once all the same.
	It("tells the end of a listener with a half-open request", requirements.Covers("fig11/128-yes->130"), func() {
		u, mvs2 := target()
		visitor := mvs2.Visitor()
		l := u.Listen(u.Stack, "APPA", service)
		prompt(mvs2, l, began)
		syn := segment.NewSYN(netip.AddrPortFrom(visitor.Address(), 20000), service)
		verdict.Engine(visitor.Send(u.Soon(), syn), "send %s", syn)
		_, err := visitor.Receive(u.Soon(), segment.Pattern{Src: service, Has: segment.SYN | segment.ACK}.Match)
		verdict.Stimulus(err, "the half-open request %s", syn)
		l.Close()
		prompt(mvs2, l, ended)
	})

	// Programs that came without the launcher are found by looking; how soon one is found is bounded
	// by trial.Limit alone, but once it is known its end is told as soon as any other's.
	It("follows a program without the launcher", requirements.Covers("fig11/128-yes->130"), func() {
		u, mvs2 := target()
		l := u.Listen(u.Stack, "", service)
		mvs2.ExpectMessage(peer.Is(began))
		l.Close()
		prompt(mvs2, l, ended)
		l.Again()
		mvs2.ExpectMessage(peer.Is(began))
		l.Kill()
		prompt(mvs2, l, ended)
	})

	// "Multiple servers in a single data processing system" are one target (T13, I9): SRVSTAT when
	// the first begins and when the last ends, whatever addresses they name.
	DescribeTable("counts the listeners of a stack once",
		func(first, second netip.Addr) {
			u := f.Unit(trial.UnitConfig{Inside: true, Partners: []int{2}})
			mvs2 := u.Join(2)
			list := f.owned(f.DVA1, 1, on(toAll, only(80), only(81)))
			mvs2.Tell(list)
			mvs2.Passed()
			marker := u.Listen(u.Stack, "APPC", at(f.DVA1, 81))
			mvs2.ExpectMessage(peer.Is(f.srvstat(at(f.DVA1, 81), true, 1)))

			one := u.Listen(u.Stack, "APPA", at(first, 80), "shared")
			mvs2.ExpectMessage(peer.Is(began))
			two := u.Listen(u.Stack, "APPB", at(second, 80), "shared")
			Expect(mvs2.Tell(list)).To(ConsistOf(began, f.srvstat(at(f.DVA1, 81), true, 1), contract.EndOfList{}))
			one.Close()
			marker.Close()
			mvs2.ExpectMessage(peer.Is(f.srvstat(at(f.DVA1, 81), false, 1)))
			Expect(mvs2.Tell(list)).To(ConsistOf(began, contract.EndOfList{}))
			two.Close()
			mvs2.ExpectMessage(peer.Is(ended))

			ofMarker := func(m contract.SRVSTAT) bool { return m.Service.Port() == 81 }
			told := slices.DeleteFunc(trial.Told[contract.SRVSTAT](mvs2.Said()), ofMarker)
			Expect(told).To(HaveExactElements(began, began, began, ended), "one by itself, two for lists, one at the end")
		},
		Entry("that share one address", requirements.Covers("I9", "T13"), f.DVA1, f.DVA1),
		Entry("one of which names it", requirements.Covers("I9", "T13"), f.Any, f.DVA1),
	)
})
