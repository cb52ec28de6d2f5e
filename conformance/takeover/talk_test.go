package takeover

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/plexlab-dev/plexlab/conformance/trial"
	"github.com/plexlab-dev/plexlab/harness/capture"
	"github.com/plexlab-dev/plexlab/harness/segment"
	"github.com/plexlab-dev/plexlab/harness/tolerance"
	"github.com/plexlab-dev/plexlab/harness/verdict"
)

// A talk is a connection on which a client asks a web server all the time.
type talk struct {
	trial  *trial.SystemTrial
	target string // that holds the connection
	client netip.AddrPort
	// sent is what leaves the client's node.
	sent  *capture.Capture
	stop  context.CancelFunc
	ended chan struct{}
	// asked counts the questions; failed is why there was no answer at last.
	asked  int
	failed error
}

// talkEvery is the time between two questions, unless the answer takes longer.
const talkEvery = 5 * time.Millisecond

// startTalk begins to ask on a connection that is open, to a stack that holds it.
func startTalk(s *trial.SystemTrial, target string, conn net.Conn) *talk {
	GinkgoHelper()
	ctx, stop := context.WithCancel(s.Context())
	t := &talk{
		trial: s, target: target, client: conn.LocalAddr().(*net.TCPAddr).AddrPort(), sent: s.Record(s.Client),
		stop: stop, ended: make(chan struct{}),
	}
	DeferCleanup(stop)
	go func() {
		defer close(t.ended)
		every(ctx, talkEvery, func() {
			if t.failed != nil {
				return
			}
			t.failed = requestWithin(conn, trial.Limit())
			t.asked++
		})
	}()
	return t
}

// expectAnswered ends the talk and expects that every question was answered, and came to the target in time. That is
// judged by packets: client and server are processes like others, which on a busy machine do not run at once.
func (t *talk) expectAnswered() {
	GinkgoHelper()
	t.stop()
	<-t.ended
	Expect(t.failed).NotTo(HaveOccurred(), "question %d", t.asked)
	var sent, arrived map[uint32]time.Time
	Eventually(func() int {
		sent, arrived = t.questions(t.sent.All().Sent()), t.questions(t.trial.Capture.On(t.target+"/xcf0").Received())
		return min(len(sent), len(arrived))
	}).Should(BeNumerically(">=", t.asked), "questions that were recorded")
	var longest time.Duration
	for question, at := range arrived {
		if began, sent := sent[question]; sent { // else it was before the talk
			longest = max(longest, at.Sub(began))
		}
	}
	GinkgoWriter.Printf("%d questions, one was on its way for %v at most\n", t.asked, longest)
	if allowed := trial.Allowed(tolerance.Stalled); longest > allowed {
		verdict.Mismatch(fmt.Sprintf("each of %d questions at %s within %v", t.asked, t.target, allowed), fmt.Sprintf("one after %v", longest))
	}
}

// questions are when each of the client's questions, by its sequence number, was first seen.
func (t *talk) questions(where capture.View) map[uint32]time.Time {
	first := map[uint32]time.Time{}
	for _, p := range where.Matching(segment.Pattern{Src: t.client}) {
		s := p.Decode().Segment
		if _, again := first[s.Seq]; !again && len(s.Payload) > 0 {
			first[s.Seq] = p.Time
		}
	}
	return first
}
