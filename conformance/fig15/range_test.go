package fig15

import (
	"fmt"
	"net/netip"
	"slices"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"golang.org/x/sys/unix"

	"github.com/plexlab-dev/plexlab/conformance/requirements"
	"github.com/plexlab-dev/plexlab/conformance/trial"
	"github.com/plexlab-dev/plexlab/harness/peer"
	"github.com/plexlab-dev/plexlab/nodes/contract"
)

// inRange is an address of the VIPARange of the specs here, beyond it one that is not.
var (
	inRange = netip.MustParseAddr("192.168.44.70")
	beyond  = netip.MustParseAddr("192.168.44.80")
)

// ranged is the profile of a stack with a VIPARange, with a keyword or without.
func ranged(keyword string) string {
	return fmt.Sprintf("VIPADYNAMIC VIPARANGE %s 255.255.255.240 192.168.44.64 ENDVIPADYNAMIC", keyword)
}

// expectRange waits for a list that has the DVIPA of a range, or has it no more.
func (s *stack) expectRange(address netip.Addr, there bool) {
	GinkgoHelper()
	s.mvs2.ExpectMessage(peer.Of(fmt.Sprintf("with %s: %t", address, there), func(l contract.VIPAList) bool {
		return slices.ContainsFunc(l.DVIPAs, rangeOf(address)) == there
	}))
}

var _ = Describe("block 222: a DVIPA within a VIPARange", func() {
	// "If the DVIPA is within a range of a VIPARANGE statement for the communication protocol stack,
	// the DVIPA is activated (226) and the bind operation is completed": the others hear of it in the
	// list, the network finds it here, and with cluster-wide ports it has an entry.
	It("is activated by the bind",
		requirements.Covers("fig15/222-yes->226", "fig15/226->224", "fig15/220-no->222", "I8", "T20", "T23"), func() {
			s := newStack(trial.UnitConfig{Profile: ranged("CLUSTERPORTS")})
			s.mvs2.Passed()
			service := at(inRange, 5000)
			s.binds("a", service, "200-yes->203 203-no->204 204-yes->208 208->210 210-yes->216 216-yes->220 220-no->222 "+
				"222-yes->226 226->224 224->228 228->end")
			s.ports.Expect(service, "unique MVS1")
			s.expectRange(inRange, true)
			s.program.Do("listen a")
			s.EventuallyServed(service)
			s.ports.ExpectClean(inRange)
		})

	// Without cluster-wide ports all the same; and an address outside the range is nobody's.
	It("is activated without cluster-wide ports, and no other is",
		requirements.Covers("fig15/222-yes->226", "fig15/212-no->218"), func() {
			s := newStack(trial.UnitConfig{Profile: ranged("")})
			s.binds("a", at(inRange, 5000), "200-no->210 210-yes->216 216-yes->220 220-no->222 222-yes->226 226->224 224->228 228->end")
			s.expectRange(inRange, true)
			s.program.Refused(unix.EADDRNOTAVAIL, at(beyond, 5000))
		})

	// It is withdrawn when the last of its sockets has gone (I31): with a second socket it stays, and a
	// bind brings it back.
	DescribeTable("is withdrawn with its last socket",
		func(end func(*trial.Program)) {
			s := newStack(trial.UnitConfig{Profile: ranged("CLUSTERPORTS")})
			first := s.program.Binds("a", at(inRange, 0))
			s.expectRange(inRange, true)
			second := s.Program(s.Stack, "APPB")
			second.Listens("b", at(inRange, 0))
			s.program.Do("close a")
			s.ports.Eventually(first, "available")
			end(second)
			s.expectRange(inRange, false)
			_, err := s.Client().Resolve(s.Shortly(), inRange)
			Expect(err).To(HaveOccurred(), "an answer to who has %s", inRange)
			s.program.Binds("a", at(inRange, 5000))
			s.expectRange(inRange, true)
		},
		Entry("that is closed", requirements.Covers("I31"), func(p *trial.Program) { p.Do("close b") }),
		Entry("whose process ends", requirements.Covers("I31"), (*trial.Program).Kill),
	)

	// A bind that fails after all has activated nothing for good.
	It("is not kept by a bind that failed", requirements.Covers("I31", "fig15/226->224"), func() {
		s := newStack(trial.UnitConfig{Profile: ranged("CLUSTERPORTS")})
		s.program.Listens("w", at(netip.IPv4Unspecified(), 5000))
		s.program.Refused(unix.EADDRINUSE, at(inRange, 5000))
		Expect(s.ports.State(at(inRange, 5000))).To(BeElementOf("available", "no entry"))
		s.program.Binds("a", at(inRange, 5001))
		s.program.Do("close a")
		s.expectRange(inRange, true)
		s.expectRange(inRange, false)
	})

	// What another stack defines is none to this one: a bind moves what a bind activated, nothing else.
	It("is not activated where another stack defines it", requirements.Covers("fig15/222-no->218", "I8"), func() {
		s := newStack(trial.UnitConfig{Profile: ranged("CLUSTERPORTS")})
		theirs := trial.Clustered(inRange, 1, contract.Distribution{})
		theirs.Distribution = nil
		s.mvs2.Tell(theirs)
		s.program.Refused(unix.EADDRNOTAVAIL, at(inRange, 5000))
	})
})
