package ports

import (
	"net/netip"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"golang.org/x/sys/unix"

	"github.com/plexlab-dev/plexlab/conformance/requirements"
	"github.com/plexlab-dev/plexlab/conformance/trial"
	"github.com/plexlab-dev/plexlab/harness/peer"
	"github.com/plexlab-dev/plexlab/harness/puppet"
	"github.com/plexlab-dev/plexlab/harness/segment"
	"github.com/plexlab-dev/plexlab/harness/verdict"
	"github.com/plexlab-dev/plexlab/nodes/contract"
	"github.com/plexlab-dev/plexlab/topo"
)

var _ = trial.DescribeFamilies("a connection that an application opens", func(f trial.Family) {
	// "Programs initiating outbound connections seldom specify source IP address, and almost never
	// specify the port" (T39): they get the DVIPA of their rule (T25) and a port of it that nobody
	// else in the plex has. What comes back reaches the application.
	It("gets source address and port from its stack", requirements.Covers("T39", "T25", "I15", "T9", "profile/SOURCEIPA"), func() {
		s := newOwner(f, trial.UnitConfig{Profile: owner("SOURCEIPA DVA1 APPA")})
		c := s.connects("a")
		Expect(c.local.Addr()).To(Equal(f.DVA1))
		s.PortFile().Expect(c.local, "unique MVS1")
		s.reply(segment.NewData(s.server, c.local, c.next, segment.InitialSequence, []byte("hello")))
		s.program.Do("send a request")
		_, err := s.Capture.On(s.OutsideLink).Sent().Await(s.Soon(), segment.Pattern{Src: c.local, Dst: s.server, Payload: []byte("request")})
		Expect(err).NotTo(HaveOccurred())
	})

	// "Such a message may be generated if an application bound to a DVIPA utilizing a port in the VIPA
	// list initiates a connection" (T31), whether it bound itself or its stack chose for it. The SYN
	// leaves once the routing stack has entered the connection and said so (I25); then the answer
	// finds the way. What is said of another connection lets that one go on alone.
	DescribeTable("is told to the routing stack before its SYN leaves",
		func(bound ...netip.AddrPort) {
			s := newTarget(f, trial.UnitConfig{})
			other := s.Program(s.Stack, "APPA")
			for _, local := range bound {
				By("bound to " + local.String())
				s.program.Do(trial.SocketOrder("a", s.server))
				if local.IsValid() {
					s.program.Do("bind a " + local.String())
				}
				since := s.Capture.Mark()
				s.program.Begin("connect a " + s.server.String())
				told := s.mvs2.ExpectMessage(newconn(s.server)).(contract.NEWCONN)
				Expect(told).To(And(
					HaveField("DVIPA", f.DVA1), HaveField("XCF", f.XCF(1)), HaveField("Epoch", uint64(1))))
				listed := told.Connections[0]
				// A SYN that does not wait goes the way of this later one, and leaves before it.
				other.Do(trial.SocketOrder("a", s.server))
				other.Begin("connect a " + s.server.String())
				later := segment.Pattern{Src: s.acknowledge().Local, Dst: s.server, Has: segment.SYN}
				Expect(s.Capture.On(s.OutsideLink).Sent().After(since).NoneBefore(s.Soon(), segment.Pattern{Src: listed.Local, Dst: s.server, Has: segment.SYN}, later)).To(Succeed())
				s.reply(s.outgoing(since).Answer(segment.RST, 0))
				Expect(other.Answer().Errno).To(Equal(unix.ECONNREFUSED))
				other.Do("close a")

				since = s.Capture.Mark()
				s.mvs2.Say(contract.NEWCONNAck{Acknowledge: told.Acknowledge})
				syn := s.outgoing(since)
				Expect(syn.Src).To(Equal(listed.Local))
				s.reply(syn.Answer(segment.SYN, 5000))
				Expect(s.program.Answer().Errno).To(BeZero(), "connect to %s", s.server)
				s.reset(connection{local: syn.Src, next: 5001})
				s.program.Do("close a")
			}
		},
		Entry("without a bind", requirements.Covers("T31", "I25", "T39"), netip.AddrPort{}),
		Entry("bound to port 0, to a port, and to one that is distributed", requirements.Covers("T31", "I25"), f.At(0), f.At(5000), f.At(80)),
	)

	// "When either of the connections ends, the VIPA distribution function sends a TERMCONN message"
	// (T41). The port is given back, and rests: for 60 s unless the plex says otherwise nobody gets
	// it who does not name it (I22).
	It("ends with TERMCONN, and its port rests", requirements.Covers("T41", "I22", "T31"), func() {
		s := newTarget(f, trial.UnitConfig{})
		c := s.connects("a")
		s.PortFile().Expect(c.local, "unique MVS1")
		s.reset(c)
		s.mvs2.ExpectMessage(peer.Is(contract.TERMCONN{
			DVIPA: f.DVA1, XCF: f.XCF(1), Epoch: 1,
			Connections: []contract.Connection{{Remote: s.server, Local: c.local}},
		}))
		s.program.Do("close a")
		s.PortFile().Eventually(c.local, "resting")
		s.PortFile().ExpectClean(f.DVA1)
	})

	// A connection that does not come about ends as well: refused, or given up by a program that dies
	// while it waits. The owner hears of its end, and with the socket its port is available: nobody can
	// remember a connection, so it does not rest.
	It("that fails returns its port", requirements.Covers("T41", "I18", "I22"), func() {
		s := newTarget(f, trial.UnitConfig{})
		for _, way := range []struct {
			how  string
			fail func(syn segment.Segment)
		}{
			{"refused", func(syn segment.Segment) {
				s.reply(syn.Answer(segment.RST, 0))
				Expect(s.program.Answer().Errno).To(Equal(unix.ECONNREFUSED))
				s.program.Do("close a")
			}},
			{"given up", func(segment.Segment) { s.program.Kill() }},
		} {
			By(way.how)
			s.program.Do(trial.SocketOrder("a", s.server))
			since := s.Capture.Mark()
			s.program.Begin("connect a " + s.server.String())
			connection := s.acknowledge()
			way.fail(s.outgoing(since))
			s.mvs2.ExpectMessage(peer.Is(contract.TERMCONN{
				DVIPA: f.DVA1, XCF: f.XCF(1), Epoch: 1, Connections: []contract.Connection{connection},
			}))
			s.PortFile().Eventually(connection.Local, "available")
		}
	})

	// The program may keep the socket all the same, and try again with it: from a port that is then its own, and that
	// nobody else is given.
	It("that fails returns its port while the program keeps the socket", requirements.Covers("T41", "I18", "I22"), func() {
		s := newTarget(f, trial.UnitConfig{})
		s.program.Do(trial.SocketOrder("a", s.server))
		since := s.Capture.Mark()
		s.program.Begin("connect a " + s.server.String())
		failed := s.acknowledge().Local
		s.reply(s.outgoing(since).Answer(segment.RST, 0))
		Expect(s.program.Answer().Errno).To(Equal(unix.ECONNREFUSED))
		s.PortFile().Eventually(failed, "available")
		s.Tenant(2).Take(f.DVA1, true, failed.Port())

		c := s.connect("a")
		Expect(c.local).NotTo(Equal(failed))
		s.PortFile().Expect(c.local, "unique MVS1")
		s.PortFile().Expect(failed, "unique MVS2")
		s.reset(c)
		s.PortFile().Eventually(c.local, "resting")
	})

	// Where the routing stack does not say that it has entered the connection, no SYN leaves, and the port goes back from a
	// socket that has not begun to connect: the next attempt gets it, the only one of the pool.
	It("that does not begin returns its port", requirements.Covers("T41", "I18", "I25"), func() {
		s := newTarget(f, trial.UnitConfig{ClusterPorts: topo.ClusterPorts{First: 5000, Last: 5000}})
		since := s.Capture.Mark()
		s.program.Do(trial.SocketOrder("a", s.server))
		s.program.Begin("connect a " + s.server.String())
		unanswered := s.mvs2.ExpectMessage(newconn(s.server)).(contract.NEWCONN).Connections[0].Local
		Expect(s.program.Answer().Errno).To(Equal(unix.EADDRNOTAVAIL))
		Expect(s.Capture.On(s.OutsideLink).Sent().After(since).Matching(s.toServer())).To(BeEmpty())
		s.PortFile().Eventually(unanswered, "available")
		Expect(s.connect("a").local).To(Equal(unanswered))
	})

	// Where nothing is left connect fails, as it does where the ephemeral ports of one machine are used
	// up, with "address not available" (I27); no SYN leaves.
	It("is refused when no port is left", requirements.Covers("I27"), func() {
		s := newTarget(f, trial.UnitConfig{ClusterPorts: topo.ClusterPorts{First: 5000, Last: 5001}})
		s.Tenant(2).Take(f.DVA1, true, 5000, 5001)
		since := s.Capture.Mark()
		s.program.Do(trial.SocketOrder("a", s.server))
		Expect(s.program.Try("connect a " + s.server.String()).Errno).To(Equal(unix.EADDRNOTAVAIL))
		Expect(s.Capture.On(s.OutsideLink).Sent().After(since).Matching(s.toServer())).To(BeEmpty())
	})

	// The port that a program bound itself stays its own through any number of failed attempts.
	It("keeps the port that the program bound", requirements.Covers("I18", "T41"), func() {
		s := newTarget(f, trial.UnitConfig{})
		local := s.program.Binds("a", f.At(0))
		since := s.Capture.Mark()
		s.program.Begin("connect a " + s.server.String())
		connection := s.acknowledge()
		s.reply(s.outgoing(since).Answer(segment.RST, 0))
		Expect(s.program.Answer().Errno).To(Equal(unix.ECONNREFUSED))
		s.mvs2.ExpectMessage(peer.Of("of "+local.String(), func(m contract.TERMCONN) bool { return m.Connections[0] == connection }))
		s.PortFile().Expect(local, "unique MVS1")
		s.connect("a")
	})

	// MSG_FASTOPEN would connect past everybody who watches connect; the answer is that of a kernel that
	// has it off.
	It("is not opened by sending", requirements.Covers("T31"), func() {
		s := newTarget(f, trial.UnitConfig{})
		since := s.Capture.Mark()
		s.program.Do(trial.SocketOrder("a", s.server))
		Expect(s.program.Try("fastopen a " + s.server.String()).Errno).To(Equal(unix.EOPNOTSUPP))
		s.connect("a")
		Expect(s.Capture.On(s.OutsideLink).Sent().After(since).Matching(s.toServer())).To(HaveLen(1))
	})
})

// A source is what a rule for sources leads to: the address that a request to the server has.
type source struct {
	application string
	want        netip.Addr
}

// opens has an application open a connection and expects its source, which it returns. Nothing is left of the application.
func (s *stack) opens(src source, from *trial.Partner) netip.AddrPort {
	GinkgoHelper()
	program := s.Program(s.Stack, src.application)
	since := s.Capture.Mark()
	program.Do(trial.SocketOrder("a", s.server, puppet.Nonblocking))
	program.Begin("connect a " + s.server.String())
	if src.want != s.self && from != nil {
		m := from.ExpectMessage(newconn(s.server)).(contract.NEWCONN)
		Expect(m.DVIPA).To(Equal(src.want), "source of %s", src.application)
		from.Say(contract.NEWCONNAck{Acknowledge: m.Acknowledge})
	}
	Expect(program.Answer().Errno).To(Equal(unix.EINPROGRESS))
	local := s.outgoing(since).Src
	Expect(local.Addr()).To(Equal(src.want), "source of %s", src.application)
	program.Kill()
	return local
}

var _ = trial.DescribeFamilies("SOURCEIPA", func(f trial.Family) {
	// "SOURCEIPA DVB1 APPB": by application, the most specific rule first; the list takes the rules to
	// a stack that has no profile (I26).
	It("chooses by the most specific rule, on a stack without a profile", requirements.Covers("I26", "T25", "profile/SOURCEIPA"), func() {
		s := newTarget(f, trial.UnitConfig{})
		second := f.Clustered(f.DVB1, 1, trial.ToAll)
		s.mvs2.TellAll(contract.VIPAList{DVIPAs: []contract.DVIPA{clustered(f), second}, SourceIPAs: []contract.SourceIPA{
			{Address: f.DVA1, Application: "AP*"},
			{Address: f.DVB1, Application: "APP*"},
			{Address: f.DVA1, Application: "APPB"},
		}})
		for _, src := range []source{{"APPB", f.DVA1}, {"APPC", f.DVB1}, {"APX", f.DVA1}, {"OTHER", s.self}} {
			s.opens(src, s.mvs2)
		}
		s.mvs2.TellAll(contract.VIPAList{DVIPAs: []contract.DVIPA{clustered(f), second}, SourceIPAs: []contract.SourceIPA{
			{Address: f.DVB1, Application: "*"},
		}})
		s.opens(source{"OTHER", f.DVB1}, s.mvs2)
	})

	// A rule of the own profile comes before what others say, and a rule whose address is not active
	// here is none.
	It("of the own profile comes first, of an address that is not active never", requirements.Covers("I26", "T25"), func() {
		s := newOwner(f, trial.UnitConfig{Profile: `
			VIPADYNAMIC
			VIPADEFINE CLUSTERPORTS MASK DVB1
			SOURCEIPA DVB1 APPA
			ENDVIPADYNAMIC`})
		s.tell(contract.SourceIPA{Address: f.DVA1, Application: "APPA"}, contract.SourceIPA{Address: f.DVA1, Application: "APPB"})
		s.opens(source{"APPA", f.DVB1}, nil)
		carried := s.opens(source{"APPB", f.DVA1}, s.mvs2)
		s.PortFile().EventuallyFree(carried) // as long as a port of it is held the address stays (I16)
		s.mvs2.TellAll(contract.VIPAList{SourceIPAs: []contract.SourceIPA{{Address: f.DVA1, Application: "APPB"}}})
		s.opens(source{"APPB", s.self}, nil)
	})

	// It is about connections to the network: neither those to the stacks, nor those within the stack,
	// nor those that the application has bound to another address.
	It("leaves other connections alone", requirements.Covers("I26"), func() {
		s := newTarget(f, trial.UnitConfig{})
		listener := s.program.Listens("l", at(f.Any, 7000))
		for name, to := range map[string]netip.Addr{"own": s.self, "loopback": f.Loopback} {
			local := s.program.Connects(name, at(to, listener.Port()))
			Expect(local.Addr()).To(Equal(to), "source of a connection to %s", to)
		}
		theirs, err := s.Lab.Listen(s.Context(), "MVS2", "tcp", at(f.XCF(2), 7000))
		verdict.Engine(err, "listen on MVS2")
		DeferCleanup(func() { theirs.Close() })
		Expect(s.program.Connects("xcf", at(f.XCF(2), 7000)).Addr()).To(Equal(f.XCF(1)), "source of a connection to a stack")

		s.program.Do(trial.SocketOrder("b", s.server, puppet.Nonblocking), "bind b "+at(s.self, 0).String())
		since := s.Capture.Mark()
		Expect(s.program.Try("connect b " + s.server.String()).Errno).To(Equal(unix.EINPROGRESS))
		Expect(s.outgoing(since).Src.Addr()).To(Equal(s.self))
		Expect(trial.Told[contract.NEWCONN](s.mvs2.Said())).To(BeEmpty())
	})
})

var _ = trial.DescribeFamilies("a port that carried an outbound connection", func(f trial.Family) {
	// It could meet the remains of the connection at the other end: until it has rested nobody is given
	// it who does not name it; who names it has it at once, and the rest goes on afterwards (I22).
	It("rests unless it is asked for", requirements.Covers("I22", "I29"), func() {
		s := newOwner(f, trial.UnitConfig{
			Profile: owner("SOURCEIPA DVA1 APPA"), ClusterPorts: topo.ClusterPorts{First: 5000, Last: 5001},
		})
		ports := s.PortFile()
		first := s.connects("a")
		s.reset(first)
		s.program.Do("close a")
		ports.Eventually(first.local, "resting")

		other := s.program.Binds("b", f.At(0))
		Expect(other).NotTo(Equal(first.local))
		s.program.Refused(unix.EADDRINUSE, f.At(0))
		s.program.Binds("c", first.local)
		ports.Expect(first.local, "unique MVS1")
		s.program.Do("close c")
		ports.Eventually(first.local, "resting") // the other end remembers still
	})

	It("is given out again when it has rested", requirements.Covers("I22"), func() {
		s := newOwner(f, trial.UnitConfig{
			Profile: owner("SOURCEIPA DVA1 APPA"), ClusterPorts: topo.ClusterPorts{First: 5000, Last: 5000, RestS: new(2)},
		})
		first := s.connects("a")
		s.reset(first)
		s.program.Do("close a")
		s.PortFile().Eventually(first.local, "resting")
		s.program.Refused(unix.EADDRINUSE, f.At(0))
		s.PortFile().Eventually(first.local, "available")
		Expect(s.program.Binds("b", f.At(0))).To(Equal(first.local))
	})

	// The end that closes first is in TIME_WAIT. Where that is the stack's own, the port is still in
	// use (I18), and it rests afterwards.
	It("is in use while its stack remembers the connection", requirements.Covers("I18", "I22"), func() {
		s := newOwner(f, trial.UnitConfig{Profile: owner("SOURCEIPA DVA1 APPA")})
		c := s.connects("a")
		s.closesFirst("a", c)
		s.PortFile().Expect(c.local, "unique MVS1")
		s.EventuallyRemnant(s.Stack, c.local)
		marker := s.program.Binds("m", f.At(0))
		s.program.Do("close m")
		s.PortFile().Eventually(marker, "available")
		s.PortFile().Expect(c.local, "unique MVS1")
		s.EndRemnants(s.Stack, c.local)
		s.PortFile().Eventually(c.local, "resting")
	})

	// A stack that is started again finds what its system remembers, and holds the ports as before.
	It("is in use while the system of a stack that was started again remembers the connection", requirements.Covers("I18", "I22", "I30"), func() {
		s := newOwner(f, trial.UnitConfig{Profile: owner("SOURCEIPA DVA1 APPA")})
		c := s.connects("a")
		s.closesFirst("a", c)
		s.EventuallyRemnant(s.Stack, c.local)
		s.mvs2.Close()
		verdict.Engine(s.Lab.Kill(s.Context(), s.Stack), "kill %s", s.Stack)
		s.Start(s.Stack)
		s.PortFile().Eventually(c.local, "unique MVS1")
		s.EndRemnants(s.Stack, c.local)
		s.PortFile().Eventually(c.local, "resting")
	})
})
