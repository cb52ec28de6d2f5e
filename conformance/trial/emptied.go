package trial

import (
	"errors"

	"github.com/onsi/ginkgo/v2"
	"github.com/onsi/gomega"

	"github.com/plexlab-dev/plexlab/harness/tolerance"
)

// EventuallyEmptied waits until the connection routing table of a stack is empty. A stack that does not tell of it has
// nobody else who could.
func (t *Trial) EventuallyEmptied(routing string) {
	ginkgo.GinkgoHelper()
	client := t.Lab.Control(routing)
	defer client.Close()
	gomega.Eventually(func() (int, error) {
		table, err := client.VCRT(t.ctx, 1)
		if errors.Is(err, errors.ErrUnsupported) {
			return 0, nil
		}
		return table.Total, err
	}).WithTimeout(Allowed(tolerance.Emptied)).WithPolling(Quiet()).
		Should(gomega.BeZero(), "entries of the connection routing table of %s", routing)
}
