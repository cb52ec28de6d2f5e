package takeover

import (
	"context"
	"fmt"
	"net"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/plexlab-dev/plexlab/conformance/trial"
	"github.com/plexlab-dev/plexlab/harness/tolerance"
	"github.com/plexlab-dev/plexlab/harness/verdict"
)

// A talk is a connection on which a client asks a web server all the time.
type talk struct {
	stop  context.CancelFunc
	ended chan struct{}
	// asked counts the questions; longest is the most that one waited for its answer, and failed why there was none at last.
	asked   int
	longest time.Duration
	failed  error
}

// talkEvery is the time between two questions, unless the answer takes longer.
const talkEvery = 2 * time.Millisecond

// startTalk begins to ask on a connection that is open.
func startTalk(s *trial.SystemTrial, conn net.Conn) *talk {
	ctx, stop := context.WithCancel(s.Context())
	t := &talk{stop: stop, ended: make(chan struct{})}
	DeferCleanup(stop)
	go func() {
		defer close(t.ended)
		every(ctx, talkEvery, func() {
			if t.failed != nil {
				return
			}
			began := time.Now()
			t.failed = requestWithin(conn, trial.Limit())
			t.asked++
			t.longest = max(t.longest, time.Since(began))
		})
	}()
	return t
}

// expectAnswered ends the talk and expects that every question was answered, and in time.
func (t *talk) expectAnswered() {
	GinkgoHelper()
	t.stop()
	<-t.ended
	Expect(t.failed).NotTo(HaveOccurred(), "question %d", t.asked)
	GinkgoWriter.Printf("%d questions, an answer took %v at most\n", t.asked, t.longest)
	if allowed := trial.Allowed(tolerance.Stalled); t.longest > allowed {
		verdict.Mismatch(fmt.Sprintf("each of %d questions answered within %v", t.asked, allowed), fmt.Sprintf("one after %v", t.longest))
	}
}
