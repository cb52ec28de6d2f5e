package takeover

import (
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

var _ = trial.DescribeFamilies("a target of a DVIPA that is taken over", func(f trial.Family) {
	// Whoever takes over hears of everything that the stack holds, and of the end of it (128 to 133, I16):
	// listeners, unique ports, connections from the network and to it; not of a server that has stopped. Two
	// stacks may take over within a moment, and their lists come in any order. The one with the higher epoch
	// is told, the other one nothing, or requests would go round between the two.
	It("tells the one with the highest epoch all that it holds",
		requirements.Covers("T28", "I38", "fig11/128-yes->130", "fig11/131-yes->133"), func() {
			u := f.Unit(trial.UnitConfig{Inside: true, Partners: []int{2, 3, 4}})
			mvs2, mvs3, mvs4 := u.Join(2), u.Join(3), u.Join(4)
			clustered := func(dvipa netip.Addr, epoch uint64) contract.DVIPA {
				entry := primary(f, dvipa, epoch, &contract.Distribution{All: true, Ports: []contract.PortRange{trial.Only(80)}})
				entry.ClusterPorts = true
				return entry
			}
			owner := func(epoch uint64) contract.DVIPA { return clustered(f.DVA1, epoch) }
			// The same ports of another DVIPA, which nobody takes over, are no matter of theirs.
			mvs2.Tell(owner(1), clustered(f.DVB1, 1))
			u.PortFile().Activate(f.DVA1, f.DVB1)
			u.Listen(u.Stack, "APPA", trial.At(f.DVB1, 80))
			visitor := mvs2.Visitor()
			u.Listen(u.Stack, "APPA", f.At(80))
			inbound, err := visitor.Dial(u.Soon(), 20000, f.At(80))
			verdict.Stimulus(err, "a connection to %s", f.At(80))
			program := u.Program(u.Stack, "APPB")
			unique := program.Listens("unique", trial.At(f.DVA1, 5000))
			program.Listens("same", trial.At(f.DVB1, 5000))
			local := program.Binds("outbound", trial.At(f.DVA1, 5001))
			remote := trial.At(visitor.Address(), 9000)
			program.Begin("connect outbound " + remote.String())
			asked := mvs2.ExpectMessage(peer.Of("that asks for an answer", func(m contract.NEWCONN) bool { return m.Acknowledge != 0 }))
			mvs2.Say(contract.NEWCONNAck{Acknowledge: asked.(contract.NEWCONN).Acknowledge})
			syn, err := visitor.Receive(u.Soon(), segment.Pattern{Src: local, Dst: remote, Has: segment.SYN}.Match)
			verdict.Stimulus(err, "a connection to %s", remote)
			verdict.Engine(visitor.Send(u.Soon(), syn.Segment.Answer(segment.SYN, 5000)), "accept the connection")
			Expect(program.Answer().Errno).To(BeZero(), "connect to %s", remote)
			stopped := u.Listen(u.Stack, "APPA", f.At(81))
			mvs2.ExpectMessage(trial.About(f.At(81)))
			stopped.Close()
			mvs2.ExpectMessage(peer.Of("of the end of port 81", func(m contract.SRVSTAT) bool { return m.Service == f.At(81) && !m.Listening }))
			mvs2.Close()

			held := []contract.Connection{{Remote: inbound.Local(), Local: f.At(80)}, {Remote: remote, Local: local}}
			everything := func(answers []contract.Message, epoch uint64) {
				GinkgoHelper()
				listener := contract.SRVSTAT{Service: f.At(80), XCF: f.XCF(1), Listening: true, Epoch: epoch}
				holder := contract.SRVSTAT{Service: unique, XCF: f.XCF(1), Listening: true, Unique: true, Epoch: epoch}
				Expect(trial.Told[contract.SRVSTAT](answers)).To(ContainElements(listener, holder), "what is told at epoch %d", epoch)
				Expect(trial.Services(answers)).To(And(HaveEach(ContainSubstring(f.DVA1.String())), Not(ContainElement(f.At(81).String()))), "services told at epoch %d", epoch)
				var connections []contract.Connection
				for _, m := range trial.Told[contract.NEWCONN](answers) {
					Expect(m.Epoch).To(Equal(epoch))
					connections = append(connections, m.Connections...)
				}
				Expect(connections).To(ConsistOf(held), "connections told at epoch %d", epoch)
			}
			everything(mvs3.Tell(owner(2)), 2)
			everything(mvs4.Tell(owner(4)), 4)
			Expect(mvs3.Tell(owner(3))).To(HaveExactElements(contract.EndOfList{}), "what is told to who was slower")
			program.Do("close unique")
			mvs4.ExpectMessage(peer.Is(contract.SRVSTAT{Service: unique, XCF: f.XCF(1), Unique: true, Epoch: 4}))
			Expect(trial.Told[contract.SRVSTAT](mvs3.Said())).To(HaveEach(HaveField("Epoch", BeEquivalentTo(2))), "what MVS3 is told of services")
		})

	// A client whose SYN was answered takes its connection for open, and what it sends next comes to the new owner: it
	// is told of connections that are younger than three packets too, and of their end.
	It("tells the new owner of connections that are younger than three packets", requirements.Covers("T28", "fig11/131-yes->133"), func() {
		u := f.Unit(trial.UnitConfig{Inside: true, Partners: []int{2, 3}})
		mvs2, mvs3 := u.Join(2), u.Join(3)
		entry := primary(f, f.DVA1, 1, &contract.Distribution{All: true})
		mvs2.Tell(entry)
		u.Listen(u.Stack, "APPA", f.At(80))
		visitor := mvs2.Visitor()
		syn := segment.NewSYN(trial.At(visitor.Address(), 30000), f.At(80))
		verdict.Engine(visitor.Send(u.Soon(), syn), "send %s by way of MVS2", syn)
		accepted, err := visitor.Receive(u.Soon(), segment.Pattern{Src: syn.Dst, Dst: syn.Src, Has: segment.SYN | segment.ACK}.Match)
		verdict.Stimulus(err, "the answer to %s", syn)
		mvs2.Close()

		entry.Epoch = 2
		var told []contract.Connection
		for _, m := range trial.Told[contract.NEWCONN](mvs3.Tell(entry)) {
			told = append(told, m.Connections...)
		}
		Expect(told).To(ConsistOf(trial.Of(syn)))
		ended := segment.NewRST(syn.Src, syn.Dst, accepted.Segment.Ack)
		verdict.Engine(visitor.Send(u.Soon(), ended), "send %s", ended)
		mvs3.ExpectMessage(peer.Is(contract.TERMCONN{DVIPA: f.DVA1, XCF: f.XCF(1), Connections: told, Epoch: 2}))
	})

	// "Communication protocol stack 30 ... is not identified as a candidate target stack or as a backup ... and
	// may disregard the list" (T49): it neither takes the DVIPA over nor answers for it.
	It("is no matter of a stack that is neither target nor backup", requirements.Covers("T49", "T47", "fig11/132-no->end"), func() {
		u := f.Unit(trial.UnitConfig{Self: 3, Profile: "VIPADYNAMIC VIPABACKUP 100 DVB1 ENDVIPADYNAMIC", Partners: []int{1, 2}})
		mvs1, mvs2 := u.Join(1), u.Join(2)
		mvs1.Tell(primary(f, f.DVA1, epoch, stacks(f, 2)), primary(f, f.DVB1, epoch, stacks(f, 2)))
		mvs1.Close()
		list := mvs2.ExpectMessage(owns(epoch, f.DVB1)).(contract.VIPAList)
		Expect(owned(list, f.DVA1)).To(BeZero())
		_, err := u.Client().Resolve(u.Shortly(), f.DVA1)
		Expect(err).To(HaveOccurred(), "an answer for DVA1")
	})
})
