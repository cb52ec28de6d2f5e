package datapath

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"github.com/plexlab-dev/plexlab/nodes/contract"
	"github.com/plexlab-dev/plexlab/nodes/vipa"
)

// inUserNamespace marks the copy of the test binary that runs as root of a user namespace.
const inUserNamespace = "DATAPATH_TEST_IN_USERNS"

// TestMain is also the process of tests that freeze one, and runs the tests of an unprivileged user once more as root of a user namespace.
func TestMain(m *testing.M) {
	if epoch := os.Getenv(renewingProcess); epoch != "" {
		fmt.Fprintln(os.Stderr, "renew leases:", renewForever(epoch))
		os.Exit(1)
	}
	if os.Geteuid() == 0 || os.Getenv(inUserNamespace) != "" {
		os.Exit(m.Run())
	}
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Env = append(os.Environ(), inUserNamespace+"=1")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNET,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
	}
	if err := cmd.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "tests in a user namespace:", err)
		os.Exit(1)
	}
}

// The lab of the tests:
//
//	client .1 ---+-- outside 192.0.2.0/24 --+--- owner .11, target .12, .13 ...
//	                                         xcf 10.1.0.0/24: the same last bytes
//
// and the like for IPv6. Every host but the client holds the DVIPA on lo, and would answer for it.

// A host is a network namespace.
type host struct {
	t  testing.TB
	ns netns.NsHandle
}

// do runs fn on a thread in the namespace; the thread ends with it.
func (h host) do(fn func() error) {
	h.t.Helper()
	if err := h.try(fn); err != nil {
		h.t.Fatal(err)
	}
}

func (h host) try(fn func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends in this namespace
		if err := netns.Set(h.ns); err != nil {
			done <- fmt.Errorf("enter namespace: %w", err)
			return
		}
		done <- fn()
	}()
	return <-done
}

func (h host) links(fn func(*netlink.Handle) error) {
	h.t.Helper()
	handle, err := netlink.NewHandleAt(h.ns, unix.NETLINK_ROUTE)
	if err != nil {
		h.t.Fatal(err)
	}
	defer handle.Close()
	if err := fn(handle); err != nil {
		h.t.Fatal(err)
	}
}

func newHost(t testing.TB) host {
	t.Helper()
	type result struct {
		ns  netns.NsHandle
		err error
	}
	done := make(chan result, 1)
	go func() {
		runtime.LockOSThread()
		ns, err := netns.New()
		done <- result{ns, err}
	}()
	r := <-done
	if r.err != nil {
		t.Skipf("network namespaces need CAP_SYS_ADMIN: %v", r.err)
	}
	t.Cleanup(func() { r.ns.Close() })
	h := host{t, r.ns}
	// Link-local addresses are there at once.
	h.sysctl("net/ipv6/conf/default/dad_transmits", "0")
	h.sysctl("net/ipv6/conf/default/accept_dad", "0")
	h.links(func(nl *netlink.Handle) error {
		lo, err := nl.LinkByName("lo")
		if err != nil {
			return err
		}
		return nl.LinkSetUp(lo)
	})
	return h
}

// A lab is a client, an owner (host 1) and targets (hosts 2 and up).
type lab struct {
	addresses
	t      testing.TB
	hub    host
	client host
	hosts  []host // hosts[0] is the owner
	paths  []*Path
	// ports counts the source ports that connections were given.
	ports atomic.Uint32
}

func newLab(t testing.TB, a addresses, targets int) *lab {
	t.Helper()
	l := &lab{addresses: a, t: t, hub: newHost(t), client: newHost(t)}
	for _, bridge := range []string{"outside", "xcf"} {
		l.hub.links(func(nl *netlink.Handle) error {
			attrs := netlink.NewLinkAttrs()
			attrs.Name = bridge
			snooping := false
			if err := nl.LinkAdd(&netlink.Bridge{LinkAttrs: attrs, MulticastSnooping: &snooping}); err != nil {
				return err
			}
			link, err := nl.LinkByName(bridge)
			if err != nil {
				return err
			}
			return nl.LinkSetUp(link)
		})
	}
	l.attach(l.client, "outside", "ext0", l.remote, 0)
	for n := 1; n <= targets+1; n++ {
		h := newHost(t)
		l.hosts = append(l.hosts, h)
		l.attach(h, "outside", "ext0", l.outside(n), n)
		l.attach(h, "xcf", "xcf0", l.xcf(n), n)
		h.sysctl("net/ipv4/conf/all/rp_filter", "0")
		h.sysctl("net/ipv4/conf/all/arp_announce", "2")
		for _, link := range []string{"ext0", "xcf0"} {
			h.sysctl("net/ipv4/conf/"+link+"/rp_filter", "0")
			h.sysctl("net/ipv4/conf/"+link+"/arp_ignore", "0")
		}
		h.address("lo", netip.PrefixFrom(l.dvipa, l.dvipa.BitLen()))
		if l.dvipa.Is6() {
			h.proxy(l.dvipa)
		}
		if hop := contract.NextHop(l.dvipa, l.xcf(n)); hop != l.xcf(n) {
			h.address("xcf0", prefix(hop))
		}
	}
	return l
}

func (l *lab) owner() host       { return l.hosts[0] }
func (l *lab) target(n int) host { return l.hosts[n-1] }

func (l *lab) attach(h host, bridge, name string, address netip.Addr, n int) {
	l.t.Helper()
	port := fmt.Sprintf("%s%d", bridge[:3], n)
	l.hub.links(func(nl *netlink.Handle) error {
		attrs := netlink.NewLinkAttrs()
		attrs.Name = port
		veth := &netlink.Veth{LinkAttrs: attrs, PeerName: name, PeerNamespace: netlink.NsFd(h.ns)}
		if err := nl.LinkAdd(veth); err != nil {
			return fmt.Errorf("add %s: %w", port, err)
		}
		link, err := nl.LinkByName(port)
		if err != nil {
			return err
		}
		master, err := nl.LinkByName(bridge)
		if err != nil {
			return err
		}
		if err := nl.LinkSetMaster(link, master); err != nil {
			return err
		}
		return nl.LinkSetUp(link)
	})
	h.links(func(nl *netlink.Handle) error {
		link, err := nl.LinkByName(name)
		if err != nil {
			return err
		}
		return nl.LinkSetUp(link)
	})
	h.address(name, prefix(address))
}

func (h host) address(link string, prefix netip.Prefix) {
	h.t.Helper()
	h.links(func(nl *netlink.Handle) error {
		l, err := nl.LinkByName(link)
		if err != nil {
			return err
		}
		ipnet := &net.IPNet{IP: prefix.Addr().AsSlice(), Mask: net.CIDRMask(prefix.Bits(), prefix.Addr().BitLen())}
		address := &netlink.Addr{IPNet: ipnet}
		if prefix.Addr().Is6() {
			address.Flags = unix.IFA_F_NODAD
		}
		return nl.AddrAdd(l, address)
	})
}

// proxy makes the host answer for an address of IPv6 on the outside, as it does by itself for one of
// IPv4 that stands on lo.
func (h host) proxy(address netip.Addr) {
	h.t.Helper()
	h.sysctl("net/ipv6/conf/all/forwarding", "1")
	h.sysctl("net/ipv6/conf/ext0/proxy_ndp", "1")
	h.sysctl("net/ipv6/neigh/ext0/proxy_delay", "0")
	h.links(func(nl *netlink.Handle) error {
		link, err := nl.LinkByName("ext0")
		if err != nil {
			return err
		}
		return nl.NeighSet(&netlink.Neigh{
			LinkIndex: link.Attrs().Index, Family: unix.AF_INET6, Flags: netlink.NTF_PROXY, IP: address.AsSlice(),
		})
	})
}

func (h host) sysctl(name, value string) {
	h.t.Helper()
	h.do(func() error { return os.WriteFile("/proc/sys/"+name, []byte(value), 0) })
}

// nft runs nft in the namespace and returns what it prints.
func (h host) nft(args ...string) string {
	h.t.Helper()
	path, err := exec.LookPath("nft")
	if err != nil {
		h.t.Skip("nft is not installed: make setup")
	}
	var out []byte
	h.do(func() (err error) {
		var failure strings.Builder
		cmd := exec.Command(path, args...)
		cmd.Stderr = &failure
		if out, err = cmd.Output(); err != nil {
			err = fmt.Errorf("nft %v: %w\n%s", args, err, &failure)
		}
		return err
	})
	return string(out)
}

// open opens the data path of the owner, and of the targets, which know the DVIPA but do not
// own it.
func (l *lab) open(c Config) *Path {
	l.t.Helper()
	l.paths = []*Path{l.path(1, c)}
	for n := 2; n <= len(l.hosts); n++ {
		p := l.path(n, Config{})
		if err := p.Apply([]vipa.Action{vipa.Activate{DVIPA: l.dvipa}}); err != nil {
			l.t.Fatal(err)
		}
		l.paths = append(l.paths, p)
	}
	return l.paths[0]
}

// config has what each data path of host n needs.
func (l *lab) config(n int, c Config) Config {
	c.Self, c.XCFInterface, c.Outside = l.xcf(n), "xcf0", []string{"ext0"}
	return c
}

// path opens the data path of host n.
func (l *lab) path(n int, c Config) *Path {
	l.t.Helper()
	c = l.config(n, c)
	var p *Path
	l.target(n).do(func() (err error) {
		p, err = Open(c)
		return err
	})
	l.t.Cleanup(func() {
		if err := p.Close(); err != nil {
			l.t.Error(err)
		}
	})
	return p
}

// eventually waits for a state.
func eventually(t testing.TB, within time.Duration, what string, reached func() bool) {
	t.Helper()
	deadline := time.Now().Add(within)
	for !reached() {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", within, what)
		}
		runtime.Gosched()
	}
}

// station is the link-layer address of the host on the outside.
func (h host) station() string {
	h.t.Helper()
	var mac string
	h.links(func(nl *netlink.Handle) error {
		link, err := nl.LinkByName("ext0")
		if err == nil {
			mac = link.Attrs().HardwareAddr.String()
		}
		return err
	})
	return mac
}

// believe makes the host take a station for that of an address on the outside.
func (h host) believe(address netip.Addr, station string) {
	h.t.Helper()
	h.links(func(nl *netlink.Handle) error {
		link, err := nl.LinkByName("ext0")
		if err != nil {
			return err
		}
		mac, err := net.ParseMAC(station)
		if err != nil {
			return err
		}
		return nl.NeighSet(&netlink.Neigh{
			LinkIndex: link.Attrs().Index, State: netlink.NUD_PERMANENT, IP: address.AsSlice(), HardwareAddr: mac,
		})
	})
}
