package home

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

var (
	dvipa4 = netip.MustParseAddr("192.0.2.100")
	dvipa6 = netip.MustParseAddr("2001:db8::100")
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func list(t *testing.T, h *Home) []Address {
	t.Helper()
	all, err := h.List()
	must(t, err)
	return all
}

func TestSettings(t *testing.T) {
	t.Parallel()
	stack, _ := newHosts(t)
	h := stack.open("ext0")
	defer h.Close()
	stack.do(h.Forward)
	want := map[string]string{
		"ipv4/ip_forward":             "1",
		"ipv4/conf/all/rp_filter":     "0",
		"ipv4/conf/ext0/rp_filter":    "0",
		"ipv4/conf/xcf0/rp_filter":    "0",
		"ipv4/conf/all/arp_ignore":    "0",
		"ipv4/conf/ext0/arp_ignore":   "0",
		"ipv4/conf/xcf0/arp_ignore":   "1",
		"ipv4/conf/ext0/arp_announce": "2",
		"ipv4/conf/xcf0/arp_announce": "2",
		"ipv4/conf/xcf0/accept_local": "1",
		"ipv4/conf/all/accept_local":  "0",
		"ipv6/conf/all/forwarding":    "1",
		"ipv6/conf/ext0/accept_ra":    "0",
		"ipv6/conf/xcf0/accept_ra":    "0",
		"ipv6/conf/ext0/proxy_ndp":    "1",
		"ipv6/neigh/ext0/proxy_delay": "0",

		"ipv4/neigh/ext0/retrans_time_ms": "100",
		"ipv4/neigh/xcf0/retrans_time_ms": "100",
		"ipv6/neigh/ext0/retrans_time_ms": "100",
		"ipv6/neigh/xcf0/retrans_time_ms": "100",
	}
	got := make(map[string]string)
	stack.do(func() error {
		for name := range want {
			b, err := os.ReadFile("/proc/sys/net/" + name)
			if err != nil {
				return err
			}
			got[name] = strings.TrimSpace(string(b))
		}
		return nil
	})
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("settings (-want +got):\n%s", diff)
	}
}

func TestHomeList(t *testing.T) {
	t.Parallel()
	stack, _ := newHosts(t)
	h := stack.open("ext0")
	before := list(t, h)
	for range 2 {
		must(t, h.Activate(dvipa4))
		must(t, h.Activate(dvipa6))
	}
	must(t, h.Advertise(netip.PrefixFrom(dvipa4, 24)))
	row := func(prefix, link string, kind Kind, advertised bool) Address {
		return Address{Prefix: netip.MustParsePrefix(prefix), Interface: link, Kind: kind, Advertised: advertised}
	}
	want := []Address{
		row("10.1.0.1/24", "xcf0", KindXCF, false),
		row("127.0.0.1/8", "lo", KindLoopback, false),
		row("192.0.2.1/24", "ext0", KindReal, true),
		row("192.0.2.100/32", "lo", KindDVIPA, true),
		row("::1/128", "lo", KindLoopback, false),
		row("2001:db8::1/64", "ext0", KindReal, true),
		row("2001:db8::100/128", "lo", KindDVIPA, false),
		row("fd00::1/64", "xcf0", KindXCF, false),
	}
	same := cmpopts.EquateComparable(netip.Prefix{})
	if diff := cmp.Diff(want, list(t, h), same); diff != "" {
		t.Errorf("home list (-want +got):\n%s", diff)
	}
	must(t, h.Withdraw(dvipa4))
	if got := list(t, h)[3]; got.Advertised {
		t.Errorf("%v is still advertised", got.Prefix)
	}
	for range 2 {
		must(t, h.Deactivate(dvipa4))
		must(t, h.Deactivate(dvipa6))
	}
	if diff := cmp.Diff(before, list(t, h), same); diff != "" {
		t.Errorf("home list with the DVIPAs gone (-want +got):\n%s", diff)
	}
	if err := h.Advertise(netip.PrefixFrom(dvipa4, 24)); err == nil {
		t.Error("an address that is not active was advertised")
	}
	must(t, h.Close())
}

// What is active receives: the route of an address is there when Activate returns.
func TestActiveReceives(t *testing.T) {
	t.Parallel()
	stack, _ := newHosts(t)
	h := stack.open("ext0")
	defer h.Close()
	for range 50 {
		for _, dvipa := range []netip.Addr{dvipa4, dvipa6} {
			must(t, h.Activate(dvipa))
			routes, err := stack.nl.RouteGet(dvipa.AsSlice())
			if err != nil || routes[0].Type != unix.RTN_LOCAL {
				t.Fatalf("route to %v: %v, %v, want a local one", dvipa, routes, err)
			}
			must(t, h.Deactivate(dvipa))
		}
	}
}

// A process that was killed leaves its addresses; the next one does not take them over.
func TestSweep(t *testing.T) {
	t.Parallel()
	stack, _ := newHosts(t)
	killed := stack.open("ext0")
	before := list(t, killed)
	must(t, killed.Activate(dvipa4))
	must(t, killed.Activate(dvipa6))
	must(t, killed.Advertise(netip.PrefixFrom(dvipa6, 64)))
	must(t, killed.SetWayOut(netip.MustParseAddr("10.1.0.2")))
	h := stack.open("ext0")
	if diff := cmp.Diff(before, list(t, h), cmpopts.EquateComparable(netip.Prefix{})); diff != "" {
		t.Errorf("home list of the next process (-want +got):\n%s", diff)
	}
	proxies, err := retry(func() ([]netlink.Neigh, error) {
		return stack.nl.NeighProxyList(stack.link("ext0").Attrs().Index, unix.AF_INET6)
	})
	if err != nil || len(proxies) != 0 {
		t.Errorf("the next process answers for %v, %v, want nobody", proxies, err)
	}
	if got := defaultVia(t, stack, unix.AF_INET); got != "none" {
		t.Errorf("default route of the next process is by %s, want none", got)
	}
	must(t, h.Close())
	must(t, killed.closeSockets())
}

// The neighbour's cache names another station; the announcement puts it right.
func TestAdvertise(t *testing.T) {
	t.Parallel()
	stack, neighbour := newHosts(t)
	h := stack.open("ext0")
	defer h.Close()
	owner := stack.link("ext0").Attrs().HardwareAddr.String()
	for _, dvipa := range []netip.Addr{dvipa4, dvipa6} {
		other, _ := net.ParseMAC("02:00:00:00:00:07")
		must(t, neighbour.nl.NeighSet(&netlink.Neigh{
			LinkIndex: neighbour.link("ext0").Attrs().Index, State: netlink.NUD_STALE,
			IP: dvipa.AsSlice(), HardwareAddr: other,
		}))
		must(t, h.Activate(dvipa))
		must(t, h.Advertise(netip.PrefixFrom(dvipa, 24)))
		deadline := time.Now().Add(5 * time.Second)
		for station(t, neighbour, dvipa) != owner {
			if time.Now().After(deadline) {
				t.Fatalf("the neighbour takes %s for the station of %v, want %s", station(t, neighbour, dvipa), dvipa, owner)
			}
		}
	}
	must(t, stack.nl.LinkSetDown(stack.link("ext0")))
	if err := h.Advertise(netip.PrefixFrom(dvipa4, 24)); err != nil {
		t.Errorf("advertise with the link down: %v, want nobody told", err)
	}
}

// station is the link-layer address that the host has for an address on ext0.
func station(t *testing.T, h host, address netip.Addr) string {
	t.Helper()
	neighbours, err := retry(func() ([]netlink.Neigh, error) {
		return h.nl.NeighList(h.link("ext0").Attrs().Index, netlink.FAMILY_ALL)
	})
	must(t, err)
	for _, n := range neighbours {
		if a, _ := netip.AddrFromSlice(n.IP); a.Unmap() == address {
			return n.HardwareAddr.String()
		}
	}
	return "none"
}

// Whoever advertises a DVIPA of IPv6 answers for it, at once and again after the link was gone; nobody
// else does.
func TestAnswer(t *testing.T) {
	t.Parallel()
	stack, neighbour := newHosts(t)
	h := stack.open("ext0")
	defer h.Close()
	stack.do(h.Forward) // the kernel is a proxy only where it forwards
	owner := stack.link("ext0").Attrs().HardwareAddr.String()
	must(t, h.Activate(dvipa6))
	unanswered := func(when string) {
		t.Helper()
		ask(t, neighbour, dvipa6)
		other := netip.MustParseAddr("2001:db8::1")
		ask(t, neighbour, other) // whose answer would come after the other one
		eventually(t, "the stack answers for its own address", func() bool { return station(t, neighbour, other) == owner })
		if got := station(t, neighbour, dvipa6); got != "" {
			t.Errorf("%s: %s answers for %v, want nobody", when, got, dvipa6)
		}
	}
	answered := func(when string) {
		t.Helper()
		ask(t, neighbour, dvipa6)
		eventually(t, when+" the stack answers", func() bool { return station(t, neighbour, dvipa6) == owner })
	}
	unanswered("an address that is active")
	must(t, h.Advertise(netip.PrefixFrom(dvipa6, 64)))
	answered("advertised:")
	must(t, neighbour.nl.LinkSetDown(neighbour.link("ext0")))
	must(t, neighbour.nl.LinkSetUp(neighbour.link("ext0")))
	eventually(t, "the stack is the proxy of the address after its link came back", func() bool {
		proxies, err := retry(func() ([]netlink.Neigh, error) {
			return stack.nl.NeighProxyList(stack.link("ext0").Attrs().Index, unix.AF_INET6)
		})
		must(t, err)
		return len(proxies) == 1
	})
	must(t, h.Withdraw(dvipa6))
	neighbour.address("ext0", "2001:db8::2/64") // which went with the link
	unanswered("an address that was advertised")
}

// ask makes the host look for an address anew.
func ask(t *testing.T, h host, address netip.Addr) {
	t.Helper()
	neigh := netlink.Neigh{LinkIndex: h.link("ext0").Attrs().Index, Family: unix.AF_INET6, IP: address.AsSlice()}
	if err := h.nl.NeighDel(&neigh); err != nil && !errors.Is(err, unix.ENOENT) {
		t.Fatal(err)
	}
	h.do(func() error {
		conn, err := net.Dial("udp", netip.AddrPortFrom(address, 9).String())
		if err != nil {
			return err
		}
		defer conn.Close()
		_, err = conn.Write([]byte("x"))
		return err
	})
}

func eventually(t *testing.T, what string, reached func() bool) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Second); !reached(); {
		if time.Now().After(deadline) {
			t.Fatalf("not within 5s: %s", what)
		}
	}
}

func defaultVia(t *testing.T, h host, family int) string {
	t.Helper()
	routes, err := retry(func() ([]netlink.Route, error) {
		return h.nl.RouteListFiltered(family, &netlink.Route{Dst: nil}, netlink.RT_FILTER_DST)
	})
	must(t, err)
	var gateways []string
	for _, r := range routes {
		gateways = append(gateways, r.Gw.String())
	}
	if len(gateways) == 0 {
		return "none"
	}
	return strings.Join(gateways, " ")
}

func TestWayOut(t *testing.T) {
	t.Parallel()
	stack, _ := newHosts(t)
	h := stack.open()
	for _, step := range []struct{ via, want4, want6 string }{
		{"10.1.0.2", "10.1.0.2", "fe80::5efe:a01:2"},
		{"10.1.0.3", "10.1.0.3", "fe80::5efe:a01:3"},
		{"10.1.0.3", "10.1.0.3", "fe80::5efe:a01:3"},
		{"fd00::2", "none", "fd00::2"},
		{"fd00::3", "none", "fd00::3"},
		{"", "none", "none"},
		{"", "none", "none"},
		{"10.1.0.2", "10.1.0.2", "fe80::5efe:a01:2"},
	} {
		var via netip.Addr
		if step.via != "" {
			via = netip.MustParseAddr(step.via)
		}
		must(t, h.SetWayOut(via))
		if got := defaultVia(t, stack, unix.AF_INET); got != step.want4 {
			t.Errorf("after way out %q the default route of IPv4 is by %s, want %s", step.via, got, step.want4)
		}
		if got := defaultVia(t, stack, unix.AF_INET6); got != step.want6 {
			t.Errorf("after way out %q the default route of IPv6 is by %s, want %s", step.via, got, step.want6)
		}
	}
	if err := h.SetWayOut(netip.MustParseAddr("198.51.100.1")); err == nil {
		t.Error("a way out by an address that XCF does not reach was set")
	}
	if got := defaultVia(t, stack, unix.AF_INET); got != "10.1.0.2" {
		t.Errorf("after a way out that failed the default route is by %s, want the one before", got)
	}
	must(t, h.Close())
	if got := defaultVia(t, stack, unix.AF_INET); got != "none" {
		t.Errorf("after Close the default route is by %s, want none", got)
	}
}

// What somebody else has set stays, and comes first.
func TestWayOutBesideAnother(t *testing.T) {
	t.Parallel()
	stack, _ := newHosts(t)
	h := stack.open("ext0")
	defer h.Close()
	for family, gateway := range map[int]string{unix.AF_INET: "192.0.2.2", unix.AF_INET6: "2001:db8::2"} {
		must(t, stack.nl.RouteAdd(&netlink.Route{Family: family, LinkIndex: stack.link("ext0").Attrs().Index, Gw: net.ParseIP(gateway)}))
		must(t, h.SetWayOut(netip.MustParseAddr("10.1.0.2")))
		if got := strings.Fields(defaultVia(t, stack, family)); len(got) != 2 {
			t.Errorf("default routes by %v, want by %s and the way out", got, gateway)
		}
		must(t, h.SetWayOut(netip.Addr{}))
		if got := defaultVia(t, stack, family); got != gateway {
			t.Errorf("after the way out the default route is by %s, want %s", got, gateway)
		}
	}
}

// There is a route at every moment while one way out takes the place of another.
func TestWayOutIsReplacedAtomically(t *testing.T) {
	t.Parallel()
	stack, _ := newHosts(t)
	h := stack.open()
	defer h.Close()
	ways := []netip.Addr{netip.MustParseAddr("10.1.0.2"), netip.MustParseAddr("10.1.0.3")}
	must(t, h.SetWayOut(ways[0]))
	done := make(chan error, 1)
	go func() {
		for n := range 500 {
			if err := h.SetWayOut(ways[n%2]); err != nil {
				done <- err
				return
			}
		}
		done <- nil
	}()
	for {
		select {
		case err := <-done:
			must(t, err)
			return
		default:
			if _, err := stack.nl.RouteGet(net.IPv4(203, 0, 113, 1)); err != nil {
				t.Fatalf("no way out for a moment: %v", err)
			}
		}
	}
}

func TestOpenNamesWhatIsMissing(t *testing.T) {
	t.Parallel()
	stack, _ := newHosts(t)
	stack.do(func() error {
		for _, c := range []Config{{XCFInterface: "nowhere"}, {XCFInterface: "xcf0", Outside: []string{"nowhere"}}} {
			if _, err := Open(c); err == nil || !strings.Contains(err.Error(), "nowhere") {
				t.Errorf("open %+v: %v, want an error that names the interface", c, err)
			}
		}
		return nil
	})
}
