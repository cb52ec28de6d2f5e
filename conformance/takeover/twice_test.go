package takeover

import (
	"net/netip"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"golang.org/x/sys/unix"

	"github.com/plexlab-dev/plexlab/conformance/requirements"
	"github.com/plexlab-dev/plexlab/conformance/trial"
	"github.com/plexlab-dev/plexlab/nodes/contract"
)

// Who has a DVIPA that is created twice, pair by pair of the table in the requirements. MVS1 is the stack under test, MVS2
// the other one; DVA1 lies in the VIPARange of both.

const (
	byDefine = "VIPADEFINE MASK DVA1"
	byBackup = "VIPABACKUP 100 DVA1"
)

// block encloses statements.
func block(statements string) string { return "VIPADYNAMIC " + statements + " ENDVIPADYNAMIC" }

// A contest is about DVA1.
type contest struct {
	*trial.UnitTrial
	f       trial.Family
	mvs2    *trial.Partner
	program *trial.Program
	service netip.AddrPort
}

// contested starts MVS1 with a VIPARange and further statements.
func contested(f trial.Family, statements string) *contest {
	GinkgoHelper()
	u := f.Unit(trial.UnitConfig{Partners: []int{2}, Profile: block(around(f.DVA1) + " " + statements)})
	return &contest{u, f, joinOutside(u, 2), u.Program(u.Stack, "APPA"), f.At(7000)}
}

// others is the epoch at which MVS2 has DVA1 where it had it first.
const others = 5

// mvs2Has starts MVS1 when MVS2 has DVA1 in a way, or would.
func mvs2Has(f trial.Family, entry contract.DVIPA) *contest {
	GinkgoHelper()
	c := contested(f, "")
	c.mvs2.Tell(entry)
	return c
}

// expectTaken expects that MVS1 takes DVA1.
func (c *contest) expectTaken() {
	GinkgoHelper()
	c.mvs2.ExpectMessage(owns(others, c.f.DVA1))
}

// expectLeft expects that MVS1 does not take DVA1.
func (c *contest) expectLeft() {
	GinkgoHelper()
	c.mvs2.ExpectNoMessage(owns(0, c.f.DVA1))
}

// eventuallyOwned waits until MVS1 tells that it owns DVA1, and returns the entry of its list.
func (c *contest) eventuallyOwned() (entry contract.DVIPA) {
	GinkgoHelper()
	Eventually(func() bool {
		entry = contract.DVIPA{}
		for _, e := range lastList(c.mvs2).DVIPAs {
			if e.Prefix.Addr() == c.f.DVA1 {
				entry = e
			}
		}
		return entry.Owner
	}).Should(BeTrue(), "%s owns DVA1", c.Stack)
	return entry
}

// mvs2Takes lets MVS2 take DVA1 from MVS1, and expects that MVS1 leaves it and answers for it no more.
func (c *contest) mvs2Takes(entry contract.DVIPA) {
	GinkgoHelper()
	entry.Epoch = c.mvs2.Claim(c.f.DVA1, c.eventuallyOwned().Epoch)
	c.mvs2.Tell(entry)
	c.expectLeft()
	_, err := c.Client().Resolve(c.Shortly(), c.f.DVA1)
	Expect(err).To(HaveOccurred(), "an answer of %s for DVA1", c.Stack)
}

var _ = trial.DescribeFamilies("a DVIPA that is created twice", func(f trial.Family) {
	targets := &contract.Distribution{All: true}

	// MVS2 created it first, MVS1 creates it now.
	DescribeTable("by MVS2 and then by MVS1",
		func(first contract.DVIPA, second func(*contest), want func(*contest)) {
			c := mvs2Has(f, first)
			c.mvs2.Passed()
			second(c)
			want(c)
		},
		Entry("VIPADEFine, VIPADEFine: moves", requirements.Covers("twice/VIPADEFine-VIPADEFine-other", "I34", "T45"), primary(f, f.DVA1, others, nil), obeys(byDefine), (*contest).expectTaken),
		Entry("VIPADEFine, VIPABackup: stays", requirements.Covers("twice/VIPADEFine-VIPABackup-other", "I33"), primary(f, f.DVA1, others, nil), obeys(byBackup), (*contest).expectLeft),
		Entry("VIPADEFine, bind: the bind fails", requirements.Covers("twice/VIPADEFine-bind-other", "I36", "fig15/222-no->218"), primary(f, f.DVA1, others, nil), refused, (*contest).expectLeft),
		Entry("VIPADEFine, bind of a target: stays", requirements.Covers("twice/VIPADEFine-bind-other-target", "I36", "fig15/220-yes->224"), primary(f, f.DVA1, others, targets), binds, (*contest).expectLeft),
		Entry("VIPABackup, VIPADEFine: moves", requirements.Covers("twice/VIPABackup-VIPADEFine-other", "I34"), backup(f, f.DVA1, 0, 200, nil), obeys(byDefine), func(c *contest) { c.eventuallyOwned() }),
		Entry("VIPABackup that owns it, VIPADEFine: moves", requirements.Covers("twice/VIPABackup-VIPADEFine-other-owned", "I34", "T45"), backup(f, f.DVA1, others, 200, nil), obeys(byDefine), (*contest).expectTaken),
		Entry("VIPABackup, VIPABackup: nobody has it", requirements.Covers("twice/VIPABackup-VIPABackup-other", "I33"), backup(f, f.DVA1, 0, 50, nil), obeys(byBackup), (*contest).expectLeft),
		Entry("VIPABackup that owns it, VIPABackup of a higher rank: stays", requirements.Covers("twice/VIPABackup-VIPABackup-other-owned", "I33"), backup(f, f.DVA1, others, 50, nil), obeys(byBackup), (*contest).expectLeft),
		Entry("VIPABackup, bind: moves", requirements.Covers("twice/VIPABackup-bind-other", "I36", "fig15/222-yes->226"), backup(f, f.DVA1, 0, 200, nil), binds, func(c *contest) { c.eventuallyOwned() }),
		Entry("VIPABackup that owns it, bind: the bind fails", requirements.Covers("twice/VIPABackup-bind-other-owned", "I36"), backup(f, f.DVA1, others, 200, nil), refused, (*contest).expectLeft),
		Entry("bind, VIPADEFine: moves", requirements.Covers("twice/bind-VIPADEFine-other", "I34", "T45"), inRange(f, f.DVA1, others), obeys(byDefine), (*contest).expectTaken),
		Entry("bind, VIPABackup: stays", requirements.Covers("twice/bind-VIPABackup-other", "I33"), inRange(f, f.DVA1, others), obeys(byBackup), (*contest).expectLeft),
		Entry("bind, bind: moves", requirements.Covers("twice/bind-bind-other", "I36", "fig15/226->224"), inRange(f, f.DVA1, others), binds, (*contest).expectTaken),
		Entry("bind, bind of a target: stays", requirements.Covers("twice/bind-bind-other-target", "I36", "fig15/220-yes->224"), func() contract.DVIPA {
			entry := inRange(f, f.DVA1, others)
			entry.Distribution = targets
			return entry
		}(), binds, (*contest).expectLeft),
	)

	// MVS1 created it first, and MVS2 takes it in a way that moves it: MVS1 lets go and does not take it back.
	DescribeTable("by MVS1 and then by MVS2, which takes it",
		func(first func(*contest), second contract.DVIPA) {
			c := contested(f, "")
			first(c)
			c.mvs2Takes(second)
		},
		Entry("VIPADEFine, VIPADEFine", requirements.Covers("twice/VIPADEFine-VIPADEFine-other", "I34"), obeys(byDefine), primary(f, f.DVA1, 1, nil)),
		Entry("VIPABackup that owns it, VIPADEFine", requirements.Covers("twice/VIPABackup-VIPADEFine-other-owned", "I33", "I34"), func(c *contest) {
			c.Obeys(block(byBackup))
			c.mvs2.Tell(primary(f, f.DVA1, others, nil))
			c.mvs2.Tell()
		}, primary(f, f.DVA1, 1, nil)),
		Entry("bind, VIPADEFine", requirements.Covers("twice/bind-VIPADEFine-other", "I34"), binds, primary(f, f.DVA1, 1, nil)),
		Entry("bind, bind", requirements.Covers("twice/bind-bind-other", "I36"), binds, inRange(f, f.DVA1, 1)),
	)

	// A primary takes it back from a bind that did not know.
	It("by VIPADEFine and then by a bind on another stack, which did not know, goes back", requirements.Covers("I34", "T45"), func() {
		c := contested(f, byDefine)
		theirs := c.mvs2.Claim(f.DVA1, c.eventuallyOwned().Epoch)
		c.mvs2.Say(contract.VIPAList{DVIPAs: []contract.DVIPA{inRange(f, f.DVA1, theirs)}})
		c.mvs2.ExpectMessage(owns(theirs, f.DVA1))
	})

	// Two statements of one stack contradict each other, in one text or one after the other.
	It("by two statements of one stack is refused", requirements.Covers("I35",
		"twice/VIPADEFine-VIPADEFine-same", "twice/VIPADEFine-VIPABackup-same", "twice/VIPABackup-VIPADEFine-same", "twice/VIPABackup-VIPABackup-same"), func() {
		c := contested(f, "")
		for _, text := range []string{
			byDefine + " VIPADEFINE CLUSTERPORTS MASK DVA1", byDefine + " " + byBackup, byBackup + " " + byDefine, byBackup + " VIPABACKUP 50 DVA1",
		} {
			_, err := c.Obey(block(text), false)
			Expect(err).To(HaveOccurred(), "VARY OBEY of %s", text)
		}
		c.expectLeft()
		c.Obeys(block(byDefine))
		c.eventuallyOwned()
		_, err := c.Obey(block(byBackup), false)
		Expect(err).To(HaveOccurred(), "VIPABackup of what this stack defines")
	})

	// A bind uses what its stack has, in whatever way it came there; a second bind too. Only what the stack
	// merely backs up it has not, though its VIPARange holds it.
	It("by a statement and by binds of one stack is one and the same", requirements.Covers("I35", "I36", "I8",
		"twice/VIPADEFine-bind-same", "twice/VIPABackup-bind-same", "twice/bind-bind-same"), func() {
		c := contested(f, byDefine)
		c.eventuallyOwned()
		binds(c)
		c.program.Binds("another", trial.At(f.DVA1, 7001))
		c.Obeys(block("VIPABACKUP 100 DVB1"))
		c.program.Refused(unix.EADDRNOTAVAIL, trial.At(f.DVB1, 7000))
	})

	// What a bind activated stays where it is when a statement follows. It is defined, or backed up, from
	// then on: its stack owns it still when the last socket is closed.
	DescribeTable("by a bind and then by a statement of one stack stays",
		func(statement string, role contract.Role) {
			c := contested(f, "")
			binds(c)
			before := c.eventuallyOwned()
			Expect(before.Role).To(Equal(contract.RoleRange))
			c.Obeys(block(statement))
			c.program.Do("close l")
			Eventually(func() contract.Role { return c.eventuallyOwned().Role }).Should(Equal(role))
			Expect(c.eventuallyOwned().Epoch).To(Equal(before.Epoch), "epoch of the ownership")
		},
		Entry("VIPADEFine", requirements.Covers("twice/bind-VIPADEFine-same", "I35"), byDefine, contract.RolePrimary),
		Entry("VIPABackup", requirements.Covers("twice/bind-VIPABackup-same", "I35"), byBackup, contract.RoleBackup),
	)
})

// obeys lets MVS1 create DVA1 by a statement.
func obeys(statement string) func(*contest) {
	return func(c *contest) { c.Obeys(block(statement)) }
}

// binds lets a program of MVS1 bind to DVA1, and refused expects that it cannot.
func binds(c *contest) { c.program.Binds("l", c.service) }

func refused(c *contest) { c.program.Refused(unix.EADDRNOTAVAIL, c.service) }
