package trial

import (
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/onsi/ginkgo/v2"
	"github.com/onsi/gomega"
)

// RoutingLimit is the most that a router's table may be behind, with a routing protocol: it takes the loss of a neighbour and
// a calculation of routes, each of which waits for others.
const RoutingLimit = 15 * time.Second

// routesEvery is the time between two looks at a table, each of which starts programs.
const routesEvery = 300 * time.Millisecond

// EventuallyRoute waits until the table of a node has a route to just that prefix, by a stack and no other. With IPv6
// routers name one another by link-local addresses (RFC 5340, section 4.1.1; RFC 2080, section 2.1.1).
func (t *Trial) EventuallyRoute(node string, to netip.Prefix, stack string) {
	ginkgo.GinkgoHelper()
	hop := func() (string, error) {
		output, err := t.output(t.ctx, node, []string{"ip", "-oneline", ipFamily(to.Addr()), "route", "show", "table", "all", "exact", to.String()})
		return onlyAfter("via", string(output)), err
	}
	gomega.Eventually(func() (bool, error) {
		gateway, err := hop()
		if err != nil || gateway == "" {
			return false, err
		}
		own, err := t.output(t.ctx, stack, []string{"ip", "-oneline", ipFamily(to.Addr()), "address", "show", "to", gateway})
		return len(own) > 0, err
	}).WithTimeout(RoutingLimit).WithPolling(routesEvery).Should(gomega.BeTrue(), "%s is the next hop of %s on the way to %s", stack, node, to)
}

// ipFamily is the option of ip(8) for the family of an address.
func ipFamily(a netip.Addr) string {
	if a.Is6() {
		return "-6"
	}
	return "-4"
}

// onlyAfter is the word behind another one in a text; "" without, or where that stands there again.
func onlyAfter(word, text string) string {
	words := strings.Fields(text)
	i := slices.Index(words, word)
	if i < 0 || i+1 >= len(words) || slices.Contains(words[i+1:], word) {
		return ""
	}
	return words[i+1]
}
