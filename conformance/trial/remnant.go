package trial

import (
	"errors"
	"net/netip"

	"github.com/onsi/ginkgo/v2"

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
