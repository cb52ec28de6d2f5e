package routing

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
)

var (
	dva4, host4, mask4 = netip.MustParsePrefix("198.51.100.10/24"), netip.MustParsePrefix("198.51.100.10/32"), netip.MustParsePrefix("198.51.100.0/24")
	dva6, host6, mask6 = netip.MustParsePrefix("2001:db8:99::10/64"), netip.MustParsePrefix("2001:db8:99::10/128"), netip.MustParsePrefix("2001:db8:99::/64")
)

const (
	// adjacent bounds the time until neighbours have found one another: OSPF elects for 2 seconds and
	// exchanges its database at the next hellos, on a machine that others use too.
	adjacent = 20 * time.Second
	// converged bounds how long a change takes among neighbours: OSPF repeats what was lost after 2
	// seconds, and originates the same again after 5 (RFC 2328, MinLSInterval).
	converged = 12 * time.Second
)

// T14: the prefix and the mask of the DVIPA are what is advertised; block 104. The newer epoch wins
// although the older owner's daemon goes on telling.
func TestTheRouterFollowsTheNewestOwner(t *testing.T) {
	for _, p := range []Protocol{OSPF, RIP} {
		t.Run(string(p), func(t *testing.T) {
			t.Parallel()
			lan := newLAN(t, 3)
			older, newer, router := lan[0], lan[1], lan[2]
			router.route(p)
			first, second := older.open(p), newer.open(p)

			first.Advertise(dva4, 7)
			first.Advertise(dva6, 7)
			t.Logf("first route, neighbours included: %v", router.awaitWays(&older, adjacent, host4, host6, mask4, mask6))

			second.Advertise(dva4, 8)
			second.Advertise(dva6, 8)
			t.Logf("takeover by a newer epoch: %v", router.awaitWays(&newer, converged, host4, host6))

			second.Withdraw(dva4.Addr())
			second.Withdraw(dva6.Addr())
			t.Logf("withdrawal of the newer: %v", router.awaitWays(&older, converged, host4, host6))

			other := netip.MustParsePrefix("198.51.100.11/24")
			first.Advertise(other, 9)
			t.Logf("one more beside it: %v", router.awaitWays(&older, converged, netip.PrefixFrom(other.Addr(), 32)))

			// Sooner than OSPF would originate the same again (MinLSInterval), and with newer epochs each time.
			second.Advertise(dva4, 9)
			t.Logf("back again: %v", router.awaitWays(&newer, converged, host4))
			first.Advertise(dva4, 10)
			second.Withdraw(dva4.Addr())
			t.Logf("and forth: %v", router.awaitWays(&older, converged, host4))

			first.Withdraw(dva4.Addr())
			first.Withdraw(dva6.Addr())
			t.Logf("withdrawal of the older: %v", router.awaitWays(nil, converged, host4, host6, mask6))
			router.awaitWays(&older, converged, mask4) // the other DVIPA is in it
		})
	}
}

// A stack that has thawed withdraws what another has taken meanwhile, and a primary takes it back at once. OSPF refuses for a
// second what it has just heard of (RFC 2328, MinLSArrival), and what was refused is repeated after two: had the withdrawal
// gone out, there would be no way until then.
func TestAWithdrawalThatIsTakenBackLeavesNoGap(t *testing.T) {
	t.Parallel()
	lan := newLAN(t, 3)
	primary, backup, router := lan[0], lan[1], lan[2]
	router.route(OSPF)
	first, second := primary.open(OSPF), backup.open(OSPF)
	first.Advertise(dva4, 1)
	router.awaitWays(&primary, adjacent, host4)
	second.Advertise(dva4, 2)
	router.awaitWays(&backup, converged, host4)

	first.Withdraw(dva4.Addr())
	taken := time.Now()
	eventually(t, converged, "the withdrawal has gone out, or is held back", func() error {
		rows, err := ask(first.config.controlPath(), "show route protocol dvipa_ipv4", answerLimit)
		if err == nil && time.Since(taken) < withdrawalRests/4 && strings.Contains(strings.Join(rows, "\n"), host4.String()) {
			return errors.New("BIRD has the route")
		}
		return err
	})
	first.Advertise(dva4, 3)
	second.Withdraw(dva4.Addr())
	eventually(t, converged, "the way to the primary", func() error {
		via, err := router.way(host4)
		if err != nil {
			t.Fatalf("%v after the withdrawal: %v", time.Since(taken), err)
		}
		if via != routerID(primary.host) {
			return errors.New("it goes by the backup")
		}
		return nil
	})
}

// Beside the DVIPA itself, the prefix attracts what nobody has: it must not go back to the router.
func TestWhatThePrefixAttractsIsDropped(t *testing.T) {
	t.Parallel()
	stack := newLAN(t, 2)[0]
	for _, d := range []string{"0.0.0.0/0", "::/0"} {
		gateway := map[string]string{"0.0.0.0/0": "192.0.2.2", "::/0": "2001:db8::2"}[d]
		route := netlink.Route{Gw: netip.MustParseAddr(gateway).AsSlice(), LinkIndex: stack.link("ext0").Attrs().Index}
		check(t, stack.nl.RouteAdd(&route))
	}
	daemon := stack.open(OSPF)
	// forwarded says what becomes of a packet that comes in for an address.
	forwarded := func(to string) error {
		from := map[bool]string{true: "203.0.113.1", false: "2001:db8:46::1"}[netip.MustParseAddr(to).Is4()]
		_, err := stack.nl.RouteGetWithOptions(netip.MustParseAddr(to).AsSlice(), &netlink.RouteGetOptions{
			Iif: "ext0", SrcAddr: netip.MustParseAddr(from).AsSlice(),
		})
		return err
	}
	for _, c := range []struct {
		dvipa          netip.Prefix
		other, outside string
	}{{dva4, "198.51.100.77", "198.51.101.1"}, {dva6, "2001:db8:99::77", "2001:db8:98::1"}} {
		check(t, forwarded(c.other)) // as long as nothing is advertised
		daemon.Advertise(c.dvipa, 1)
		eventually(t, converged, "the rule", func() error {
			if forwarded(c.other) == nil {
				return errors.New("still forwarded")
			}
			return nil
		})
		check(t, forwarded(c.outside))
		daemon.Withdraw(c.dvipa.Addr())
		eventually(t, converged, "the rule's end", func() error { return forwarded(c.other) })
	}
}
