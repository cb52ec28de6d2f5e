package trial

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/onsi/ginkgo/v2"
	"golang.org/x/sys/unix"

	"github.com/plexlab-dev/plexlab/harness/impl"
	"github.com/plexlab-dev/plexlab/harness/lab"
	"github.com/plexlab-dev/plexlab/harness/report"
	"github.com/plexlab-dev/plexlab/harness/verdict"
)

// Start starts a stack that was killed, and waits until it is ready and sees the others.
func (t *Trial) Start(stack string) {
	ginkgo.GinkgoHelper()
	t.came(t.Lab.StartStack(t.ctx, stack), "start %s", stack)
}

// came ends the spec on an error: with FAIL where a stack has ended or was not ready in time, which is its own doing, else with
// ENGINE_ERROR, which says what the kit was at.
func (t *Trial) came(err error, format string, args ...any) {
	ginkgo.GinkgoHelper()
	if stack := (*lab.StackError)(nil); errors.As(err, &stack) {
		ginkgo.AddReportEntry(report.EndedEntry, stack.Error(), ginkgo.ReportEntryVisibilityFailureOrVerbose)
		verdict.Mismatch(fmt.Sprintf("%s ready within %s", stack.Stack, t.manifestOf(stack.Stack).ReadyTimeout), stack.Error())
	}
	verdict.Engine(err, format, args...)
}

// tellEnded tells the report of stacks that ended by themselves: whatever a spec did not see then, it is not by an implementation's
// choice. A lab that does not answer has nothing to tell.
func (t *Trial) tellEnded(ctx context.Context) {
	status, err := t.Lab.Status(ctx)
	if err != nil {
		return
	}
	for _, ended := range endedByThemselves(status) {
		ginkgo.AddReportEntry(report.EndedEntry, ended, ginkgo.ReportEntryVisibilityFailureOrVerbose)
	}
}

// endedByThemselves are the stacks whose processes have ended, but not by SIGKILL, which is how specs and plans end them.
func endedByThemselves(status *lab.Status) []string {
	killed := lab.Exited{Signal: unix.SIGKILL}.String()
	var ended []string
	for _, node := range status.Nodes {
		if node.State == lab.StateFailed && node.Reason != killed {
			ended = append(ended, fmt.Sprintf("stack %s ended: %s", node.Name, node.Reason))
		}
	}
	return ended
}

// manifestOf is the manifest that starts a stack.
func (t *Trial) manifestOf(stack string) *impl.Manifest {
	if other := t.others[stack]; other != nil {
		return other
	}
	return t.Implementation
}

// ready is the longest time that a stack of the plex is given to become ready.
func (t *Trial) ready() (longest time.Duration) {
	for _, n := range t.Plan.Nodes {
		longest = max(longest, t.manifestOf(n.Name).ReadyTimeout)
	}
	return longest
}
