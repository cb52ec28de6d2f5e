package trial

import (
	"fmt"
	"slices"

	"github.com/onsi/ginkgo/v2"

	"github.com/plexlab-dev/plexlab/harness/lab"
	"github.com/plexlab-dev/plexlab/harness/verdict"
)

// Signal sends a signal, STOP or CONT, to the process of a stack alone. What the stack has started gets none, unlike with
// the verbs of the laboratory.
func (t *Trial) Signal(stack, name string) {
	ginkgo.GinkgoHelper()
	status, err := t.Lab.Status(t.ctx)
	verdict.Engine(err, "find the process of %s", stack)
	i := slices.IndexFunc(status.Nodes, func(n lab.StatusNode) bool { return n.Name == stack })
	_, err = t.output(t.ctx, stack, []string{"sh", "-c", fmt.Sprintf("kill -s %s %d", name, status.Nodes[i].Pid)})
	verdict.Engine(err, "send %s to %s", name, stack)
}
