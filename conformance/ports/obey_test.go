package ports

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"golang.org/x/sys/unix"

	"github.com/plexlab-dev/plexlab/conformance/requirements"
	"github.com/plexlab-dev/plexlab/conformance/trial"
	"github.com/plexlab-dev/plexlab/harness/peer"
	"github.com/plexlab-dev/plexlab/harness/segment"
	"github.com/plexlab-dev/plexlab/harness/verdict"
	"github.com/plexlab-dev/plexlab/nodes/contract"
	"github.com/plexlab-dev/plexlab/nodes/contract/control"
)

// block encloses statements.
func block(statements string) string { return "VIPADYNAMIC " + statements + " ENDVIPADYNAMIC" }

// listed waits for a list whose entry of a DVIPA satisfies a condition.
func (s *stack) listed(dvipa netip.Addr, want string, condition func(contract.DVIPA) bool) {
	GinkgoHelper()
	s.mvs2.ExpectMessage(peer.Of("in which "+dvipa.String()+" is "+want, func(l contract.VIPAList) bool {
		for _, d := range l.DVIPAs {
			if d.Prefix.Addr() == dvipa {
				return condition(d)
			}
		}
		return false
	}))
}

func withClusterPorts(d contract.DVIPA) bool { return d.ClusterPorts }

// inUse starts a stack that owns and distributes DVA1 without cluster-wide ports, with connections: one
// of its own server at port 80, one that MVS2 serves there, one at its port 7000, and one that MVS2
// has opened from port 7001. It has listeners too, at 80 and at 7002.
func inUse(f trial.Family) *stack {
	GinkgoHelper()
	s := newOwner(f, trial.UnitConfig{Profile: block("VIPADEFINE MASK DVA1 VIPADISTRIBUTE DVA1 PORT 80 DESTIP ALL")})
	for _, port := range []uint16{80, 7000} {
		s.program.Listens("l", f.At(port))
		_, err := s.Client().Dial(s.Soon(), 30000+port, f.At(port))
		verdict.Stimulus(err, "a connection to port %d", port)
		if port == 7000 {
			s.program.Do("accept l c", "close l")
		} else {
			s.program.Do("dup l kept", "close l")
		}
	}
	s.program.Listens("idle", f.At(7002))
	s.mvs2.Say(s.mvs2.NEWCONN(
		contract.Connection{Remote: at(f.Client, 9000), Local: f.At(80)},
		contract.Connection{Remote: at(f.Client, 9000), Local: f.At(7001)}))
	s.Settled(s.mvs2)
	return s
}

var _ = trial.DescribeFamilies("CLUSTERPORTS added at run time", func(f trial.Family) {
	const added = "VIPADEFINE CLUSTERPORTS MASK DVA1"

	// "The stack will scan the connection table, and indicate as in use all port numbers that are
	// already used as local ports in a connection using the DVIPA. If this DVIPA is also a Distributed
	// DVIPA, then the routing stack will also examine the Connection Routing Hash Table and update the
	// coupling facility entry on behalf of all target stacks" (T21). From then on nobody else gets
	// them, and they come back when they are used no more.
	It("marks the ports that are in use", requirements.Covers("T21", "T20", "T19", "I15"), func() {
		s := inUse(f)
		Expect(s.PortFile().HasEntry(f.DVA1)).To(BeFalse(), "an entry before")
		s.Tenant(2)
		s.mvs2.Passed()
		s.Obeys(block(added))
		s.listed(f.DVA1, "one with cluster-wide ports", withClusterPorts)
		ports := s.PortFile()
		ports.Eventually(f.At(80), "shared MVS1 MVS2")
		ports.Eventually(f.At(7000), "unique MVS1")
		ports.Eventually(f.At(7001), "unique MVS2")
		ports.Eventually(f.At(7002), "unique MVS1")
		ports.ExpectClean(f.DVA1)
		s.program.Refused(unix.EADDRINUSE, f.At(7001))
		s.program.Do("close idle")
		ports.Eventually(f.At(7002), "available")
	})

	// Where no port is enumerated, those that were bound by number are distributed, and the others are not: what connect()
	// took without a bind, or bind() to port 0, is unique (I15). Of a target the routing stack knows the
	// connections alone, and that nobody serves their port.
	It("marks as unique what was not bound by number", requirements.Covers("T21", "I15"), func() {
		s := newOwner(f, trial.UnitConfig{Profile: block("VIPADEFINE MASK DVA1 VIPADISTRIBUTE DVA1 DESTIP ALL SOURCEIPA DVA1 APPA")})
		c := s.connects("a")
		s.program.Listens("l", f.At(80))
		chosen := s.program.Binds("b", f.At(0))
		s.program.Binds("n", f.At(7000))
		s.mvs2.Say(s.mvs2.NEWCONN(
			contract.Connection{Remote: at(f.Client, 9000), Local: f.At(80)},
			contract.Connection{Remote: at(f.Client, 9000), Local: f.At(7001)}))
		s.Settled(s.mvs2)
		s.Tenant(2)
		s.Obeys(block(added))
		ports := s.PortFile()
		ports.Eventually(c.local, "unique MVS1")
		ports.Eventually(chosen, "unique MVS1")
		ports.Eventually(f.At(7000), "shared MVS1")
		ports.Eventually(f.At(80), "shared MVS1 MVS2")
		ports.Eventually(f.At(7001), "unique MVS2")
		ports.ExpectClean(f.DVA1)
		s.reset(c)
		s.program.Do("close a")
		ports.Eventually(c.local, "resting")
	})

	// What was marked on behalf of a target, which may not know of it, is lost with a file that is
	// damaged, and marked again in the next one as soon as the target is there (I24).
	It("marks the ports of targets again where the common storage was damaged", requirements.Covers("T21", "I24"), func() {
		s := inUse(f)
		tenant := s.Tenant(2)
		s.Obeys(block(added))
		tenant.Eventually(f.At(7001), "unique MVS2")
		tenant.Truncate(0)
		s.EventuallyPorts(s.Stack, control.PortsDegraded)
		tenant.End()
		tenant.Unlink()
		ports := s.Tenant(2)
		ports.Eventually(f.At(7001), "unique MVS2")
		ports.Eventually(f.At(80), "shared MVS1 MVS2")
		ports.Eventually(f.At(7002), "unique MVS1")
		ports.ExpectClean(f.DVA1)
	})

	// A target that hears of it marks what it holds itself.
	It("marks what a target has in use", requirements.Covers("T21"), func() {
		plain := f.Owned(f.DVA1, 1, trial.On(trial.ToAll, trial.Only(80)))
		s := newTarget(f, trial.UnitConfig{})
		s.mvs2.TellAll(contract.VIPAList{DVIPAs: []contract.DVIPA{plain}})
		s.program.Binds("a", f.At(7000))
		s.program.Binds("b", f.At(80))
		s.tell()
		ports := s.PortFile()
		ports.Eventually(f.At(7000), "unique MVS1")
		ports.Eventually(f.At(80), "shared MVS1")
	})

	// Where every port that is bound by number is distributed, those are shared, and what the stack chose is unique
	// (I15): nobody else is to get it.
	It("marks what a target has chosen as unique", requirements.Covers("T21", "I15"), func() {
		plain := f.Owned(f.DVA1, 1, trial.On(trial.ToAll))
		s := newTarget(f, trial.UnitConfig{})
		s.mvs2.TellAll(contract.VIPAList{DVIPAs: []contract.DVIPA{plain}})
		chosen := s.program.Binds("a", f.At(0))
		s.program.Binds("b", f.At(7000))
		s.mvs2.TellAll(contract.VIPAList{DVIPAs: []contract.DVIPA{f.Clustered(f.DVA1, 1, trial.On(trial.ToAll))}})
		ports := s.PortFile()
		ports.Eventually(f.At(7000), "shared MVS1")
		ports.Eventually(chosen, "unique MVS1")
		s.program.Do("close a")
		ports.Eventually(chosen, "available")
	})

	// A dry run says what would change in the plex, and changes nothing (I28): neither the list nor the
	// coupling facility.
	It("is only told of by a dry run", requirements.Covers("I28"), func() {
		s := inUse(f)
		s.mvs2.Passed()
		answer, err := s.Obey(block(added), true)
		Expect(err).NotTo(HaveOccurred())
		Expect(answer.Applied).To(BeFalse())
		Expect(answer.Changes).To(ContainElement(HaveField("Statement", ContainSubstring("CLUSTERPORTS"))))
		s.unchanged()
		Expect(s.PortFile().HasEntry(f.DVA1)).To(BeFalse(), "an entry after a dry run")
	})

	// Two stacks that use one port which is to be unique are a conflict: a dry run names it, and the
	// statement marks the port for both.
	It("conflicts where two stacks use one port", requirements.Covers("I28", "T21"), func() {
		s := inUse(f)
		s.Tenant(2)
		s.mvs2.Say(s.mvs2.NEWCONN(contract.Connection{Remote: at(f.Client, 9001), Local: f.At(7000)}))
		s.Settled(s.mvs2)
		dry, err := s.Obey(block(added), true)
		Expect(err).NotTo(HaveOccurred())
		Expect(dry.Conflicts).To(ContainElement(HaveField("Text", ContainSubstring("7000"))))
		Expect(s.Obeys(block(added)).Conflicts).To(ContainElement(HaveField("Text", ContainSubstring("7000"))))
		s.PortFile().Eventually(f.At(7000), "unique MVS1 MVS2")
	})

	// Where every port that is bound by number is distributed, connections of two targets from one port which nobody
	// serves are in conflict: both were opened by connect(), and such a port is unique (I15).
	It("conflicts where two targets have opened connections from one port", requirements.Covers("I28", "I15"), func() {
		s := newOwner(f, trial.UnitConfig{Profile: block("VIPADEFINE MASK DVA1 VIPADISTRIBUTE DVA1 DESTIP ALL SOURCEIPA DVA1 APPA")})
		c := s.connects("a")
		s.mvs2.Say(s.mvs2.NEWCONN(contract.Connection{Remote: s.server, Local: c.local}))
		s.Settled(s.mvs2)
		dry, err := s.Obey(block(added), true)
		Expect(err).NotTo(HaveOccurred())
		Expect(dry.Conflicts).To(ContainElement(HaveField("Text", ContainSubstring(fmt.Sprint(c.local.Port())))))
	})

	// A socket that is bound and does not listen has its port as well: one of the stack itself against another's
	// server, and one of another stack, of which no table tells, by what that stack says of itself.
	It("conflicts with sockets that do not listen", requirements.Covers("I28", "T21"), func() {
		s := newOwner(f, trial.UnitConfig{Profile: block("VIPADEFINE MASK DVA1 VIPADISTRIBUTE DVA1 PORT 80 DESTIP ALL")})
		s.program.Binds("a", f.At(7000))
		s.program.Listens("l", f.At(7001))
		s.program.Listens("shared", f.At(80))
		s.mvs2.Say(s.mvs2.SRVSTAT(f.At(7000), true))
		s.Settled(s.mvs2)
		dry, err := s.Obey(block(added), true, control.InUse{
			XCF: f.XCF(2), DVIPAs: []control.DVIPAInUse{{DVIPA: f.DVA1, Ports: []uint16{80, 7001, 7002}, Chosen: []uint16{}}},
		})
		Expect(err).NotTo(HaveOccurred())
		Expect(dry.Conflicts).To(ConsistOf(HaveField("Text", ContainSubstring("7000")), HaveField("Text", ContainSubstring("7001"))))
	})
})

// unchanged expects that the stack has told no list since.
func (s *stack) unchanged() {
	GinkgoHelper()
	s.Settled(s.mvs2)
	for _, m := range s.mvs2.Said()[1:] {
		Expect(m).NotTo(BeAssignableToTypeOf(contract.VIPAList{}), "a list that nobody asked for")
	}
}

// A mistake is one in a text of statements, and its place.
type mistake struct {
	what, text   string
	line, column int
}

var _ = trial.DescribeFamilies("statements at run time", func(f trial.Family) {
	// With one mistake none of them takes effect, and the place of it is told (I28).
	DescribeTable("change nothing where there is an error",
		func(mistakes ...mistake) {
			s := newOwner(f, trial.UnitConfig{Profile: block("VIPADEFINE MASK DVA1")})
			for _, m := range mistakes {
				By(m.what)
				_, err := s.Obey(m.text, false)
				var refused *control.StatusError
				Expect(errors.As(err, &refused)).To(BeTrue(), "an answer that refuses: %v", err)
				Expect(refused.Status).To(Equal(http.StatusBadRequest), m.what)
				Expect(refused.Errors).To(ContainElement(
					And(HaveField("File", "obey.profile"), HaveField("Line", m.line), HaveField("Column", m.column))), m.what)
				s.unchanged()
				s.program.Refused(unix.EADDRNOTAVAIL, at(f.DVB1, 5000))
			}
		},
		Entry("of the language, or of a DVIPA that nobody on the outside networks would find", requirements.Covers("I28"),
			mistake{"of the language", "VIPADYNAMIC VIPADEFINE MASK DVB1\nVIPADEFFFINE ENDVIPADYNAMIC", 2, 1},
			mistake{"of a DVIPA", "VIPADYNAMIC VIPADEFINE MASK DVB1\nVIPADEFINE MASK\n" + f.Nowhere.String() + " ENDVIPADYNAMIC", 3, 1}),
		Entry("of what the statements add up to", requirements.Covers("I28", "I14"),
			mistake{"of their sum", "VIPADYNAMIC VIPADEFINE MASK DVB1\nVIPADISTRIBUTE " + f.Nowhere.String() + " DESTIP ALL ENDVIPADYNAMIC", 2, 16}),
	)

	// What is added is in force at once: a new DVIPA, and the distribution of it, which the partners
	// hear in the complete list (T19).
	It("are in force at once", requirements.Covers("I28", "T19"), func() {
		s := newOwner(f, trial.UnitConfig{Profile: owner()})
		s.mvs2.Passed()
		s.Obeys(block("VIPADEFINE CLUSTERPORTS MASK DVB1 VIPADISTRIBUTE DVB1 PORT 60 DESTIP XCF1, XCF2"))
		s.listed(f.DVB1, "distributed", func(d contract.DVIPA) bool { return d.ClusterPorts && d.Distribution != nil && d.Owner })
		service := s.program.Listens("a", at(f.DVB1, 60))
		s.EventuallyServed(service)
		s.mvs2.Say(s.mvs2.SRVSTAT(service, true))
		s.EventuallyForwarded(service, s.mvs2)
		s.PortFile().Expect(service, "shared MVS1")
	})

	// A statement replaces what its kind said of the address before: without CLUSTERPORTS the coupling
	// facility is not asked any more.
	It("replace what was said before", requirements.Covers("I28", "T19"), func() {
		s := newOwner(f, trial.UnitConfig{Profile: block("VIPADEFINE CLUSTERPORTS MASK DVA1")})
		s.Tenant(2).Take(f.DVA1, true, 5000)
		s.program.Refused(unix.EADDRINUSE, f.At(5000))
		s.mvs2.Passed()
		s.Obeys(block("VIPADEFINE MASK DVA1"))
		s.listed(f.DVA1, "one without cluster-wide ports", func(d contract.DVIPA) bool { return !d.ClusterPorts })
		s.program.Binds("a", f.At(5000))
	})

	// A rule for sources that is added concerns connections from then on.
	It("choose the source of later connections", requirements.Covers("I26", "I28"), func() {
		s := newOwner(f, trial.UnitConfig{Profile: owner()})
		s.opens(source{"APPB", s.self}, nil)
		s.Obeys(block("SOURCEIPA DVA1 APPB"))
		s.opens(source{"APPB", f.DVA1}, nil)
	})
})

var _ = trial.DescribeFamilies("VIPARange at run time", func(f trial.Family) {
	first, second := f.InRange(6), f.InRange(7)

	// "When a VIPARANGE configuration statement with the CLUSTERPORTS keyword is processed, the
	// communication protocol stack searches its list of IP addresses to find active ones within the
	// designated range. For each such IP address, the connection table is searched" (T22).
	It("with CLUSTERPORTS marks the ports of every active address in it", requirements.Covers("T22", "T20"), func() {
		s := newOwner(f, trial.UnitConfig{Profile: block(f.VIPARange(""))})
		for name, dvipa := range map[string]netip.Addr{"a": first, "b": second} {
			s.program.Listens(name, at(dvipa, 7000))
			s.EventuallyServed(at(dvipa, 7000))
		}
		s.Obeys(block(f.VIPARange("CLUSTERPORTS")))
		ports := s.PortFile()
		for _, dvipa := range []netip.Addr{first, second} {
			ports.Eventually(at(dvipa, 7000), "unique MVS1")
			ports.ExpectClean(dvipa)
		}
	})

	// "... allows future instance-specific dynamic VIPAs to participate as dynamic routable VIPAs but
	// does not affect dynamic VIPAs created under the range before the keyword DISTribute was added"
	// (T18).
	It("with DISTribute concerns later addresses alone", requirements.Covers("T18"), func() {
		s := newOwner(f, trial.UnitConfig{Profile: block(f.VIPARange(""))})
		s.mvs2.Passed()
		s.program.Listens("a", at(first, 80))
		distributed := func(want bool) func(contract.DVIPA) bool {
			return func(d contract.DVIPA) bool { return (d.Distribution != nil) == want }
		}
		s.listed(first, "not distributed", distributed(false))
		s.Obeys(block(f.VIPARange("DISTRIBUTE")))
		later := s.program.Listens("b", at(second, 80))
		s.listed(second, "distributed", distributed(true))
		s.mvs2.Say(s.mvs2.SRVSTAT(later, true))
		s.EventuallyForwarded(later, s.mvs2)

		var last contract.VIPAList
		for _, l := range trial.Told[contract.VIPAList](s.mvs2.Said()) {
			last = l
		}
		Expect(last.DVIPAs).To(ContainElement(And(
			HaveField("Prefix.Addr()", first), HaveField("Distribution", BeNil()))))
		s.ExpectServed(segment.NewSYN(s.From(), at(first, 80)))
	})
})
