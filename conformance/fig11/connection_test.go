package fig11

import (
	"net"
	"net/netip"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/plexlab-dev/plexlab/conformance/requirements"
	"github.com/plexlab-dev/plexlab/conformance/trial"
	"github.com/plexlab-dev/plexlab/harness/peer"
	"github.com/plexlab-dev/plexlab/harness/segment"
	"github.com/plexlab-dev/plexlab/harness/verdict"
	"github.com/plexlab-dev/plexlab/nodes/contract"
)

// A holder is a stack under test with a server at port 80 of DVA1, and visitors behind MVS2.
type holder struct {
	*trial.UnitTrial
	mvs2    *trial.Partner
	service netip.AddrPort
	visitor *segment.Host
	server  net.Listener
	port    uint16
}

// newHolder makes a target of MVS2 with a server at an address. The server runs in the spec itself, without
// a launcher: where it counts, the spec goes on once the stack has found it.
func (f plex) newHolder(address netip.Addr, partners ...int) *holder {
	GinkgoHelper()
	u := f.Unit(trial.UnitConfig{Inside: true, Partners: append([]int{2}, partners...)})
	h := &holder{UnitTrial: u, mvs2: u.Join(2), service: at(f.DVA1, 80), port: 20000}
	h.mvs2.Tell(f.owned(f.DVA1, 1, f.toSelf))
	h.visitor = h.mvs2.Visitor()
	var err error
	h.server, err = u.Lab.Listen(u.Context(), u.Stack, "tcp", at(address, 80))
	verdict.Engine(err, "listen on %s", h.service)
	DeferCleanup(func() { h.server.Close() })
	if address == f.DVA1 {
		h.mvs2.ExpectMessage(peer.Is(f.srvstat(h.service, true, 1)))
	}
	return h
}

// A session is a connection with both of its ends.
type session struct {
	contract.Connection
	client *segment.Conn
	server net.Conn
}

// connect opens a connection.
func (h *holder) connect() session {
	GinkgoHelper()
	h.port++
	client, err := h.visitor.Dial(h.Soon(), h.port, h.service)
	verdict.Stimulus(err, "a connection to %s", h.service)
	server, err := h.server.Accept()
	verdict.Engine(err, "accept a connection")
	DeferCleanup(func() { server.Close() })
	return session{contract.Connection{Remote: client.Local(), Local: h.service}, client, server}
}

// lives expects that data still passes both ways.
func (h *holder) lives(s session) {
	GinkgoHelper()
	Expect(s.client.Write(h.Soon(), []byte("ping"))).To(Succeed())
	buffer := make([]byte, 4)
	_, err := s.server.Read(buffer)
	Expect(err).NotTo(HaveOccurred())
	_, err = s.server.Write([]byte("pong"))
	Expect(err).NotTo(HaveOccurred())
	answer, err := s.client.Read(h.Soon())
	Expect(err).NotTo(HaveOccurred())
	Expect(string(answer)).To(Equal("pong"))
}

// reset ends a connection at once, both ends of it.
func (h *holder) reset(s session) {
	GinkgoHelper()
	verdict.Engine(s.client.Reset(h.Soon()), "reset the connection of %s", s.Remote)
	s.server.Close()
}

// newconn and termconn are what the stack under test says of connections.
func (f plex) newconn(epoch uint64, of ...contract.Connection) contract.NEWCONN {
	return contract.NEWCONN{DVIPA: f.DVA1, XCF: f.self, Connections: of, Epoch: epoch}
}

func (f plex) termconn(epoch uint64, of ...contract.Connection) contract.TERMCONN {
	return contract.TERMCONN{DVIPA: f.DVA1, XCF: f.self, Connections: of, Epoch: epoch}
}

// reported are the connections that NEWCONN messages tell of.
func reported(messages []contract.Message) []contract.Connection {
	var all []contract.Connection
	for _, m := range trial.Told[contract.NEWCONN](messages) {
		all = append(all, m.Connections...)
	}
	return all
}

var _ = describe("connections that a stack holds", func(f plex) {
	// "If there are any active connections to the DVIPA, a connection message is sent to the routing
	// protocol stack" (131, 133), so that connections move when another stack becomes the routing
	// stack (T28). From then on it is the new one that hears of them.
	It("are reported to a new owner", requirements.Covers("fig11/131-yes->133", "fig11/133->132", "T28"), func() {
		h := f.newHolder(f.DVA1, 3)
		mvs3 := h.Join(3)
		first, second := h.connect(), h.connect()
		h.mvs2.Passed()

		answers := mvs3.Tell(f.owned(f.DVA1, 2, f.toSelf))
		Expect(reported(answers)).To(ConsistOf(first.Connection, second.Connection))
		for _, m := range trial.Told[contract.NEWCONN](answers) {
			Expect(m).To(Equal(f.newconn(2, m.Connections...)))
		}
		h.lives(first)
		h.reset(second)
		mvs3.ExpectMessage(peer.Is(f.termconn(2, second.Connection)))
		Expect(trial.Told[contract.TERMCONN](h.mvs2.Said())).To(BeEmpty(), "TERMCONN to the old owner")
	})

	// To a dual-stack socket an IPv4 connection is one of IPv6 in the kernel's books; to the plex it is
	// one of IPv4.
	It("are those of the network, whatever socket holds them", requirements.Covers("fig11/131-yes->133"), func() {
		h := f.newHolder(anyIPv6)
		s := h.connect()
		Expect(reported(h.mvs2.Tell(f.owned(f.DVA1, 1, f.toSelf)))).To(ConsistOf(s.Connection))
		h.mvs2.Passed()
		h.reset(s)
		h.mvs2.ExpectMessage(peer.Is(f.termconn(1, s.Connection)))
	})

	// "If not" (131-no) none is sent: neither for listeners nor for connections to other addresses,
	// nor for one that has ended.
	It("are reported where there are any", requirements.Covers("fig11/131-no->132"), func() {
		h := f.newHolder(f.DVA1, 3)
		mvs3 := h.Join(3)
		other, err := h.Lab.Listen(h.Context(), h.Stack, "tcp", at(f.self, 80))
		verdict.Engine(err, "listen on %s", at(f.self, 80))
		DeferCleanup(func() { other.Close() })
		_, err = h.visitor.Dial(h.Soon(), 30000, at(f.self, 80))
		verdict.Stimulus(err, "a connection to %s", at(f.self, 80))
		ended := h.connect()
		h.reset(ended)
		h.mvs2.ExpectMessage(peer.Is(f.termconn(1, ended.Connection)))

		Expect(reported(mvs3.Tell(f.owned(f.DVA1, 2, f.toSelf)))).To(BeEmpty())
		held := h.connect()
		Expect(reported(mvs3.Tell(f.owned(f.DVA1, 2, f.toSelf)))).To(ConsistOf(held.Connection))
	})

	// A connection has terminated when its stack holds no state of it any more (I3): not while the
	// other end may still send (FIN_WAIT), nor while late packets may come (TIME_WAIT). Until then an
	// owner hears of it as of any other.
	It("end when nothing of them is left", requirements.Covers("I3"), func() {
		h := f.newHolder(f.DVA1)
		s := h.connect()
		isOver := peer.Of[contract.TERMCONN]("of "+s.Remote.String(), nil)
		h.mvs2.Passed()

		verdict.Engine(s.server.Close(), "close the server's end")
		_, err := s.client.Read(h.Soon())
		Expect(err).To(MatchError("EOF"), "the server's end of the connection")
		h.mvs2.ExpectNoMessage(isOver) // FIN_WAIT2
		Expect(reported(h.mvs2.Tell(f.owned(f.DVA1, 1, f.toSelf)))).To(ConsistOf(s.Connection))
		verdict.Engine(s.client.Close(h.Soon()), "close the client's end")
		_, err = s.client.Receive(h.Soon())
		verdict.Stimulus(err, "the client's FIN, by its acknowledgement")
		h.mvs2.ExpectNoMessage(isOver) // TIME_WAIT
		Expect(reported(h.mvs2.Tell(f.owned(f.DVA1, 1, f.toSelf)))).To(ConsistOf(s.Connection))

		h.EndRemnants(h.Stack, h.service)
		h.mvs2.ExpectMessage(peer.Is(f.termconn(1, s.Connection)))
	})

	// Closed by its client first, a connection leaves nothing behind at the server.
	It("end at once where the client ends first", requirements.Covers("I3"), func() {
		h := f.newHolder(f.DVA1)
		s := h.connect()
		h.mvs2.Passed()
		closed, limit := make(chan error, 1), h.Soon()
		go func() { closed <- s.client.Close(limit) }()
		_, err := s.server.Read(make([]byte, 1))
		Expect(err).To(MatchError("EOF"))
		h.mvs2.ExpectNoMessage(peer.Of[contract.TERMCONN]("", nil)) // CLOSE_WAIT
		verdict.Engine(s.server.Close(), "close the server's end")
		Expect(<-closed).To(Succeed())
		h.mvs2.ExpectMessage(peer.Is(f.termconn(1, s.Connection)))
	})
})

var _ = describe("a stack that is no candidate any more", func(f plex) {
	// It tells the routing stack of the connections it still holds all the same and keeps the
	// internal address until the last has ended (I16), so that a list with other targets, as after a
	// takeback, breaks none. It is told of as a target no more.
	DescribeTable("keeps its connections",
		func(owner int) {
			h := f.newHolder(f.DVA1, 3)
			partner := h.mvs2
			if owner == 3 {
				partner = h.Join(3)
			}
			s := h.connect()
			h.mvs2.Passed()

			answers := partner.Tell(f.owned(f.DVA1, 2, f.toOthers))
			Expect(reported(answers)).To(ConsistOf(s.Connection))
			Expect(trial.Services(answers)).To(BeEmpty())
			h.lives(s)
			h.Listen(h.Stack, "APPA", at(f.DVA1, 90))
			Expect(trial.Services(partner.Tell(f.owned(f.DVA1, 2, f.toOthers)))).To(BeEmpty())

			h.reset(s)
			partner.ExpectMessage(peer.Is(f.termconn(2, s.Connection)))
			// With the last connection the address has gone: nothing answers there, while the stack
			// does answer at its own.
			h.Listen(h.Stack, "APPB", at(f.self, 80))
			knock := &knock{u: h.UnitTrial, visitor: h.visitor, port: 40000}
			knock.unanswered(h.service, at(f.self, 80))
		},
		Entry("when the list of its owner leaves it out", requirements.Covers("I16", "fig11/124-no->132", "fig11/131-yes->133"), 2),
		Entry("when the list of another owner leaves it out", requirements.Covers("I16", "T28"), 3),
	)
})
