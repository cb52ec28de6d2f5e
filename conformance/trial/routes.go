package trial

import (
	"net/netip"
	"strings"
	"time"

	"github.com/onsi/ginkgo/v2"
	"github.com/onsi/gomega"
)

// RoutingLimit is the most that a router's table may be behind, with a routing protocol: it takes the loss of a neighbour and
// a calculation of routes, each of which waits for others.
const RoutingLimit = 15 * time.Second

// EventuallyRoute waits until the table of a node sends packets to an address by a gateway.
func (t *Trial) EventuallyRoute(node string, to, gateway netip.Addr) {
	ginkgo.GinkgoHelper()
	gomega.Eventually(func() (string, error) {
		output, err := t.output(t.ctx, node, []string{"ip", "-oneline", "route", "show", "table", "all", to.String()})
		fields := strings.Fields(string(output))
		for i, word := range fields {
			if word == "via" && i+1 < len(fields) {
				return fields[i+1], err
			}
		}
		return "", err
	}).WithTimeout(RoutingLimit).WithPolling(Quiet()).Should(gomega.Equal(gateway.String()), "next hop of %s on the way to %s", node, to)
}
