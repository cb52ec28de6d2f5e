// Package trial is what specs stand on: a lab of their own with the implementation under test
// in it, watched from its first packet, and its evidence kept if the spec fails.
//
// At unit level (Unit) one stack has scripted partners and a scripted client; at system level
// (System) a whole Sysplex runs unmodified servers. Functions of this package end the spec:
// with ENGINE_ERROR where the kit itself fails, with FAIL where the implementation does.
package trial

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/onsi/ginkgo/v2"
	"golang.org/x/sys/unix"

	"github.com/plexlab-dev/plexlab/harness/capture"
	"github.com/plexlab-dev/plexlab/harness/evidence"
	"github.com/plexlab-dev/plexlab/harness/impl"
	"github.com/plexlab-dev/plexlab/harness/lab"
	"github.com/plexlab-dev/plexlab/harness/verdict"
	"github.com/plexlab-dev/plexlab/topo"
)

// buildLimit bounds the building of a lab, without the time that its stacks are given to become ready, and its end; a loaded machine
// is slow.
const buildLimit = 60 * time.Second

// Trial is one lab under one spec.
type Trial struct {
	Lab            *lab.Lab
	Plan           topo.Plan
	Implementation *impl.Manifest
	// others starts single stacks in a mixed plex, by the stack's name.
	others map[string]*impl.Manifest
	// Capture records every interface of every stack and of every scripted partner,
	// by "NODE/link".
	Capture *capture.Capture

	ctx      context.Context
	name     string // of the lab
	evidence string // directory, kept if the spec fails or everything is kept
	told     []func() (name, text string)
}

var trials atomic.Int64

// build builds the lab of a plan; it is taken down when the spec ends. Of what passes its interfaces only packets that the filter takes
// are recorded; without one, all are.
func build(plan topo.Plan, manifest *impl.Manifest, filter ...unix.SockFilter) *Trial {
	ginkgo.GinkgoHelper()
	return (&Trial{Plan: plan, Implementation: manifest}).build(filter)
}

func (t *Trial) build(filter []unix.SockFilter) *Trial {
	ginkgo.GinkgoHelper()
	ctx, cancel := context.WithCancel(context.Background())
	t.ctx = ctx
	ginkgo.DeferCleanup(cancel)
	t.evidence = newEvidenceDirectory()
	t.came(t.up(), "build the lab of the spec")
	ginkgo.DeferCleanup(t.end)
	t.watch(filter)
	return t
}

// up starts the lab; on an error there is none.
func (t *Trial) up() (err error) {
	building, done := context.WithTimeout(t.ctx, buildLimit+t.ready())
	defer done()
	t.name = fmt.Sprintf("%s.%d.%d", t.Plan.Name, os.Getpid(), trials.Add(1))
	t.Lab, err = lab.Up(building, &t.Plan, lab.Options{
		Name:           t.name,
		Implementation: t.Implementation, Implementations: t.others,
		Supervisor: lab.SupervisorOf(programPath()),
	})
	return err
}

func planned(topology *topo.Topology) topo.Plan {
	ginkgo.GinkgoHelper()
	plan, err := topology.Plan()
	verdict.Engine(err, "plan the topology of the spec")
	return plan
}

// readImplementation reads the manifest once: it stays the same for a run, and each spec asks it what is declared.
var readImplementation = sync.OnceValues(func() (impl.Manifest, error) {
	manifest, err := impl.Read(implementationPath())
	if err != nil {
		return impl.Manifest{}, err
	}
	manifest.Traces = manifest.Traces && !blackBox()
	return *manifest, nil
})

// implementation is the manifest of what is certified, the caller's own.
func implementation() *impl.Manifest {
	ginkgo.GinkgoHelper()
	manifest, err := readImplementation()
	verdict.Engine(err, "read the manifest of the implementation")
	return &manifest
}

// The rings of a capture: the kernel clears all of one before its first packet, which for the ten of Figure 9 was a tenth of what a spec
// took. A quarter of the default in memory, of blocks in memory too, and four times in lateness leave a reader 2 s in which it need not
// run. Stacks may be real-time, and all else then waits for 1 s at a time on a machine that has too much to do.
const (
	late     = 16 * time.Millisecond
	block    = 32 << 10
	ringSize = 4 << 20
	// fewPackets is the ring of a capture around one stack, which nobody sends a load: 1 s.
	fewPackets = 2 << 20
)

// watch starts the capture.
func (t *Trial) watch(filter []unix.SockFilter) {
	ginkgo.GinkgoHelper()
	var sources []capture.Source
	recorded := capture.Source{Late: late, Block: block, Ring: ringSize}
	switch {
	case len(filter) > 0:
		recorded.Late = busyLate
	case len(t.Stacks()) == 1 && t.others == nil:
		recorded.Ring = fewPackets
	}
	for _, node := range t.Plan.Nodes {
		for _, link := range node.Links {
			if node.Kind == topo.KindRouter || node.Kind == topo.KindHost && !t.onXCF(link) {
				continue
			}
			socket, err := t.Lab.Packet(t.ctx, node.Name, link.Name)
			verdict.Engine(err, "open packet socket on %s/%s", node.Name, link.Name)
			verdict.Engine(attach(socket, filter), "filter what is recorded on %s/%s", node.Name, link.Name)
			recorded.Name, recorded.Socket = node.Name+"/"+link.Name, socket
			sources = append(sources, recorded)
		}
	}
	var err error
	t.Capture, err = capture.Start(filepath.Join(t.evidence, evidence.PacketsFile), sources...)
	verdict.Engine(err, "start capture")
}

func (t *Trial) onXCF(link topo.PlanLink) bool {
	return slices.ContainsFunc(t.Plan.Networks, func(n topo.PlanNetwork) bool { return n.XCF && n.Name == link.Network })
}

// end collects what the run leaves, then takes the lab down.
func (t *Trial) end() {
	ending, cancel := context.WithTimeout(context.Background(), buildLimit)
	defer cancel()
	t.reportCoverage(ending)
	failed := ginkgo.CurrentSpecReport().Failed()
	lost := t.Capture.Stop()
	switch {
	case failed:
		t.tellEnded(ending)
		t.keepEvidence(ending)
	case keepAll():
		t.keepPackets()
	default:
		verdict.Engine(os.RemoveAll(t.evidence), "remove the evidence of a spec that passed")
	}
	verdict.Engine(t.Lab.Down(ending), "take the lab down")
	if !failed {
		verdict.Engine(lost, "capture packets")
		verdict.Engine(t.contradicted(), "judge by packets")
	}
}

// contradicted is an error where a spec passed in spite of what it was told of packets: nobody who asks its
// evidence again could follow it. What a spec may be told either way it asks as capture.Attempt.
func (t *Trial) contradicted() error {
	for _, j := range t.Capture.Judgements() {
		if !j.Holds() {
			return fmt.Errorf("the spec passed, and the answer to %s was not what lets it", j)
		}
	}
	return nil
}

// Context ends with the spec.
func (t *Trial) Context() context.Context { return t.ctx }

// Soon is a context for one wait: it ends after Limit, or with the spec.
func (t *Trial) Soon() context.Context { return t.within(Limit()) }

// Shortly is a context to watch for what must not happen: for Quiet, and until that has been recorded.
func (t *Trial) Shortly() context.Context { return t.within(Quiet() + late) }

// within leaves nothing to clean up: Ginkgo copies all clean-ups of a spec for each of them, and some specs wait hundreds of times.
func (t *Trial) within(limit time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.ctx, limit)
	context.AfterFunc(ctx, cancel)
	return ctx
}

// Stacks are the names of the stacks that run the implementation under test.
func (t *Trial) Stacks() []string {
	var names []string
	for _, node := range t.Plan.Nodes {
		if node.Kind == topo.KindStack && t.others[node.Name] == nil {
			names = append(names, node.Name)
		}
	}
	return names
}

// newEvidenceDirectory makes the directory of this spec: suite, then words of the spec.
func newEvidenceDirectory() string {
	spec := ginkgo.CurrentSpecReport()
	words := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' {
			return r
		}
		return '-'
	}, spec.FullText())
	if len(words) > 100 {
		words = words[:100]
	}
	suite := filepath.Base(filepath.Dir(spec.LeafNodeLocation.FileName))
	parent := filepath.Join(evidencePath(), suite)
	verdict.Engine(os.MkdirAll(parent, 0o755), "make the directory of evidence")
	dir, err := makeReadable(parent, words+"-")
	verdict.Engine(err, "make the directory of evidence")
	return dir
}

// makeReadable makes a directory of a new name that everybody may read: whoever verifies a certificate is not who made it.
func makeReadable(parent, prefix string) (string, error) {
	dir, err := os.MkdirTemp(parent, prefix)
	if err == nil {
		err = os.Chmod(dir, 0o755)
	}
	return dir, err
}
