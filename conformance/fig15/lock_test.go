package fig15

import (
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"golang.org/x/sys/unix"

	"github.com/plexlab-dev/plexlab/conformance/requirements"
	"github.com/plexlab-dev/plexlab/conformance/trial"
	"github.com/plexlab-dev/plexlab/harness/tolerance"
	"github.com/plexlab-dev/plexlab/nodes/contract/portfile"
)

// lockDeadline is the most that a bind may take which cannot have the lock: 200 ms by default, and
// what a machine that is loaded adds to them. The lock is held until long after.
func lockDeadline() time.Duration { return trial.Allowed(tolerance.Refused) }

var _ = trial.DescribeFamilies("the lock of the coupling facility", func(f trial.Family) {
	// "Access to the structure is locked": a holder that stops inside an update keeps it. That delays
	// a bind for a stated time and no longer, with "try again", and concerns no other DVIPA (I23).
	It("delays nobody for long", requirements.Covers("I23", "fig15/206->end"), func() {
		second := f.Clustered(f.DVB1, 1, trial.ToAll)
		s := newStack(f, trial.UnitConfig{Inside: true}, clustered(f), second)
		other := s.Program(s.Stack, "APPB")
		s.program.Do(trial.SocketOrder("a", f.At(5000)))
		other.Do(trial.SocketOrder("b", at(f.DVB1, 5000)))
		thaw := s.ports.Freeze(f.DVA1)
		s.program.Begin("bind a " + f.At(5000).String())
		free := other.Do("bind b " + at(f.DVB1, 5000).String())
		Expect(time.Duration(free.Ended-free.Began)).To(BeNumerically("<", lockDeadline()), "time of a bind to another DVIPA")
		refused := s.program.Answer()
		thaw()
		Expect(refused.Errno).To(Equal(unix.EAGAIN), "bind while somebody has the lock")
		Expect(time.Duration(refused.Ended-refused.Began)).To(BeNumerically("<", lockDeadline()), "time until it was refused")
		s.ports.Expect(f.At(5000), "available")
		s.program.Do("bind a " + f.At(5000).String())
		s.ports.Expect(f.At(5000), "unique MVS1")
	})

	// "Structure may be locked when it is first retrieved and updated, restored in the coupling facility
	// and unlocked upon successful completion of the bind" (T33): a bind that waited for the lock
	// decides by what stands there when it has it.
	It("is held from the look at the port until it is taken", requirements.Covers("T33", "fig15/204-no->206"), func() {
		s := newStack(f, trial.UnitConfig{Inside: true}, clustered(f))
		mvs2 := s.Tenant(2)
		mvs2.Take(f.DVA1, true, 5001)
		s.program.Do(trial.SocketOrder("a", f.At(5000)))
		mvs2.TakeLate(f.At(5000), func() { s.program.Begin("bind a " + f.At(5000).String()) })
		Expect(s.program.Answer().Errno).To(Equal(unix.EADDRINUSE), "bind to a port that was taken while it waited")
		s.ports.Expect(f.At(5000), "unique MVS2")
		s.ports.ExpectClean(f.DVA1)
	})

	// One that is killed between any two stores of its update leaves an intent, and whoever has the lock
	// next completes it: the port is the dead one's, then nobody's, and the entry fits together.
	DescribeTable("whose holder is killed is free, and the update completed",
		func(stores int) {
			s := newStack(f, trial.UnitConfig{Inside: true}, clustered(f))
			mvs2 := s.Tenant(2)
			mvs2.Take(f.DVA1, true, 5001)
			mvs2.Break(f.At(5000), stores)
			s.program.Refused(unix.EADDRINUSE, f.At(5000))
			s.ports.ExpectClean(f.DVA1)
			s.ports.Expect(f.At(5000), "unique MVS2")
		},
		Entry("after the intent", requirements.Covers("T32", "T33"), 1),
		Entry("after the usage structure", requirements.Covers("T32", "T33"), 2),
		Entry("after the bit of unique ports", requirements.Covers("T32", "T33"), 3),
		Entry("after the cluster-wide bit", requirements.Covers("T32", "T33"), 4),
		Entry("before the intent is cleared", requirements.Covers("T32", "T33"), 5),
	)

	// The bits themselves, without any reader in between: 1 is available, 0 is not (I12).
	It("guards a bitmap in which 1 is available", requirements.Covers("I12"), func() {
		s := newStack(f, trial.UnitConfig{Inside: true}, clustered(f))
		bit := func() byte { return s.ports.Entry(f.DVA1)[portfile.AvailableOffset+5000/8] >> (5000 % 8) & 1 }
		Expect(bit()).To(Equal(byte(1)), "before the bind")
		s.program.Binds("a", f.At(5000))
		Expect(bit()).To(Equal(byte(0)), "after the bind")
	})
})
