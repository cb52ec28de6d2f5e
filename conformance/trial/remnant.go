package trial

import (
	"errors"
	"net/netip"

	"github.com/onsi/ginkgo/v2"
	"github.com/onsi/gomega"

	"github.com/plexlab-dev/plexlab/harness/verdict"
)

// EndRemnants ends what the kernel of a stack still holds of closed connections to a service,
// TIME_WAIT above all, which lasts a fixed 60 s in Linux. It takes a kernel with
// CONFIG_INET_DIAG_DESTROY.
func (t *Trial) EndRemnants(stack string, service netip.AddrPort) {
	ginkgo.GinkgoHelper()
	output, err := t.output(t.Soon(), stack, []string{
		"ss", "--kill", "--tcp", "--no-header", "--numeric", "state", "time-wait", "src", service.String(),
	})
	if err == nil && len(output) == 0 {
		err = errors.New("there is none")
	}
	verdict.Engine(err, "end remnants of connections to %s on %s", service, stack)
}

// EventuallyRemnant waits until the kernel of a stack holds a connection of an own end in TIME_WAIT.
func (t *Trial) EventuallyRemnant(stack string, local netip.AddrPort) {
	ginkgo.GinkgoHelper()
	gomega.Eventually(func() (string, error) {
		output, err := t.output(t.Soon(), stack, []string{
			"ss", "--tcp", "--no-header", "--numeric", "state", "time-wait", "src", local.String(),
		})
		return string(output), err
	}).ShouldNot(gomega.BeEmpty(), "connections of %s in TIME_WAIT on %s", local, stack)
}
