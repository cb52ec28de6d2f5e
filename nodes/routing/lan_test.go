package routing

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// A machine is a network namespace with the link ext0 to the LAN.
type machine struct {
	t    *testing.T
	ns   netns.NsHandle
	nl   *netlink.Handle
	host int // 192.0.2.HOST/24 and 2001:db8::HOST/64
}

func newNamespace(t *testing.T) (netns.NsHandle, *netlink.Handle) {
	t.Helper()
	var ns netns.NsHandle
	failed := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		var err error
		if ns, err = netns.New(); err == nil {
			err = prepare()
		}
		failed <- err
	}()
	if err := <-failed; err != nil {
		t.Skipf("network namespaces need CAP_SYS_ADMIN: %v", err)
	}
	t.Cleanup(func() { ns.Close() })
	nl, err := netlink.NewHandleAt(ns, unix.NETLINK_ROUTE)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nl.Close)
	return ns, nl
}

// prepare makes the settings of a lab's node in the namespace of the thread.
func prepare() error {
	for name, value := range map[string]string{
		"ipv4/ip_forward": "1", "ipv6/conf/all/forwarding": "1",
		"ipv6/conf/all/accept_dad": "0", "ipv6/conf/default/accept_dad": "0",
	} {
		if err := os.WriteFile("/proc/sys/net/"+name, []byte(value), 0); err != nil {
			return err
		}
	}
	return nil
}

// newLAN makes machines on one bridge: 192.0.2.1, .2 and so on.
func newLAN(t *testing.T, machines int) []machine {
	t.Helper()
	_, hub := newNamespace(t)
	attrs := netlink.NewLinkAttrs()
	attrs.Name = "lan"
	bridge := &netlink.Bridge{LinkAttrs: attrs, MulticastSnooping: new(bool)}
	check(t, hub.LinkAdd(bridge))
	check(t, hub.LinkSetUp(bridge))
	var all []machine
	for n := 1; n <= machines; n++ {
		m := machine{t: t, host: n}
		m.ns, m.nl = newNamespace(t)
		attrs := netlink.NewLinkAttrs()
		attrs.Name, attrs.MasterIndex, attrs.Flags = fmt.Sprint("port", n), bridge.Index, net.FlagUp
		check(t, hub.LinkAdd(&netlink.Veth{LinkAttrs: attrs, PeerName: "ext0", PeerNamespace: netlink.NsFd(m.ns)}))
		m.up("lo")
		m.address(fmt.Sprintf("192.0.2.%d/24", n))
		m.address(fmt.Sprintf("2001:db8::%d/64", n))
		m.up("ext0")
		all = append(all, m)
	}
	return all
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (m machine) link(name string) netlink.Link {
	m.t.Helper()
	link, err := m.nl.LinkByName(name)
	check(m.t, err)
	return link
}

func (m machine) up(name string) {
	m.t.Helper()
	check(m.t, m.nl.LinkSetUp(m.link(name)))
}

func (m machine) address(prefix string) {
	m.t.Helper()
	a, err := netlink.ParseAddr(prefix)
	check(m.t, err)
	a.Flags = unix.IFA_F_NODAD
	check(m.t, m.nl.AddrAdd(m.link("ext0"), a))
}

// do runs fn on a thread in the namespace.
func (m machine) do(fn func() error) error {
	failed := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		if err := netns.Set(m.ns); err != nil {
			failed <- err
			return
		}
		failed <- fn()
	}()
	return <-failed
}

func routerID(host int) netip.Addr { return netip.AddrFrom4([4]byte{192, 0, 2, byte(host)}) }

func quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

// runDir is short enough for a socket, whatever the test is called.
func runDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "routing")
	check(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	return filepath.Join(dir, "run")
}

// config is that of a Daemon on the machine, whose log is the test's.
func (m machine) config(p Protocol) Config {
	m.t.Helper()
	return Config{
		Protocol: p, Interfaces: []string{"ext0"}, RouterID: routerID(m.host), Dir: runDir(m.t),
		Log: slog.New(slog.NewTextHandler(testLog{m.t, fmt.Sprintf("stack %d", m.host)}, nil)),
	}
}

func (m machine) open(p Protocol) *Daemon {
	m.t.Helper()
	requireBIRD(m.t)
	var d *Daemon
	check(m.t, m.do(func() (err error) {
		d, err = Open(m.config(p))
		return err
	}))
	m.t.Cleanup(func() {
		if err := d.Close(); err != nil {
			m.t.Error(err)
		}
	})
	return d
}

func requireBIRD(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("bird"); err != nil {
		t.Skip("bird is not installed: make setup")
	}
}

// testLog writes to the log of a test.
type testLog struct {
	t    *testing.T
	from string
}

func (l testLog) Write(text []byte) (int, error) {
	l.t.Logf("%s: %s", l.from, bytes.TrimSpace(text))
	return len(text), nil
}

// routerConfig is a router as somebody else would set it up.
var routerConfig = map[Protocol]string{
	OSPF: `
protocol ospf v2 { ipv4 { import all; }; area 0 { interface "ext0" { hello 1; dead 3; wait 2; retransmit 2; bfd yes; }; }; }
protocol ospf v3 { ipv6 { import all; }; area 0 { interface "ext0" { hello 1; dead 3; wait 2; retransmit 2; bfd yes; }; }; }
`,
	RIP: `
protocol direct { ipv4; ipv6; }
protocol rip { ipv4 { import all; export where source ~ [RTS_DEVICE, RTS_RIP]; }; interface "ext0" { update time 1; timeout time 3; garbage time 3; bfd yes; }; }
protocol rip ng { ipv6 { import all; export where source ~ [RTS_DEVICE, RTS_RIP]; }; interface "ext0" { update time 1; timeout time 3; garbage time 3; bfd yes; }; }
`,
}

// route starts the BIRD of a router, and returns its control socket.
func (m machine) route(p Protocol) (control string) {
	m.t.Helper()
	requireBIRD(m.t)
	dir := runDir(m.t)
	check(m.t, os.Mkdir(dir, 0o755))
	text := fmt.Sprintf("log stderr all; router id %s; protocol device { }\n", routerID(m.host)) +
		"protocol bfd { interface \"ext0\" { interval 200 ms; multiplier 5; }; }\n" +
		"protocol kernel { ipv4 { import none; export all; }; } protocol kernel { ipv6 { import none; export all; }; }\n" +
		routerConfig[p]
	file := filepath.Join(dir, configName)
	check(m.t, os.WriteFile(file, []byte(text), 0o644))
	control = filepath.Join(dir, controlName)
	bird := exec.Command("bird", "-f", "-c", file, "-s", control)
	bird.Stdout, bird.Stderr = testLog{m.t, "router"}, testLog{m.t, "router"}
	check(m.t, m.do(bird.Start))
	m.t.Cleanup(func() { _ = bird.Process.Kill(); _ = bird.Wait() })
	eventually(m.t, 5*time.Second, "router answers", func() error {
		_, err := ask(control, "show status", time.Second)
		return err
	})
	return control
}

// way is the gateway of the machine's route to exactly this prefix; an error if there is none.
func (m machine) way(prefix netip.Prefix) (netip.Addr, error) {
	family := netlink.FAMILY_V6
	if prefix.Addr().Is4() {
		family = netlink.FAMILY_V4
	}
	mask := net.CIDRMask(prefix.Bits(), prefix.Addr().BitLen())
	filter := &netlink.Route{Dst: &net.IPNet{IP: prefix.Addr().AsSlice(), Mask: mask}}
	routes, err := m.nl.RouteListFiltered(family, filter, netlink.RT_FILTER_DST)
	if err != nil || len(routes) == 0 {
		return netip.Addr{}, errors.Join(err, fmt.Errorf("no route to %s", prefix))
	}
	via, _ := netip.AddrFromSlice(routes[0].Gw)
	return via.Unmap(), nil
}

// linkLocal is the machine's link-local address, by which routers name one another in IPv6.
func (m machine) linkLocal() netip.Addr {
	m.t.Helper()
	var found netip.Addr
	eventually(m.t, 5*time.Second, "link-local address", func() error {
		addresses, err := m.nl.AddrList(m.link("ext0"), netlink.FAMILY_V6)
		for _, a := range addresses {
			if a.IP.IsLinkLocalUnicast() {
				found, _ = netip.AddrFromSlice(a.IP)
				return nil
			}
		}
		return errors.Join(err, errors.New("there is none"))
	})
	return found
}

// awaitWays waits until the machine's routes to all prefixes go to another machine, or, where that is nil,
// until there are none, and returns how long that took.
func (m machine) awaitWays(to *machine, limit time.Duration, prefixes ...netip.Prefix) time.Duration {
	m.t.Helper()
	begin := time.Now()
	for _, p := range prefixes {
		eventually(m.t, limit, fmt.Sprintf("route to %s", p), func() error {
			via, err := m.way(p)
			switch {
			case to == nil && err == nil:
				return fmt.Errorf("there is one, by %s", via)
			case to == nil:
				return nil
			case err != nil:
				return err
			case p.Addr().Is4() && via != routerID(to.host), p.Addr().Is6() && via != to.linkLocal():
				return fmt.Errorf("it goes by %s, want machine %d", via, to.host)
			}
			return nil
		})
	}
	return time.Since(begin).Round(time.Millisecond)
}

// eventually asks until there is no error.
func eventually(t *testing.T, limit time.Duration, what string, ask func() error) {
	t.Helper()
	deadline := time.Now().Add(limit)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for {
		err := ask()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: not after %s: %v", what, limit, err)
		}
		<-tick.C
	}
}

// a record keeps a log for looking through it.
type record struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (r *record) Write(text []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.text.Write(text)
}

func (r *record) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.text.String()
}
