package xcf

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// TestMain gives the tests the right to make network namespaces: without root, in a user
// namespace of their own.
func TestMain(m *testing.M) {
	if text, ok := os.LookupEnv(processVariable); ok {
		if err := beStack(text); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	if os.Geteuid() == 0 {
		os.Exit(m.Run())
	}
	self := exec.Command("/proc/self/exe", os.Args[1:]...)
	self.Stdin, self.Stdout, self.Stderr = os.Stdin, os.Stdout, os.Stderr
	self.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
	}
	err := self.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		fmt.Fprintf(os.Stderr, "user namespace for the tests: %v; run them as root\n", err)
		os.Exit(1)
	}
	os.Exit(self.ProcessState.ExitCode())
}

// namespace is a network namespace for as long as its thread lives: the goroutine that
// serves calls is locked to the thread and takes it along when it ends.
type namespace struct {
	calls chan func()
	file  *os.File
}

func newNamespace(t testing.TB) *namespace {
	t.Helper()
	n := &namespace{calls: make(chan func())}
	made := make(chan error)
	go func() {
		runtime.LockOSThread()
		err := unix.Unshare(unix.CLONE_NEWNET)
		if err == nil {
			n.file, err = os.Open("/proc/thread-self/ns/net")
		}
		made <- err
		for call := range n.calls {
			call()
		}
	}()
	err := <-made
	t.Cleanup(func() {
		close(n.calls)
		n.file.Close()
	})
	if errors.Is(err, unix.EPERM) {
		t.Skipf("missing privilege: unshare(CLONE_NEWNET), CAP_SYS_ADMIN: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// do runs f inside the namespace.
func (n *namespace) do(f func() error) error {
	done := make(chan error)
	n.calls <- func() { done <- f() }
	return <-done
}

// within runs what opens sockets on another thread inside the namespace, so that a connect
// that waits does not hold up other calls.
func (n *namespace) within(f func() error) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		err := unix.Setns(int(n.file.Fd()), unix.CLONE_NEWNET)
		if err == nil {
			err = f()
		}
		done <- err
	}()
	return <-done
}

// segment is an inter-stack network: a bridge in a namespace of its own, and namespaces with
// one link xcf0 each.
type segment struct {
	hub    *namespace
	stacks []*namespace
	subnet netip.Prefix
}

const (
	ipv4 = "10.1.0.0/24"
	ipv6 = "fd00::/64"
)

func newSegment(t testing.TB, subnet string, stacks int) *segment {
	t.Helper()
	s := &segment{hub: newNamespace(t), subnet: netip.MustParsePrefix(subnet)}
	must(t, s.hub.do(func() error {
		snooping := false
		bridge := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "xcf"}, MulticastSnooping: &snooping}
		return errors.Join(netlink.LinkAdd(bridge), netlink.LinkSetUp(bridge))
	}))
	for i := range stacks {
		n := newNamespace(t)
		s.stacks = append(s.stacks, n)
		must(t, s.hub.do(func() error {
			bridge, err := netlink.LinkByName("xcf")
			if err != nil {
				return err
			}
			port := &netlink.Veth{
				LinkAttrs: netlink.LinkAttrs{Name: portName(i), MasterIndex: bridge.Attrs().Index},
				PeerName:  "xcf0", PeerNamespace: netlink.NsFd(int(n.file.Fd())),
			}
			return errors.Join(netlink.LinkAdd(port), netlink.LinkSetUp(port))
		}))
		must(t, n.do(func() error {
			link, err := netlink.LinkByName("xcf0")
			if err != nil {
				return err
			}
			address := &netlink.Addr{
				IPNet: &net.IPNet{IP: s.address(i).AsSlice(), Mask: net.CIDRMask(s.subnet.Bits(), s.subnet.Addr().BitLen())},
			}
			if s.subnet.Addr().Is6() {
				address.Flags = unix.IFA_F_NODAD
			}
			return errors.Join(netlink.LinkSetUp(link), netlink.AddrAdd(link, address))
		}))
	}
	for i, n := range s.stacks {
		awaitUp(t, s.hub, portName(i))
		awaitUp(t, n, "xcf0")
	}
	return s
}

// awaitUp waits until a link carries packets: the kernel activates its queue some time after
// the other end is up, and drops packets (and with them an ARP request, for a second) before.
func awaitUp(t testing.TB, n *namespace, name string) {
	t.Helper()
	state := netlink.LinkOperState(netlink.OperUnknown)
	eventually(t, "link "+name+" is up", func() bool {
		must(t, n.do(func() error {
			link, err := netlink.LinkByName(name)
			if err == nil {
				state = link.Attrs().OperState
			}
			return err
		}))
		return state == netlink.OperUp
	}, &state)
}

func portName(i int) string { return fmt.Sprintf("port%d", i) }

// address is the XCF address of the i-th stack: .1, .2, ...
func (s *segment) address(i int) netip.Addr {
	a := s.subnet.Addr()
	for range i + 1 {
		a = a.Next()
	}
	return a
}

// cut takes the link of the i-th stack away, or gives it back.
func (s *segment) cut(t testing.TB, i int, cut bool) {
	t.Helper()
	must(t, s.hub.do(func() error {
		port, err := netlink.LinkByName(portName(i))
		if err != nil {
			return err
		}
		if cut {
			return netlink.LinkSetDown(port)
		}
		return netlink.LinkSetUp(port)
	}))
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
