package trial

import (
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/onsi/ginkgo/v2"
	"github.com/onsi/gomega"

	"github.com/plexlab-dev/plexlab/harness/verdict"
	"github.com/plexlab-dev/plexlab/topo"
)

// routingLimit is the most that a router's table may be behind, with a routing protocol: it takes the loss of a neighbour and
// a calculation of routes, each of which waits for others.
func routingLimit() time.Duration { return strictly(15 * time.Second) }

// routesEvery is the time between two looks at a table, each of which starts a program.
const routesEvery = 300 * time.Millisecond

// EventuallyRoute waits until the table of a node has a route to just that prefix, by a stack and no other. With IPv6
// routers name one another by link-local addresses (RFC 5340, section 4.1.1; RFC 2080, section 2.1.1).
func (t *Trial) EventuallyRoute(node string, to netip.Prefix, stack string) {
	ginkgo.GinkgoHelper()
	own, err := hops(t.node(stack))
	verdict.Engine(err, "know the addresses of %s", stack)
	gomega.Eventually(func() (string, error) {
		output, err := t.output(t.ctx, node, []string{"ip", "-oneline", ipFamily(to.Addr()), "route", "show", "table", "all", "exact", to.String()})
		return onlyAfter("via", string(output)), err
	}).WithTimeout(routingLimit()).WithPolling(routesEvery).Should(gomega.BeElementOf(own), "%s is the next hop of %s on the way to %s", stack, node, to)
}

// hops are the addresses that routers may name a stack by: those of its links, and the link-local ones that a kernel makes of their
// hardware addresses (RFC 4291, appendix A).
func hops(stack topo.PlanNode) ([]string, error) {
	var all []string
	for _, link := range stack.Links {
		for _, a := range link.Addresses {
			all = append(all, a.Addr().String())
		}
		mac, err := net.ParseMAC(link.MAC)
		if err != nil {
			return nil, err
		}
		const universal = 1 << 1 // the bit of a hardware address that appears inverted
		a := [16]byte{0: 0xfe, 1: 0x80, 8: mac[0] ^ universal, 9: mac[1], 10: mac[2], 11: 0xff, 12: 0xfe, 13: mac[3], 14: mac[4], 15: mac[5]}
		all = append(all, netip.AddrFrom16(a).String())
	}
	return all, nil
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
