package takeover

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/plexlab-dev/plexlab/conformance/requirements"
	"github.com/plexlab-dev/plexlab/conformance/trial"
	"github.com/plexlab-dev/plexlab/harness/capture"
	"github.com/plexlab-dev/plexlab/harness/verdict"
	"github.com/plexlab-dev/plexlab/topo"
)

// faults is how many a run has, and betweenFaults the most that lies between two.
const (
	faults        = 200
	betweenFaults = 120 * time.Millisecond
)

// wholeAgain is how long a plex may take, after the last fault is over, until everybody serves again.
const wholeAgain = 20 * time.Second

var _ = trial.DescribeFamilies("200 random faults", func(f trial.Family) {
	service := f.At(60)

	// "The routing communication protocol stacks [...] advertise their respective DVIPAs (block 104)": each is
	// advertised by one stack, also while stacks die, freeze, thaw and come back, and links are cut. Who
	// was frozen may wake up between any two instructions.
	It("never make two stacks answer for one DVIPA, nor a packet go round",
		requirements.Covers("I40", "I41", "T10"), func() {
			s := f.Watched(60, "figure9-outside.yaml", everybodyBacksUp)
			s.EventuallyTargets("MVS1", service, s.Stacks()...)
			watching, cancel := context.WithCancel(s.Context())
			defer cancel()
			held := collectClaims(watching, s, f.DVA1)
			busy, enough := context.WithCancel(watching)
			clients := startClients(busy, s, service)

			m := newMischief(s, GinkgoRandomSeed())
			AddReportEntry(fmt.Sprintf("faults of seed %d", GinkgoRandomSeed()), ReportEntryVisibilityNever)
			pause := time.NewTimer(0)
			defer pause.Stop()
			for range faults {
				<-pause.C
				pause.Reset(time.Duration(m.random.Int64N(int64(betweenFaults))))
				verdict.Engine(m.step(s.Context()), "apply a fault")
			}
			verdict.Engine(m.end(s.Context()), "end the faults")
			enough()
			clients.wait()
			told := func() string {
				return fmt.Sprintf("seed %d; %s; faults:\n%s\n", GinkgoRandomSeed(), clients, strings.Join(m.done, "\n"))
			}
			Eventually(func() (map[string]bool, error) { return whoAnswers(s, service) }).WithTimeout(wholeAgain).
				Should(HaveLen(len(s.Stacks())), told)
			cancel()

			verdict.Engine(s.Capture.Stop(), "capture packets")
			all, err := held.all()
			verdict.Engine(err, "read the claims of %s", f.DVA1)
			answers := answersTo(s, service, all, m.ends)
			GinkgoWriter.Printf("%d claims, %d answers, %d changes, %s\n", len(all), len(answers), changes(answers), clients)
			if found := unrest(all); found != nil {
				verdict.Mismatch(fmt.Sprintf("%d ownerships at most within %s", mostClaims, unrestWithin), listing(found)+told())
			}
			if changes(answers) < faults/20 {
				verdict.IsVacuous("who answers changed %d times in %d faults", changes(answers), faults)
			}
			if found := stale(answers); len(found) > 0 {
				verdict.Mismatch("answers of one owner at a time", fmt.Sprintf("%d of who had been followed, the first:\n%s\n%s\n%s",
					len(found), first(found), listing(all), told()))
			}
			if found := loops(s, service); len(found) > 0 {
				verdict.Mismatch(fmt.Sprintf("packets that pass XCF links %d times at most", mostPasses),
					fmt.Sprintf("%s\n%s", capture.Listing(found), told()))
			}
			if found := detours(s, service); len(found) > 0 {
				verdict.Mismatch("no packet that a stack sends on to the network it came from",
					fmt.Sprintf("%s\n%s", capture.Listing(found), told()))
			}
		})
}, SpecPriority(2), Label("watch"))

// everybodyBacksUp has every stack serve and, in a chain, back up DVA1, with a detection that is fast enough for many takeovers.
func everybodyBacksUp(t *topo.Topology) {
	t.Timers = topo.Timers{HelloMS: 20, DeadMS: 100}
	t.Applications = t.Applications[:1]
	persevere(&t.Applications[0])
	t.Applications[0].On = nil
	for i := range t.Stacks {
		stack := &t.Stacks[i]
		t.Applications[0].On = append(t.Applications[0].On, stack.Name)
		const all = "VIPADISTribute DVA1 PORT 60 DESTIP ALL"
		if i == 0 {
			stack.Profile = strings.Replace(stack.Profile, "VIPADISTribute DVA1 PORT DESTIP XCF1, XCF2, XCF4", all, 1)
			continue
		}
		stack.Profile = fmt.Sprintf("VIPADynamic VIPABackup %d DVA1 ENDVIPADynamic", 100-10*i)
	}
}

// persevere has a server start again until it can bind: a stack that comes back cut off from all others has no DVIPA.
func persevere(a *topo.Application) {
	a.Command = append([]string{"sh", "-c", `until "$@"; do sleep 0.05; done`, "sh"}, a.Command...)
}

// whoAnswers asks a service as often as all stacks are asked once, if all serve.
func whoAnswers(s *trial.SystemTrial, service netip.AddrPort) (map[string]bool, error) {
	who := map[string]bool{}
	for range s.Stacks() {
		answer, err := s.Get(s.Soon(), service)
		if err != nil {
			return who, err
		}
		who[answer] = true
	}
	return who, nil
}

// clients keep a service busy, and the network asking for its address.
type clients struct {
	running sync.WaitGroup
	// answered and failed are requests, resolved is how often somebody told the address.
	answered, failed, resolved atomic.Int64
}

func (c *clients) String() string {
	return fmt.Sprintf("%d requests answered, %d failed, address resolved %d times", c.answered.Load(), c.failed.Load(), c.resolved.Load())
}

func (c *clients) wait() { c.running.Wait() }

const (
	visitEvery = 40 * time.Millisecond
	stayers    = 5
	stayEvery  = 50 * time.Millisecond
	askEvery   = 10 * time.Millisecond
	// patience is how long a client waits for one answer.
	patience = 300 * time.Millisecond
)

func startClients(ctx context.Context, s *trial.SystemTrial, service netip.AddrPort) *clients {
	c := &clients{}
	count := func(err error) {
		if err != nil {
			c.failed.Add(1)
			return
		}
		c.answered.Add(1)
	}
	for range 2 {
		c.running.Go(func() { every(ctx, visitEvery, func() { count(visit(ctx, s, service)) }) })
	}
	for range stayers {
		c.running.Go(func() {
			var conn net.Conn
			every(ctx, stayEvery, func() {
				var err error
				if conn == nil {
					if conn, err = dial(ctx, s, service); err != nil {
						count(err)
						return
					}
				}
				if err = request(conn); err != nil {
					conn.Close()
					conn = nil
				}
				count(err)
			})
			if conn != nil {
				conn.Close()
			}
		})
	}
	onlooker := s.Onlooker()
	c.running.Go(func() {
		every(ctx, askEvery, func() {
			asking, cancel := context.WithTimeout(ctx, askEvery)
			defer cancel()
			onlooker.Forget()
			if _, err := onlooker.Resolve(asking, service.Addr()); err == nil {
				c.resolved.Add(1)
			}
		})
	})
	return c
}

// every does something again and again, in steps of a time or as fast as it goes if that is slower, until ctx ends.
func every(ctx context.Context, step time.Duration, what func()) {
	tick := time.NewTicker(step)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			what()
		}
	}
}

// visit opens a connection, asks once and closes it.
func visit(ctx context.Context, s *trial.SystemTrial, service netip.AddrPort) error {
	conn, err := dial(ctx, s, service)
	if err != nil {
		return err
	}
	defer conn.Close()
	return request(conn)
}

func dial(ctx context.Context, s *trial.SystemTrial, service netip.AddrPort) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return s.Lab.Dial(ctx, s.Client, "tcp", netip.AddrPort{}, service)
}

// request asks a web server on a connection that stays open.
func request(conn net.Conn) error { return requestWithin(conn, patience) }

func requestWithin(conn net.Conn, limit time.Duration) error {
	if err := conn.SetDeadline(time.Now().Add(limit)); err != nil {
		return err
	}
	if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: plex\r\n\r\n"); err != nil {
		return err
	}
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	_, err = io.Copy(io.Discard, answer.Body)
	return err
}
