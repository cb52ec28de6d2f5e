package fig12

import (
	"context"
	"io"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/plexlab-dev/plexlab/conformance/requirements"
	"github.com/plexlab-dev/plexlab/conformance/trial"
	"github.com/plexlab-dev/plexlab/harness/capture"
	"github.com/plexlab-dev/plexlab/harness/segment"
	"github.com/plexlab-dev/plexlab/harness/tolerance"
	"github.com/plexlab-dev/plexlab/harness/verdict"
	"github.com/plexlab-dev/plexlab/nodes/contract"
	"github.com/plexlab-dev/plexlab/topo"
)

var _ = trial.DescribeFamilies("in the Sysplex of Figure 9", func(f trial.Family) {
	// The service of APPA in the worked example: DVA1, which MVS1 owns and distributes to itself, MVS2
	// and MVS4.
	appA := f.At(60)

	// When a server closes first, its socket is gone at once while its stack holds the connection on:
	// in FIN_WAIT2 until the client has closed too, then in TIME_WAIT. Until the end of that only
	// this stack can answer; an RST would cost the client what it has not read yet (I3).
	It("a connection that its server has closed goes on while its stack holds it",
		requirements.Covers("I3", "fig12/140-yes->150"), func() {
			s := f.System("figure9.yaml", func(t *topo.Topology) {
				trial.Serving("APPA")(t)
				t.Applications[0].On = []string{"MVS2"}
			})
			s.EventuallyTargets("MVS1", appA, "MVS2")
			client := s.Scripted()
			conn, err := client.Dial(s.Soon(), 40000, appA)
			Expect(err).NotTo(HaveOccurred())
			Expect(conn.Write(s.Soon(), []byte("GET / HTTP/1.0\r\n\r\n"))).To(Succeed())
			for err == nil {
				_, err = conn.Read(s.Soon())
			}
			Expect(err).To(MatchError(io.EOF))
			expectHeld(s, client, conn)

			Expect(conn.Close(s.Soon())).To(Succeed())
			expectHeld(s, client, conn)
		})

	// "When a SYN message to any port of DVA1 is received from network 44 by communication protocol
	// stack 22 ... [it] selects a current actual target". MVS1 serves its share itself (T8, I7), and
	// no server knows that it is one of several.
	It("web servers on MVS1, MVS2 and MVS4 answer in turn",
		requirements.Covers("fig12/145-yes->144", "fig12/150->end", "T30", "T8", "I7"), func() {
			s := f.System("figure9.yaml", trial.Serving("APPA"))
			s.EventuallyTargets("MVS1", appA, "MVS1", "MVS2", "MVS4")
			Expect(s.Answers(appA, 9)).To(Equal(map[string]int{"MVS1": 3, "MVS2": 3, "MVS4": 3}))
		})

	// "Outbound communications from the servers 52 or 54 need not be routed through the distributing
	// processor 50." Where every stack is attached to the network, what a server sends to the client
	// leaves at its own stack; MVS1 sees none of it.
	It("replies leave at the stack of the server where that has a way out",
		requirements.Covers("T9"), func() {
			s := f.System("figure9-outside.yaml", trial.Serving("APPA"))
			s.EventuallyTargets("MVS1", appA, "MVS1", "MVS2", "MVS4")
			begin := s.Capture.Mark()
			Expect(s.Answers(appA, 6)).To(Equal(map[string]int{"MVS1": 2, "MVS2": 2, "MVS4": 2}))
			reply := segment.Pattern{Src: appA}
			for _, stack := range []string{"MVS1", "MVS2", "MVS4"} {
				_, err := s.Capture.On(stack+"/ext0").Sent().After(begin).Await(s.Soon(), reply)
				Expect(err).NotTo(HaveOccurred())
			}
			// Whatever a HELLO follows on XCF has been recorded.
			_, err := s.Capture.On("MVS1/xcf0").Received().After(s.Capture.Mark()).As(capture.Attempt).Await(s.Soon(), hello)
			verdict.Engine(err, "await a HELLO at MVS1")
			for _, link := range []string{"MVS1/ext0", "MVS1/xcf0"} {
				Expect(s.Capture.On(link).Received().After(begin).Matching(reply)).To(BeEmpty(), "replies that pass MVS1")
			}
		})
}, SpecPriority(1))

// hello is a HELLO of any stack.
var hello = capture.Where("a HELLO", func(d segment.Decoded) bool {
	return d.Kind == segment.Other && (d.DstIP == contract.HelloBroadcast || d.DstIP == contract.HelloMulticast)
})

// watched is how long a connection that its server has closed is probed: longer than an
// implementation that believes it to have ended may keep its entry.
func watched() time.Duration { return trial.Allowed(tolerance.Held) }

// expectHeld sends an old acknowledgement on a connection again and again. A stack that holds the
// connection, in whatever state, may answer that with an acknowledgement, never with RST.
func expectHeld(s *trial.SystemTrial, client *segment.Host, conn *segment.Conn) {
	GinkgoHelper()
	limit, cancel := context.WithTimeout(s.Context(), watched())
	defer cancel()
	probe := segment.NewACK(conn.Local(), conn.Remote(), segment.InitialSequence, 1)
	answers := 0
	for limit.Err() == nil {
		verdict.Engine(client.Send(s.Soon(), probe), "send %s", probe)
		next, done := context.WithTimeout(limit, trial.Quiet())
		answer, err := conn.Receive(next)
		done()
		if err == nil {
			answers++
			Expect(answer.Flags&segment.RST).To(BeZero(), "answer to an old acknowledgement: %s", answer)
		}
	}
	Expect(answers).NotTo(BeZero(), "answers to old acknowledgements")
}
