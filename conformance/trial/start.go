package trial

import (
	"errors"
	"fmt"
	"time"

	"github.com/onsi/ginkgo/v2"

	"github.com/plexlab-dev/plexlab/harness/impl"
	"github.com/plexlab-dev/plexlab/harness/lab"
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
		verdict.Mismatch(fmt.Sprintf("%s ready within %s", stack.Stack, t.manifestOf(stack.Stack).ReadyTimeout), stack.Error())
	}
	verdict.Engine(err, format, args...)
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
