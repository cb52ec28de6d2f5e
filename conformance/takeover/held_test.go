package takeover

import (
	"net"

	. "github.com/onsi/ginkgo/v2"

	"github.com/plexlab-dev/plexlab/conformance/trial"
)

// A held connection is open, and served by a stack.
type held struct {
	net.Conn
	by string
}

// expectAlive expects that connections are still served.
func expectAlive(s *trial.SystemTrial, all []held) {
	GinkgoHelper()
	for _, h := range all {
		By("asking on the connection that " + h.by + " serves")
		s.ExpectAlive(h.Conn)
	}
}
