package trial

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/onsi/ginkgo/v2"
	"github.com/onsi/gomega"

	"github.com/plexlab-dev/plexlab/harness/lab"
	"github.com/plexlab-dev/plexlab/harness/verdict"
)

// EndApplication asks an application of the plan to end, by SIGTERM, and waits until its first
// process has.
func (t *Trial) EndApplication(node, name string) {
	ginkgo.GinkgoHelper()
	running, err := t.application(t.ctx, node, name)
	if err == nil && running.Pid == 0 {
		err = fmt.Errorf("it is %s", running.State)
	}
	verdict.Engine(err, "end application %s of %s", name, node)
	// The number is of the lab's PID namespace, where the command runs too.
	_, err = t.output(t.ctx, node, []string{"kill", "-TERM", strconv.Itoa(running.Pid)})
	verdict.Engine(err, "end application %s of %s", name, node)
	gomega.Eventually(func() (lab.State, error) {
		now, err := t.application(t.ctx, node, name)
		return now.State, err
	}).ShouldNot(gomega.Equal(lab.StateRunning), "state of application %s of %s", name, node)
}

func (t *Trial) application(ctx context.Context, node, name string) (lab.StatusApplication, error) {
	status, err := t.Lab.Status(ctx)
	if err != nil {
		return lab.StatusApplication{}, err
	}
	for _, n := range status.Nodes {
		for _, a := range n.Applications {
			if n.Name == node && a.Name == name {
				return a, nil
			}
		}
	}
	return lab.StatusApplication{}, errors.New("the lab has none")
}
