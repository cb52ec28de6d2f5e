package fig15

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"golang.org/x/sys/unix"

	"github.com/plexlab-dev/plexlab/conformance/requirements"
	"github.com/plexlab-dev/plexlab/conformance/trial"
	"github.com/plexlab-dev/plexlab/topo"
)

var _ = trial.DescribeFamilies("blocks 203 to 208: the port of a bind", func(f trial.Family) {
	// "The structure in the coupling facility that indicates port availability is checked to
	// determine if the specified port is available" (204); "the bind request may be marked to update
	// the coupling facility ... the stack specific structure would also be updated" (208). A bit of 1
	// means available (I12). "A message is also sent to the routing communication protocol stack
	// identifying the address and port to which the application is bound as a unique port" (228).
	It("that is named and available becomes the stack's",
		requirements.Covers("fig15/200-yes->203", "fig15/203-no->204", "fig15/204-yes->208", "fig15/208->210", "fig15/210-yes->216",
			"fig15/216-yes->220", "fig15/220-yes->224", "fig15/224->228", "fig15/228->end", "I12", "I15", "I19", "T32"), func() {
			s := newStack(f, trial.UnitConfig{Inside: true}, clustered(f))
			service := f.At(5000)
			s.ports.Expect(service, "available")
			Expect(s.binds("a", service, named)).To(Equal(service))
			s.ports.Expect(service, "unique MVS1")
			s.mvs2.ExpectMessage(trial.Holder(service))
			s.ports.ExpectClean(f.DVA1)
		})

	// A port that is distributed is shared (I15): the coupling facility notes who uses it, so that
	// nobody gets it for port 0, and it is available to every stack. That the message of 228 is about
	// unique ports alone follows; a listener on a shared port is told of by itself.
	It("that is distributed is shared with others", requirements.Covers("I15", "fig15/204-yes->208", "T32"), func() {
		s := newStack(f, trial.UnitConfig{Inside: true}, clustered(f))
		service := f.At(80)
		mvs2 := s.Tenant(2)
		mvs2.Take(f.DVA1, false, 80)
		s.binds("a", service, named)
		s.ports.Expect(service, "shared MVS1 MVS2")
		s.program.Do("close a")
		s.ports.Eventually(service, "shared MVS2")
		Expect(s.mvs2.Tell(clustered(f))).To(HaveLen(1), "END_OF_LIST, and nothing about a port that nobody listens on")
	})

	// "If the specified port other than port 0 is not available, the bind request is rejected and an
	// error code is returned" (206): "address in use", and the coupling facility stays as it was.
	DescribeTable("that another stack holds is refused",
		func(port uint16, unique bool) {
			s := newStack(f, trial.UnitConfig{Inside: true}, clustered(f))
			s.Tenant(2).Take(f.DVA1, unique, port)
			s.ports.ExpectUnchanged(f.DVA1, func() {
				s.ExpectPath("fig15", "200-yes->203 203-no->204 204-no->206 206->end", func() {
					s.program.Refused(unix.EADDRINUSE, f.At(port))
				})
			})
		},
		Entry("as unique", requirements.Covers("fig15/204-no->206", "fig15/206->end"), uint16(5000), true),
		Entry("as unique, though it is distributed", requirements.Covers("fig15/204-no->206", "I15"), uint16(80), true),
		Entry("as shared, though it would be unique here", requirements.Covers("fig15/204-no->206", "I15"), uint16(5000), false),
	)

	// A port of one DVIPA is none of another (T43): there is an entry for each.
	It("is that of its DVIPA alone", requirements.Covers("T43", "fig15/204-yes->208"), func() {
		second := f.Clustered(f.DVB1, 1, trial.On(trial.ToAll, trial.Only(80)))
		s := newStack(f, trial.UnitConfig{Inside: true}, clustered(f), second)
		s.Tenant(2).Take(f.DVA1, true, 5000)
		s.program.Refused(unix.EADDRINUSE, f.At(5000))
		s.binds("a", at(f.DVB1, 5000), named)
		s.ports.Expect(f.At(5000), "unique MVS2")
		s.ports.Expect(at(f.DVB1, 5000), "unique MVS1")
	})

	// What the stack holds already passes (I18); then its kernel decides, by SO_REUSEPORT say. The
	// port is noted once, and stays noted until the last socket has gone.
	It("that the stack holds itself is left to its kernel", requirements.Covers("I18", "fig15/204-yes->208"), func() {
		s := newStack(f, trial.UnitConfig{Inside: true}, clustered(f))
		service := s.program.Binds("a", f.At(0), "shared")
		s.ports.ExpectUnchanged(f.DVA1, func() {
			s.program.Binds("b", service, "shared")
			s.program.Refused(unix.EADDRINUSE, service)
		})
		s.program.Do("close a")
		marker := s.program.Binds("c", f.At(0))
		s.program.Do("close c")
		s.ports.Eventually(marker, "available")
		s.ports.Expect(service, "unique MVS1")
		s.program.Do("close b")
		s.ports.Eventually(service, "available")
	})
})

// pool is a small one, so that specs see its end.
var pool = topo.ClusterPorts{First: 5000, Last: 5003}

var _ = trial.DescribeFamilies("block 205: port 0", func(f trial.Family) {
	// "If port 0 is specified, then an available port is selected based on the port availability
	// identified in the coupling facility": one of the pool, and that the application sees.
	It("is answered by a port of the pool that becomes the stack's",
		requirements.Covers("fig15/203-yes->205", "fig15/205-selected->208", "T6", "I19"), func() {
			s := newStack(f, trial.UnitConfig{Inside: true, ClusterPorts: pool}, clustered(f))
			service := s.binds("a", f.At(0), selected)
			Expect(service.Port()).To(And(BeNumerically(">=", pool.First), BeNumerically("<=", pool.Last)))
			s.ports.Expect(service, "unique MVS1")
			s.mvs2.ExpectMessage(trial.Holder(service))
		})

	// Ports are taken round the pool, not lowest first, so that one that was given back stays unused
	// as long as it can (I29).
	It("goes round the pool", requirements.Covers("I29", "fig15/205-selected->208"), func() {
		s := newStack(f, trial.UnitConfig{Inside: true, ClusterPorts: pool}, clustered(f))
		var round []uint16
		for range 8 {
			service := s.program.Binds("a", f.At(0))
			round = append(round, service.Port())
			s.program.Do("close a")
			s.ports.Eventually(service, "available")
		}
		Expect(round[:4]).To(ConsistOf(uint16(5000), uint16(5001), uint16(5002), uint16(5003)), "the first round of %v", round)
		Expect(round[4:]).To(Equal(round[:4]), "the second round of %v", round)
	})

	// What is in use is passed over, whoever uses it and how; so is a port that is distributed, which
	// a server may come for (I15). When nothing is left "the bind request fails" (I13).
	It("is refused when no port is left, and served when one is again",
		requirements.Covers("fig15/205-none->206", "fig15/206->end", "I13", "I15"), func() {
			list := f.Clustered(f.DVA1, 1, trial.On(trial.ToAll, trial.Only(5002)))
			s := newStack(f, trial.UnitConfig{Inside: true, ClusterPorts: pool}, list)
			mvs2 := s.Tenant(2)
			mvs2.Take(f.DVA1, true, 5000)
			mvs2.Take(f.DVA1, false, 5001)
			Expect(s.program.Binds("a", f.At(0))).To(Equal(f.At(5003)))
			s.ports.ExpectUnchanged(f.DVA1, func() {
				s.ExpectPath("fig15", "200-yes->203 203-yes->205 205-none->206 206->end", func() {
					s.program.Refused(unix.EADDRINUSE, f.At(0))
				})
			})
			mvs2.Free(f.At(5001))
			Expect(s.program.Binds("b", f.At(0))).To(Equal(f.At(5001)))
		})

	// A server on the unspecified address has its port on every address of its stack, of which the
	// coupling facility knows nothing: the next port is tried.
	It("passes over what only the kernel knows to be in use", requirements.Covers("fig15/205-selected->208"), func() {
		s := newStack(f, trial.UnitConfig{Inside: true, ClusterPorts: topo.ClusterPorts{First: 5000, Last: 5001}}, clustered(f))
		first := s.program.Binds("a", f.At(0))
		s.program.Do("close a")
		s.ports.Eventually(first, "available")
		other := uint16(5000 + 5001 - int(first.Port()))
		s.program.Listens("w", at(f.Any, other))
		Expect(s.program.Binds("b", f.At(0))).To(Equal(first))
		s.ports.Expect(f.At(other), "available")
	})
})
