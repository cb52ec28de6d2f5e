package home

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"testing"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// inUserNamespace marks the copy of the test binary that runs as root of a user namespace.
const inUserNamespace = "HOME_TEST_IN_USERNS"

// TestMain runs the tests of an unprivileged user once more as root of a user namespace.
func TestMain(m *testing.M) {
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

// A host is a network namespace with the interfaces ext0 and xcf0, whose other ends are in the
// namespace of its neighbour.
type host struct {
	t  *testing.T
	ns netns.NsHandle
	nl *netlink.Handle
}

func newNamespace(t *testing.T) host {
	t.Helper()
	h := host{t: t}
	failed := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		var err error
		h.ns, err = netns.New()
		failed <- err
	}()
	if err := <-failed; err != nil {
		t.Skipf("network namespaces need CAP_SYS_ADMIN: %v", err)
	}
	t.Cleanup(func() { h.ns.Close() })
	var err error
	if h.nl, err = netlink.NewHandleAt(h.ns, unix.NETLINK_ROUTE); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.nl.Close)
	return h
}

// newHosts makes a stack's namespace and its neighbour's: ext0 192.0.2.1/24 to .2, xcf0
// 10.1.0.1/24 to .2, and the same in IPv6.
func newHosts(t *testing.T) (stack, neighbour host) {
	t.Helper()
	stack, neighbour = newNamespace(t), newNamespace(t)
	for _, link := range []struct{ name, v4, v6 string }{
		{"ext0", "192.0.2.%d/24", "2001:db8::%d/64"}, {"xcf0", "10.1.0.%d/24", "fd00::%d/64"},
	} {
		attrs := netlink.NewLinkAttrs()
		attrs.Name = link.name
		veth := &netlink.Veth{LinkAttrs: attrs, PeerName: link.name, PeerNamespace: netlink.NsFd(neighbour.ns)}
		if err := stack.nl.LinkAdd(veth); err != nil {
			t.Fatal(err)
		}
		for n, h := range []host{stack, neighbour} {
			h.up(link.name)
			h.address(link.name, fmt.Sprintf(link.v4, n+1))
			h.address(link.name, fmt.Sprintf(link.v6, n+1))
		}
	}
	stack.up("lo")
	for _, h := range []host{stack, neighbour} {
		for _, name := range []string{"ext0", "xcf0"} {
			// The kernel notices the carrier in a worker of its own, and goes no way by a link before.
			eventually(t, name+" has its carrier", func() bool { return h.link(name).Attrs().OperState == netlink.OperUp })
		}
	}
	return stack, neighbour
}

func (h host) link(name string) netlink.Link {
	h.t.Helper()
	link, err := h.nl.LinkByName(name)
	if err != nil {
		h.t.Fatal(err)
	}
	return link
}

func (h host) up(name string) {
	h.t.Helper()
	if err := h.nl.LinkSetUp(h.link(name)); err != nil {
		h.t.Fatal(err)
	}
}

func (h host) address(link, prefix string) {
	h.t.Helper()
	p := netip.MustParsePrefix(prefix)
	mask := net.CIDRMask(p.Bits(), p.Addr().BitLen())
	a := &netlink.Addr{IPNet: &net.IPNet{IP: p.Addr().AsSlice(), Mask: mask}}
	if p.Addr().Is6() {
		a.Flags = unix.IFA_F_NODAD
	}
	if err := h.nl.AddrAdd(h.link(link), a); err != nil {
		h.t.Fatal(err)
	}
}

// do runs fn on a thread in the namespace.
func (h host) do(fn func() error) {
	h.t.Helper()
	failed := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		if err := netns.Set(h.ns); err != nil {
			failed <- err
			return
		}
		failed <- fn()
	}()
	if err := <-failed; err != nil {
		h.t.Fatal(err)
	}
}

// open opens the home list of the stack.
func (h host) open(outside ...string) *Home {
	h.t.Helper()
	var opened *Home
	h.do(func() (err error) {
		opened, err = Open(Config{XCF: netip.MustParseAddr("10.1.0.1"), XCFInterface: "xcf0", Outside: outside})
		return err
	})
	return opened
}
