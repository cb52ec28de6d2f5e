package trial

import (
	"context"
	"errors"
	"math"
	"runtime"
	"runtime/debug"
	"testing"
	"time"

	"github.com/onsi/ginkgo/v2"
	"github.com/onsi/gomega"
	"github.com/onsi/gomega/format"

	"github.com/plexlab-dev/plexlab/conformance/requirements"
	"github.com/plexlab-dev/plexlab/harness/impl"
	"github.com/plexlab-dev/plexlab/harness/report"
	"github.com/plexlab-dev/plexlab/harness/verdict"
)

// collectLess is how much the heap grows, in percent, until what a spec has left is collected. It is small, and the processors are for
// the laboratory.
const collectLess = 400

// Suite runs the specs of one suite and leaves their results for the report of the run. Of an
// implementation that does not declare what the suite needs every spec ends as UNIMPLEMENTED. Specs
// of a suite without needs say themselves what they need.
func Suite(t *testing.T, name string, needs ...impl.Capability) {
	debug.SetGCPercent(collectLess)
	if config, _ := ginkgo.GinkgoConfiguration(); config.ParallelTotal >= runtime.NumCPU() {
		runtime.GOMAXPROCS(1) // the others have the other processors
	}
	gomega.RegisterFailHandler(ginkgo.Fail)
	gomega.SetDefaultEventuallyTimeout(Limit())
	gomega.SetDefaultEventuallyPollingInterval(tryEvery)
	format.RegisterCustomFormatter(verdict.Format)
	ginkgo.ReportAfterSuite("results", func(r ginkgo.Report) {
		gomega.Expect(errors.Join(
			report.WriteCatalogue(resultsPath(), requirements.Catalogue()),
			report.WriteTolerances(resultsPath(), name, allowed()),
			report.WriteSuite(resultsPath(), name, r),
		)).To(gomega.Succeed())
	})
	ginkgo.BeforeEach(takeTurn)
	suiteNeeds = needs
	ginkgo.BeforeEach(func() { Needs(needed()...) })
	ginkgo.ReportAfterEach(tellProgress)
	suite = name
	ginkgo.RunSpecs(t, name)
}

// suite is the name of the suite that runs in this process, suiteNeeds what all of its specs need.
var (
	suite      string
	suiteNeeds []impl.Capability
)

// reportCoverage adds up what the stacks tell of the edges they passed, where the implementation
// offers traces. A stack that the spec killed tells nothing.
func (t *Trial) reportCoverage(ctx context.Context) {
	if !t.Implementation.Traces {
		return
	}
	for _, stack := range t.Stacks() {
		if edges, err := t.Edges(ctx, stack); err == nil {
			verdict.Engine(report.AddCoverage(resultsPath(), suite, edges), "report coverage")
		}
	}
}

// noSteps asks a trace for what comes after its last possible step: for the count of edges alone.
const noSteps = math.MaxUint64

// Edges is how often a stack passed each edge, as it tells itself.
func (t *Trial) Edges(ctx context.Context, stack string) (map[string]uint64, error) {
	client := t.Lab.Control(stack)
	defer client.Close()
	asking, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	trace, err := client.Trace(asking, noSteps)
	return trace.Edges, err
}

// ExpectPassed expects that the stack under test tells of each edge that it was passed at least
// once; an implementation without traces is not asked.
func (u *UnitTrial) ExpectPassed(edges ...string) {
	ginkgo.GinkgoHelper()
	if !u.Implementation.Traces {
		return
	}
	gomega.Eventually(func() ([]string, error) {
		told, err := u.Edges(u.ctx, u.Stack)
		var missing []string
		for _, edge := range edges {
			if told[edge] == 0 {
				missing = append(missing, edge)
			}
		}
		return missing, err
	}).Should(gomega.BeEmpty(), "edges that the trace of %s does not hold", u.Stack)
}
