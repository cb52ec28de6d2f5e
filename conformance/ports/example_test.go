package ports

import (
	"net/netip"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/plexlab-dev/plexlab/conformance/requirements"
	"github.com/plexlab-dev/plexlab/conformance/trial"
	"github.com/plexlab-dev/plexlab/harness/segment"
	"github.com/plexlab-dev/plexlab/topo"
)

// appB are the stacks that have an instance of APPB.
var appB = []string{"MVS2", "MVS3", "MVS5"}

// dialling starts an instance of APPB on each stack and has all connect to the external server at
// once; nobody waits for the outcome.
func dialling(external netip.AddrPort, s *trial.SystemTrial) []*trial.Program {
	GinkgoHelper()
	var instances []*trial.Program
	for _, stack := range appB {
		p := s.Program(stack, "APPB")
		p.Do(trial.SocketOrder("a", external))
		instances = append(instances, p)
	}
	for _, p := range instances {
		p.Begin("connect a " + external.String())
	}
	return instances
}

var _ = trial.DescribeFamilies("instances of one application that connect to one server", func(f trial.Family) {
	// external is a server on network 46, request a SYN to it.
	external := f.OfClient(9000)
	request := segment.Pattern{Dst: external, Has: segment.SYN, Lacks: segment.ACK}

	both(func(sharing string) {
		// "Collaboration among cluster communication protocol stacks may be needed to ensure unique
		// connection 4-tuples when multiple instances of the same application, running on multiple
		// stacks, connect to the same external server" (T24). The network sees one address and a port
		// for each (T25), and what comes back reaches the instance that it is for (T31).
		It("have one source address and a port each", requirements.Covers("T24", "T25", "T31", "I25", "T35"), func() {
			s := started(f.System, sharing, trial.Serving(), of("MVS1", "MVS2", "MVS3", "MVS5"))
			server := s.Program(s.Client, "")
			server.Listens("l", external)
			begin := s.Capture.Mark()
			ports := map[uint16]bool{}
			for _, p := range dialling(external, s) {
				answer := p.Answer()
				Expect(answer.Errno).To(BeZero(), "connect from %s", p.Stack)
				Expect(answer.Local.Addr()).To(Equal(f.DVB1), "source on %s", p.Stack)
				ports[answer.Local.Port()] = true
				p.Do("send a "+p.Stack, "shutdown a")
			}
			Expect(ports).To(HaveLen(len(appB)), "ports of the instances")

			Eventually(func() map[uint16]bool {
				seen := map[uint16]bool{}
				for _, link := range []string{"MVS1/ext0", "MVS5/ext0"} {
					for _, packet := range s.Capture.On(link).Sent().After(begin).Matching(request) {
						syn := packet.Decode().Segment
						Expect(syn.Src.Addr()).To(Equal(f.DVB1), "source of a request that the network sees")
						seen[syn.Src.Port()] = true
					}
				}
				return seen
			}).Should(Equal(ports), "ports that the network sees")

			var heard []string
			for _, name := range []string{"a", "b", "c"} {
				server.Do("accept l " + name)
				heard = append(heard, server.Do("receive "+name).Text)
			}
			Expect(heard).To(ConsistOf(appB))
		})
	})

	// A demonstration: without cluster-wide ports "it is possible that two stacks could generate the
	// same connection 4-tuple" (T40). With one ephemeral port on each stack it is certain: the network
	// sees one 4-tuple from two stacks.
	It("collide where ports are not assigned cluster-wide", requirements.Covers("T40"), func() {
		s := f.System("figure9.yaml", func(t *topo.Topology) {
			trial.Serving()(t)
			of("MVS2", "MVS3", "MVS5")(t)
			for i := range t.Stacks {
				t.Stacks[i].Profile = strings.ReplaceAll(t.Stacks[i].Profile, "CLUSTERPORTS", "")
			}
		})
		for _, stack := range appB {
			s.SetEphemeralPorts(stack, 40000, 40000)
		}
		s.Program(s.Client, "").Listens("l", external)
		begin := s.Capture.Mark()
		dialling(external, s)
		for _, stack := range []string{"MVS2", "MVS3"} {
			packet, err := s.Capture.On(stack+"/xcf0").Sent().After(begin).Await(s.Soon(), request)
			Expect(err).NotTo(HaveOccurred())
			Expect(packet.Decode().Segment.Src).To(Equal(at(f.DVB1, 40000)), "source of the request of %s", stack)
		}
	})
}, SpecPriority(1))

var _ = trial.DescribeFamilies("in the worked example", func(f trial.Family) {
	both(func(sharing string) {
		// "When APPB binds to a cluster-wide port of DVB1, routing communication protocol stack 38 is
		// notified. When a SYN message to a cluster-wide port of DVB1 is received ... the current and
		// subsequent messages ... will also be routed" there (T42), while port 60 is distributed.
		It("a server with a port of its own gets every request to it", requirements.Covers("T42", "T5", "T6", "T35"), func() {
			s := started(f.System, sharing, trial.Serving("APPB"), of("MVS2", "MVS3", "MVS5"))
			program, client := s.Program("MVS2", "APPC"), s.Program(s.Client, "")
			own := program.Listens("l", at(f.DVB1, 0))
			for _, name := range []string{"a", "b", "c"} {
				s.EventuallyConnects(client, name, own)
				client.Do("send " + name + " " + name)
				program.Do("accept l " + name)
				Expect(program.Do("receive " + name).Text).To(Equal(name))
			}
			s.EventuallyTargets("MVS5", at(f.DVB1, 60), "MVS2", "MVS3", "MVS5")
			Expect(s.Answers(at(f.DVB1, 60), 3)).To(Equal(map[string]int{"MVS2": 1, "MVS3": 1, "MVS5": 1}))
		})
	})
}, SpecPriority(1))
