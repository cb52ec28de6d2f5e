package takeover

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/plexlab-dev/plexlab/conformance/requirements"
	"github.com/plexlab-dev/plexlab/conformance/trial"
	"github.com/plexlab-dev/plexlab/harness/impl"
	"github.com/plexlab-dev/plexlab/harness/peer"
	"github.com/plexlab-dev/plexlab/harness/verdict"
	"github.com/plexlab-dev/plexlab/nodes/contract"
	"github.com/plexlab-dev/plexlab/nodes/contract/policy"
	"github.com/plexlab-dev/plexlab/topo"
)

// reportEvery is the time between two reports, and between two questions to the agent.
const reportEvery = 100 * time.Millisecond

// "Such a selection may be made utilizing a predefined selection pattern, such as round robin, weighted round-robin or the
// like, or may be based on dynamic criteria [...]. Thus, a workload manager and/or a service policy agent may be
// consulted": the pattern is fig12/144's, these are the others.
var _ = trial.DescribeFamilies("weights", func(f trial.Family) {
	service := f.At(80)
	// betweenTwo is MVS1, which distributes to MVS2 and MVS3, and asks for weights ten times a second.
	betweenTwo := func(s topo.Selection) (u *trial.UnitTrial, mvs2, mvs3 *trial.Partner) {
		GinkgoHelper()
		s.IntervalMS = int(reportEvery / time.Millisecond)
		u = f.Unit(trial.UnitConfig{Self: 1, Partners: []int{2, 3}, Selection: s, Profile: `
			VIPADynamic
			VIPADEFine MASK DVA1
			VIPADISTribute DVA1 PORT 80 DESTIP XCF2, XCF3
			ENDVIPADynamic`})
		mvs2, mvs3 = u.Join(2), u.Join(3)
		for _, p := range []*trial.Partner{mvs2, mvs3} {
			p.Say(p.SRVSTAT(service, true))
			u.EventuallyForwarded(service, p)
		}
		return u, mvs2, mvs3
	}

	It("follow what stacks report of their load", requirements.Covers("T30", "T53"), func() {
		u, mvs2, mvs3 := betweenTwo(topo.Selection{Method: topo.ByWLM})
		mvs2.ExpectMessage(peer.Of[contract.Workload]("WORKLOAD", nil))
		const capacity = 2000
		load2, load3 := report(u, mvs2, capacity), report(u, mvs3, capacity)
		alike, busy := map[string]int{mvs2.Link: 4, mvs3.Link: 4}, BeNumerically(">=", 7)
		for _, c := range []struct {
			what         string
			load2, load3 uint32
			want         OmegaMatcher
		}{
			{"nobody is busy: round robin", 0, 0, Equal(alike)},
			{"MVS2 is busy", capacity, 0, HaveKeyWithValue(mvs3.Link, busy)},
			{"MVS3 is busy", 0, capacity, HaveKeyWithValue(mvs2.Link, busy)},
			{"both are busy: round robin again", capacity / 2, capacity / 2, Equal(alike)},
		} {
			load2.Store(c.load2)
			load3.Store(c.load3)
			Eventually(func() map[string]int { return u.Shares(service, 8, mvs2, mvs3) }).WithTimeout(3*trial.Limit()).
				Should(c.want, c.what)
		}
	})

	It("are those of a policy agent, in exact proportions, and stay when it fails", requirements.Covers("T30", "T54"), func() {
		agent := startAgent()
		u, mvs2, mvs3 := betweenTwo(topo.Selection{Method: topo.ByAgent, Agent: agent.path})
		shares := func() map[string]int { return u.Shares(service, 8, mvs2, mvs3) }
		one, three := map[string]int{mvs2.Link: 2, mvs3.Link: 6}, map[string]int{mvs2.Link: 6, mvs3.Link: 2}

		agent.gives(mvs2.XCF, 1, mvs3.XCF, 3)
		Eventually(shares).Should(Equal(one), "one for MVS2, three for MVS3")
		for what, answer := range map[string]http.HandlerFunc{
			"an error": func(w http.ResponseWriter, _ *http.Request) {
				http.Error(w, "no policy", http.StatusInternalServerError)
			},
			"nonsense":      func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("weights")) },
			"nothing, late": func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		} {
			agent.answers(answer)
			agent.eventuallyAsked(3)
			Expect(shares()).To(Equal(one), "the agent answers %s", what)
		}
		agent.gives(mvs2.XCF, 3, mvs3.XCF, 1)
		Eventually(shares).Should(Equal(three), "three for MVS2, one for MVS3")
		agent.stop()
		u.EventuallyLogged(u.Stack, "policy agent")
		Expect(shares()).To(Equal(three), "the agent is gone")
	})
}, trial.Needing(impl.Selection))

// report has a partner report its load, as often as it is asked for weights, until the spec ends. The load may be changed.
func report(u *trial.UnitTrial, p *trial.Partner, capacity uint32) *atomic.Uint32 {
	load := &atomic.Uint32{}
	ctx, cancel := context.WithCancel(u.Context())
	var reporting sync.WaitGroup
	reporting.Go(func() {
		every(ctx, reportEvery, func() {
			// What cannot be sent any more, the spec finds out itself.
			_ = p.Send(contract.Workload{Capacity: capacity, Load: load.Load()})
		})
	})
	DeferCleanup(func() {
		cancel()
		reporting.Wait()
	})
	return load
}

// agent is a policy agent (nodes/contract/policy) that answers as a spec says.
type agent struct {
	path   string
	server http.Server

	mu     sync.Mutex
	answer http.HandlerFunc
	asked  int // since the answer was set
}

func startAgent() *agent {
	GinkgoHelper()
	a := &agent{path: filepath.Join(GinkgoT().TempDir(), "agent.sock")}
	listener, err := net.Listen("unix", a.path)
	verdict.Engine(err, "start a policy agent")
	a.gives(netip.Addr{}, 0, netip.Addr{}, 0)
	a.server.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a.mu.Lock()
		a.asked++
		answer := a.answer
		a.mu.Unlock()
		answer(w, r)
	})
	go func() {
		defer GinkgoRecover()
		if err := a.server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			verdict.Engine(err, "serve as a policy agent")
		}
	}()
	DeferCleanup(a.stop)
	return a
}

// stop ends the agent; again, it does nothing.
func (a *agent) stop() { a.server.Close() }

func (a *agent) answers(how http.HandlerFunc) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.answer, a.asked = how, 0
}

// gives has the agent answer weights; of no valid address it gives none.
func (a *agent) gives(first netip.Addr, weight uint32, second netip.Addr, other uint32) {
	weights := map[netip.Addr]uint32{first: weight, second: other}
	delete(weights, netip.Addr{})
	a.answers(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		json.NewEncoder(w).Encode(policy.Answer{Weights: weights})
	})
}

// eventuallyAsked waits until the agent has been asked so often since its answer was set last.
func (a *agent) eventuallyAsked(n int) {
	GinkgoHelper()
	Eventually(func() int {
		a.mu.Lock()
		defer a.mu.Unlock()
		return a.asked
	}).Should(BeNumerically(">=", n), "questions to the policy agent")
}
