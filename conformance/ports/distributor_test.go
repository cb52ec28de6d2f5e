package ports

import (
	"fmt"
	"net/netip"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"golang.org/x/sys/unix"

	"github.com/plexlab-dev/plexlab/conformance/requirements"
	"github.com/plexlab-dev/plexlab/conformance/trial"
	"github.com/plexlab-dev/plexlab/harness/peer"
	"github.com/plexlab-dev/plexlab/harness/segment"
	"github.com/plexlab-dev/plexlab/harness/tolerance"
	"github.com/plexlab-dev/plexlab/nodes/contract"
	"github.com/plexlab-dev/plexlab/topo"
)

// byOwner is a small pool whose table the owner of the DVIPA keeps.
var byOwner = topo.ClusterPorts{First: 5000, Last: 5003, Sharing: topo.SharingDistributor}

// asks has a partner claim a port of DVA1, again as long as the owner is busy, and returns what it answers then.
func asks(f trial.Family, p *trial.Partner, id uint64, port uint16, unique bool) contract.PortAnswer {
	GinkgoHelper()
	var answer contract.PortAnswer
	Eventually(func() contract.PortOutcome {
		answer = asksOnce(f, p, id, port, unique)
		return answer.Outcome
	}).ShouldNot(Equal(contract.PortBusy), "what the owner answers to a claim")
	return answer
}

// asksOnce is asks for one claim, to which the owner may be busy.
func asksOnce(f trial.Family, p *trial.Partner, id uint64, port uint16, unique bool) contract.PortAnswer {
	GinkgoHelper()
	p.Say(contract.PortClaim{ID: id, DVIPA: f.DVA1, XCF: p.XCF, Port: port, Unique: unique, Epoch: p.Epoch(f.DVA1)})
	return p.ExpectMessage(peer.Of(fmt.Sprintf("of claim %d", id), func(a contract.PortAnswer) bool { return a.ID == id })).(contract.PortAnswer)
}

// releases has a partner give ports of DVA1 back.
func releases(f trial.Family, p *trial.Partner, rest bool, ports ...uint16) {
	GinkgoHelper()
	p.Say(contract.PortRelease{DVIPA: f.DVA1, XCF: p.XCF, Ports: ports, Rest: rest, Epoch: p.Epoch(f.DVA1)})
}

var _ = trial.DescribeFamilies("the owner of a DVIPA that keeps its table of ports", func(f trial.Family) {
	// "The processors could ... transmit the information to the distributing processor which could
	// maintain port information for each common IP address for which it had distribution
	// responsibilities" (T35), with equal assignments: a unique port has one holder, a distributed
	// one any number, and what is given back is available.
	It("gives each port one holder", requirements.Covers("T35", "I15", "I18"), func() {
		s := newOwner(f, trial.UnitConfig{Profile: owner(), ClusterPorts: byOwner})
		own := s.program.Binds("a", f.At(0))
		Expect(asks(f, s.mvs2, 1, own.Port(), true)).To(Equal(contract.PortAnswer{ID: 1, Outcome: contract.PortInUse, Holder: "MVS1"}))
		Expect(asks(f, s.mvs2, 2, 6000, true)).To(Equal(contract.PortAnswer{ID: 2, Outcome: contract.PortGranted, Port: 6000}))
		Expect(asks(f, s.mvs2, 3, 6000, true).Outcome).To(Equal(contract.PortGranted), "what the sender holds itself")
		s.program.Refused(unix.EADDRINUSE, f.At(6000))
		Expect(asks(f, s.mvs2, 4, 80, false).Outcome).To(Equal(contract.PortGranted))
		s.program.Binds("b", f.At(80))

		releases(f, s.mvs2, false, 6000)
		s.EventuallyBinds(s.program, "c", f.At(6000))
		s.program.Do("close a")
		Eventually(func() contract.PortOutcome { return asks(f, s.mvs2, nextID(), own.Port(), true).Outcome }).Should(Equal(contract.PortGranted))
	})

	// Port 0 goes round the pool here too, and the same claim that comes again is the same claim (I29).
	It("gives ports of the pool in turn until none is left", requirements.Covers("T35", "I29", "I13"), func() {
		s := newOwner(f, trial.UnitConfig{Profile: owner(), ClusterPorts: byOwner})
		got := map[uint16]bool{}
		for id := uint64(1); id <= 4; id++ {
			answer := asks(f, s.mvs2, id, 0, true)
			Expect(answer.Outcome).To(Equal(contract.PortGranted))
			got[answer.Port] = true
			Expect(asks(f, s.mvs2, id, 0, true)).To(Equal(answer), "the answer to a claim that comes again")
		}
		Expect(got).To(HaveLen(4), "ports of four claims")
		Expect(asks(f, s.mvs2, 5, 0, true).Outcome).To(Equal(contract.PortNoneLeft))
		s.program.Refused(unix.EADDRINUSE, f.At(0))
		releases(f, s.mvs2, false, 5002)
		Expect(s.EventuallyBinds(s.program, "a", f.At(0))).To(Equal(f.At(5002)))
	})

	// A port that is released with rest is given by number only (I22).
	It("lets a port rest", requirements.Covers("T35", "I22"), func() {
		s := newOwner(f, trial.UnitConfig{Profile: owner(), ClusterPorts: byOwner})
		for id := uint64(1); id <= 4; id++ {
			asks(f, s.mvs2, id, 0, true)
		}
		releases(f, s.mvs2, true, 5001)
		Expect(asks(f, s.mvs2, 5, 0, true).Outcome).To(Equal(contract.PortNoneLeft))
		Expect(asks(f, s.mvs2, 6, 5001, true).Outcome).To(Equal(contract.PortGranted))
	})

	// What a lost stack held is free (I30).
	It("frees the ports of a stack that is lost", requirements.Covers("T35", "I30"), func() {
		s := newOwner(f, trial.UnitConfig{Profile: owner(), ClusterPorts: byOwner})
		asks(f, s.mvs2, 1, 6000, true)
		s.program.Refused(unix.EADDRINUSE, f.At(6000))
		s.mvs2.Close()
		s.EventuallyBinds(s.program, "a", f.At(6000))
	})

	// What begins to rest in its table, of its own ports too, an owner tells the others: only they can tell the next
	// one, or itself when it has been started again (I22).
	It("tells the others what it holds itself, and what rests", requirements.Covers("T35", "I22"), func() {
		s := newOwner(f, trial.UnitConfig{Profile: owner("SOURCEIPA DVA1 APPA"), ClusterPorts: byOwner})
		told := func() contract.PortsHeld {
			GinkgoHelper()
			return s.mvs2.ExpectMessage(peer.Of[contract.PortsHeld]("", nil)).(contract.PortsHeld)
		}
		c := s.connects("a")
		ports := []uint16{c.local.Port()}
		holds := told()
		Expect(holds).To(Equal(contract.PortsHeld{DVIPA: f.DVA1, XCF: f.XCF(1), Unique: ports, Epoch: holds.Epoch}))
		s.reset(c)
		s.program.Do("close a")
		Expect(told()).To(Equal(contract.PortsHeld{DVIPA: f.DVA1, XCF: f.XCF(1), Resting: ports, Epoch: holds.Epoch}))
	})

	// A new owner learns from every living stack what that holds before it gives out anything (I24).
	It("waits until every stack has told what it holds", requirements.Covers("T35", "I24"), func() {
		u := f.Unit(trial.UnitConfig{Profile: owner(), Partners: []int{2}, ClusterPorts: byOwner})
		mvs2 := u.Introduce(2, nil)
		mvs2.WaitMember()
		mvs2.ExpectList()
		Expect(asksOnce(f, mvs2, 1, 6000, true)).To(HaveField("Outcome", contract.PortBusy))
		program := u.Program(u.Stack, "APPA")
		program.Refused(unix.EAGAIN, f.At(0))
		mvs2.Say(contract.PortsHeld{
			DVIPA: f.DVA1, XCF: mvs2.XCF, Shared: []uint16{80}, Unique: []uint16{5000}, Epoch: mvs2.Epoch(f.DVA1),
		}, contract.EndOfList{})
		u.EventuallyBinds(program, "a", f.At(0))
		program.Refused(unix.EADDRINUSE, f.At(5000))
		program.Binds("b", f.At(80))
	})
})

// nextID counts the claims of a spec that asks again and again.
var nextID = func() func() uint64 {
	id := uint64(1000)
	return func() uint64 { id++; return id }
}()

var _ = trial.DescribeFamilies("a stack that asks the owner for ports", func(f trial.Family) {
	// No connection of a target whose ports are asked for needs a way out, but those that it opens.
	target := func() *stack { return newTarget(f, trial.UnitConfig{ClusterPorts: byOwner, Inside: true}) }

	// claims has the program bind and answers the claim of its stack.
	claims := func(s *stack, port uint16, answer contract.PortAnswer) (contract.PortClaim, unix.Errno, netip.AddrPort) {
		GinkgoHelper()
		s.program.Do(trial.SocketOrder("a", s.server))
		s.program.Begin("bind a " + f.At(port).String())
		claim := s.mvs2.ExpectMessage(peer.Of[contract.PortClaim]("", nil)).(contract.PortClaim)
		answer.ID = claim.ID
		s.mvs2.Say(answer)
		got := s.program.Answer()
		return claim, got.Errno, got.Local
	}

	// A bind waits for the owner's word, and does what that says; when the socket has gone the port is
	// given back.
	It("binds what it is granted, and gives it back", requirements.Covers("T35", "I15"), func() {
		s := target()
		for _, ask := range []struct {
			by            string
			port, granted uint16
			unique        bool
		}{
			{"a port it names", 6000, 6000, true},
			{"a port that is distributed", 80, 80, false},
			{"any port", 0, 5002, true},
		} {
			By(ask.by)
			claim, errno, local := claims(s, ask.port, contract.PortAnswer{Outcome: contract.PortGranted, Port: ask.granted})
			Expect(claim).To(Equal(contract.PortClaim{
				ID: claim.ID, DVIPA: f.DVA1, XCF: f.XCF(1), Port: ask.port, Unique: ask.unique, Epoch: 1,
			}), ask.by)
			Expect(errno).To(BeZero(), ask.by)
			Expect(local).To(Equal(f.At(ask.granted)), ask.by)
			s.program.Do("close a")
			s.mvs2.ExpectMessage(peer.Is(contract.PortRelease{DVIPA: f.DVA1, XCF: f.XCF(1), Ports: []uint16{ask.granted}, Epoch: 1}))
		}
	})

	DescribeTable("refuses what the owner refuses",
		func(answer contract.PortAnswer, want unix.Errno, ports ...uint16) {
			s := target()
			for _, port := range ports {
				_, errno, _ := claims(s, port, answer)
				Expect(errno).To(Equal(want), "what bind to port %d answers", port)
				s.program.Do("close a")
			}
		},
		Entry("in use, one that it names or that is distributed", requirements.Covers("T35", "I15"),
			contract.PortAnswer{Outcome: contract.PortInUse, Holder: "MVS3"}, unix.EADDRINUSE, uint16(6000), uint16(80)),
		Entry("none left", requirements.Covers("T35", "I13"), contract.PortAnswer{Outcome: contract.PortNoneLeft}, unix.EADDRINUSE, uint16(0)),
	)

	// An owner that does not answer delays a bind for the stated time and no longer; what it grants too
	// late is given back (I23).
	It("does not wait for the owner for long", requirements.Covers("T35", "I23"), func() {
		s := target()
		s.program.Do(trial.SocketOrder("a", s.server))
		s.program.Begin("bind a " + f.At(6000).String())
		claim := s.mvs2.ExpectMessage(peer.Of[contract.PortClaim]("", nil)).(contract.PortClaim)
		answer := s.program.Answer()
		Expect(answer.Errno).To(Equal(unix.EAGAIN))
		Expect(time.Duration(answer.Ended-answer.Began)).To(BeNumerically("<", trial.Allowed(tolerance.Refused)), "time until it was refused")
		s.mvs2.Say(contract.PortAnswer{ID: claim.ID, Outcome: contract.PortGranted, Port: 6000})
		s.mvs2.ExpectMessage(peer.Of("of port 6000", func(m contract.PortRelease) bool { return len(m.Ports) == 1 && m.Ports[0] == 6000 }))
	})

	// A new owner is told what the stack holds before the end of its list, the connections' ports
	// included, and a bind that failed in the kernel holds nothing.
	It("tells a new owner what it holds", requirements.Covers("T35", "I24"), func() {
		s := target()
		claims(s, 6000, contract.PortAnswer{Outcome: contract.PortGranted, Port: 6000})
		answers := s.mvs2.Tell(f.Clustered(f.DVA1, 2, trial.On(trial.ToAll, trial.Only(80))))
		Expect(answers).To(ContainElement(contract.PortsHeld{DVIPA: f.DVA1, XCF: f.XCF(1), Unique: []uint16{6000}, Epoch: 2}))
		Expect(answers[len(answers)-1]).To(Equal(contract.EndOfList{}))
	})

	// An owner that was started again does not know any more what rested in its table: it hears that from those whom
	// it had told (I22).
	It("tells a new owner what rested at the one before", requirements.Covers("T35", "I22", "I24"), func() {
		s := target()
		s.mvs2.Say(contract.PortsHeld{DVIPA: f.DVA1, XCF: s.mvs2.XCF, Resting: []uint16{6000, 6001}, Epoch: 1})
		answers := s.mvs2.Tell(f.Clustered(f.DVA1, 2, trial.On(trial.ToAll, trial.Only(80))))
		Expect(answers).To(ContainElement(contract.PortRelease{DVIPA: f.DVA1, XCF: f.XCF(1), Ports: []uint16{6000, 6001}, Rest: true, Epoch: 2}))
		Expect(answers[len(answers)-1]).To(Equal(contract.EndOfList{}))
	})

	// What the owner held itself nobody else had: when it is gone, those whom it told of that say that it rests (I22).
	It("tells a new owner what the one before held itself, if that is gone", requirements.Covers("T35", "I22", "I24"), func() {
		s := target()
		s.mvs2.Say(contract.PortsHeld{DVIPA: f.DVA1, XCF: s.mvs2.XCF, Unique: []uint16{6000, 6001}, Epoch: 1})
		s.mvs2.Say(contract.PortsHeld{DVIPA: f.DVA1, XCF: s.mvs2.XCF, Resting: []uint16{6001}, Epoch: 1})
		s.mvs2.Close()
		again := s.Join(2)
		answers := again.Tell(f.Clustered(f.DVA1, 2, trial.On(trial.ToAll, trial.Only(80))))
		Expect(answers).To(ContainElement(contract.PortRelease{DVIPA: f.DVA1, XCF: f.XCF(1), Ports: []uint16{6000, 6001}, Rest: true, Epoch: 2}))
	})

	// Outbound connections ask in the same way, and their ports rest (I22).
	It("releases the port of an outbound connection with rest", requirements.Covers("T35", "I22", "T31"), func() {
		s := newTarget(f, trial.UnitConfig{ClusterPorts: byOwner})
		s.program.Do(trial.SocketOrder("a", s.server))
		since := s.Capture.Mark()
		s.program.Begin("connect a " + s.server.String())
		claim := s.mvs2.ExpectMessage(peer.Of[contract.PortClaim]("", nil)).(contract.PortClaim)
		s.mvs2.Say(contract.PortAnswer{ID: claim.ID, Outcome: contract.PortGranted, Port: 5002})
		Expect(s.acknowledge().Local).To(Equal(f.At(5002)))
		syn := s.outgoing(since)
		s.reply(syn.Answer(segment.SYN, 5000))
		Expect(s.program.Answer().Errno).To(BeZero())
		s.reset(connection{local: syn.Src, next: 5001})
		s.program.Do("close a")
		s.mvs2.ExpectMessage(peer.Is(contract.PortRelease{DVIPA: f.DVA1, XCF: f.XCF(1), Ports: []uint16{5002}, Rest: true, Epoch: 1}))
	})
})
