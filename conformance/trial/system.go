package trial

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"maps"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/onsi/ginkgo/v2"
	"github.com/onsi/gomega"
	"golang.org/x/sys/unix"

	"github.com/plexlab-dev/plexlab/harness/verdict"
	"github.com/plexlab-dev/plexlab/nodes/contract/portfile"
	"github.com/plexlab-dev/plexlab/topo"
)

// SystemTrial is a whole Sysplex with unmodified servers and real clients.
type SystemTrial struct {
	*Trial
	family Family
	// Client is the node that connects.
	Client string
}

// systemDeadMS, busyDeadMS (Busy) and unitDeadMS are the milliseconds of silence until a member is lost, in suites that are not about
// the time that this takes: a loaded machine keeps stacks, and scripted partners all the more, from saying HELLO for
// longer than the default.
const (
	systemDeadMS = 500
	busyDeadMS   = 1500
	unitDeadMS   = 1500
)

// patientHelloMS are the milliseconds between two HELLOs in them, each of which every stack hears and every capture records. The
// reference says them with every third of its beats, and wakes for nothing else.
const patientHelloMS = 3 * int(portfile.BeatInterval/time.Millisecond)

// patient fills in timers that are left out.
func patient(t topo.Timers, dead int) topo.Timers {
	return topo.Timers{HelloMS: cmp.Or(t.HelloMS, patientHelloMS), DeadMS: cmp.Or(t.DeadMS, dead)}
}

func system(f Family, file string, change func(*topo.Topology), filter ...unix.SockFilter) *SystemTrial {
	ginkgo.GinkgoHelper()
	topology := f.topology(file, change)
	manifest := implementation()
	reduce(topology, manifest.Features())
	return &SystemTrial{family: f, Trial: build(planned(topology), manifest, filter...), Client: "CLIENT"}
}

// topology is that of a file of fixtures/topologies, changed if change is not nil.
func (f Family) topology(file string, change func(*topo.Topology)) *topo.Topology {
	ginkgo.GinkgoHelper()
	topology, err := topo.Load(filepath.Join(root(), "fixtures", "topologies", f.file(file)))
	verdict.Engine(err, "load topology %s", f.file(file))
	topology.Timers = patient(topology.Timers, systemDeadMS)
	if change != nil {
		change(topology)
	}
	return topology
}

// Get asks a web server from the client, on a connection of its own that the client closes, and returns its answer; the
// fixtures' servers name themselves and their stack in it ("APPA on MVS2").
func (s *SystemTrial) Get(ctx context.Context, service netip.AddrPort) (string, error) {
	limit, cancel := context.WithTimeout(ctx, Limit())
	defer cancel()
	conn, err := s.Lab.Dial(limit, s.Client, "tcp", netip.AddrPort{}, service)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	if end, ok := limit.Deadline(); ok {
		if err := conn.SetDeadline(end); err != nil {
			return "", err
		}
	}
	text, err := request(conn)
	return string(bytes.TrimSpace(text)), err
}

// ExpectAnswer asks a web server from the client and expects an answer.
func (s *SystemTrial) ExpectAnswer(service netip.AddrPort) string {
	ginkgo.GinkgoHelper()
	answer, err := s.Get(s.Soon(), service)
	gomega.Expect(err).NotTo(gomega.HaveOccurred())
	return answer
}

// Answers asks a web server n times, one after the other, and counts who answered, by the name of
// the stack.
func (s *SystemTrial) Answers(service netip.AddrPort, n int) map[string]int {
	ginkgo.GinkgoHelper()
	count := map[string]int{}
	for range n {
		answer := s.ExpectAnswer(service)
		_, stack, found := strings.Cut(answer, " on ")
		gomega.Expect(found).To(gomega.BeTrue(), "answer %q names a stack", answer)
		count[stack]++
	}
	return count
}

// EventuallyTargets waits until a routing stack tells that exactly these stacks are current
// actual targets of a service; an implementation that does not tell is asked by Answers.
func (s *SystemTrial) EventuallyTargets(routing string, service netip.AddrPort, stacks ...string) {
	ginkgo.GinkgoHelper()
	client := s.Lab.Control(routing)
	defer client.Close()
	gomega.Eventually(func() ([]string, error) {
		table, err := client.VDPT(s.ctx)
		if errors.Is(err, errors.ErrUnsupported) {
			return slices.Sorted(maps.Keys(s.Answers(service, 2*len(stacks)))), nil
		}
		var targets []string
		for _, e := range table.Entries {
			if e.DVIPA == service.Addr() && e.Port == service.Port() {
				targets = append(targets, e.Stack)
			}
		}
		return targets, err
	}).Should(gomega.ConsistOf(stacks), "targets of %s at %s", service, routing)
}
