package trial

import (
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/onsi/ginkgo/v2"
	"github.com/onsi/gomega"

	"github.com/plexlab-dev/plexlab/harness/lab"
	"github.com/plexlab-dev/plexlab/harness/verdict"
)

// sentinel is a route of the documentation's network (RFC 5737), whose coming says that a table is watched.
const sentinel = "203.0.113.254/32"

// WatchRoute watches the route of a node to just that prefix from now on, and returns what tells how long it was absent at
// most until then.
func (t *Trial) WatchRoute(node string, to netip.Prefix) (absent func() time.Duration) {
	ginkgo.GinkgoHelper()
	monitor, err := t.Lab.Start(t.ctx, node, lab.ExecSpec{Argv: []string{"ip", "-oneline", "-tshort", "monitor", "route"}})
	verdict.Engine(err, "watch the routes of %s", node)
	ginkgo.DeferCleanup(monitor.Close)
	gomega.Eventually(func() (string, error) {
		for _, verb := range []string{"add", "delete"} {
			if _, err := t.output(t.ctx, node, []string{"ip", "route", verb, "blackhole", sentinel}); err != nil {
				return "", err
			}
		}
		return monitor.Output()
	}).Should(gomega.ContainSubstring(strings.TrimSuffix(sentinel, "/32")), "the routes of %s are watched", node)
	return func() time.Duration {
		ginkgo.GinkgoHelper()
		output, err := monitor.Output()
		verdict.Engine(err, "read what became of the routes of %s", node)
		return longestAbsence(output, to.Addr())
	}
}

// longestAbsence is how long there was no route to an address at most, until there was one again, in what "ip -oneline -tshort monitor route" prints:
// a line a change, [TIME] before it, and where a route went the word Deleted.
func longestAbsence(changes string, to netip.Addr) (longest time.Duration) {
	var since time.Time
	for line := range strings.Lines(changes) {
		stamp, change, _ := strings.Cut(strings.TrimPrefix(line, "["), "]")
		words := strings.Fields(change)
		at, err := time.Parse("2006-01-02T15:04:05", stamp)
		if err != nil || !slices.Contains(words[:min(2, len(words))], to.String()) {
			continue
		}
		switch gone := words[0] == "Deleted"; {
		case gone && since.IsZero():
			since = at
		case !gone && !since.IsZero():
			longest, since = max(longest, at.Sub(since)), time.Time{}
		}
	}
	return longest
}

// EventuallyBFD waits until a router has just so many sessions of BFD that are up, of one family or of the other.
func (t *Trial) EventuallyBFD(router string, up int) {
	ginkgo.GinkgoHelper()
	gomega.Eventually(func() (int, error) {
		sessions, err := t.output(t.ctx, router, []string{"birdc", "-s", routerControl(router), "show", "bfd", "sessions"})
		found := 0
		for line := range strings.Lines(string(sessions)) {
			if slices.Contains(strings.Fields(line), "Up") {
				found++
			}
		}
		return found, err
	}).WithTimeout(routingLimit()).WithPolling(routesEvery).Should(gomega.Equal(up), "sessions of BFD that are up at %s", router)
}

// routerControl is the control socket of the routing daemon of a router, in the lab.
func routerControl(router string) string { return "/dev/shm/nodes/" + router + "/bird.ctl" }
