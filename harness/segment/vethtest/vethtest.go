// Package vethtest gives tests two network namespaces that a veth pair joins, with packet sockets
// on its ends, as a lab hands them to specs.
package vethtest

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/plexlab-dev/plexlab/harness/netns"
)

// inUserNamespace says to a process that Main started it.
const inUserNamespace = "PLEXLAB_VETHTEST"

// Main is the TestMain of packages that use New. Without root it runs the tests again in a user
// namespace of their own, in which they may do all that New does.
func Main(m *testing.M) {
	if os.Geteuid() == 0 || os.Getenv(inUserNamespace) != "" {
		os.Exit(m.Run())
	}
	command := exec.Command("/proc/self/exe", os.Args[1:]...)
	command.Env = append(os.Environ(), inUserNamespace+"=1")
	command.Stdin, command.Stdout, command.Stderr = os.Stdin, os.Stdout, os.Stderr
	command.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER,
		UidMappings: []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}},
		Pdeathsig:   syscall.SIGKILL,
	}
	err := command.Run()
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		os.Exit(exit.ExitCode())
	case err != nil:
		// No user namespaces on this machine: each test skips and says what it lacks.
		os.Exit(m.Run())
	}
	os.Exit(0)
}

// An End is one end of a veth pair, in a namespace of its own that holds nothing else but lo.
type End struct {
	t         testing.TB
	namespace *netns.Namespace
	index     int
	// MAC is the address of the interface.
	MAC net.HardwareAddr
}

// Interface is the name of the interface in its namespace, at either end.
const Interface = "veth0"

// New makes a pair whose ends are up. It skips the test where the right to is missing, and
// takes everything down when the test ends.
func New(t testing.TB) (near, far *End) {
	t.Helper()
	near, far = newEnd(t), newEnd(t)
	near.Do(func() error {
		// Ends of one index have their carrier noticed up to a second late: the kernel takes them
		// for interfaces of their own, whose changes are not urgent (net/core/link_watch.c).
		const otherThanFar = 100
		return netlink.LinkAdd(&netlink.Veth{
			LinkAttrs: netlink.LinkAttrs{Name: Interface, Index: otherThanFar}, PeerName: Interface,
			PeerNamespace: netlink.NsFd(far.namespace.FD()),
		})
	})
	near.up(Interface)
	far.up(Interface)
	near.awaitCarrier()
	far.awaitCarrier()
	return near, far
}

// awaitCarrier waits until the kernel has noticed that the other end is up: what is sent before
// that is dropped.
func (e *End) awaitCarrier() {
	e.t.Helper()
	updates, done := make(chan netlink.LinkUpdate), make(chan struct{})
	e.Do(func() error {
		return netlink.LinkSubscribeWithOptions(updates, done, netlink.LinkSubscribeOptions{ListExisting: true})
	})
	defer func() {
		close(done)
		for range updates { // ends when the subscription has
		}
	}()
	const maximum = 10 * time.Second
	deadline := time.After(maximum)
	for {
		select {
		case update := <-updates:
			if a := update.Attrs(); a.Index == e.index && a.OperState == netlink.OperUp {
				return
			}
		case <-deadline:
			e.t.Fatalf("%s has no carrier after %s", Interface, maximum)
		}
	}
}

func newEnd(t testing.TB) *End {
	t.Helper()
	namespace, err := netns.New()
	if errors.Is(err, unix.EPERM) {
		t.Skip("creating a network namespace takes CAP_SYS_ADMIN, or user namespaces for everyone")
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { namespace.Close() })
	e := &End{t: t, namespace: namespace}
	e.up("lo")
	return e
}

func (e *End) up(name string) {
	e.t.Helper()
	e.Do(func() error {
		link, err := netlink.LinkByName(name)
		if err != nil {
			return err
		}
		e.index, e.MAC = link.Attrs().Index, link.Attrs().HardwareAddr
		return netlink.LinkSetUp(link)
	})
}

// Do runs function in the namespace and ends the test if it fails.
func (e *End) Do(function func() error) {
	e.t.Helper()
	if err := e.namespace.Do(function); err != nil {
		e.t.Fatal(err)
	}
}

// AddAddress gives the interface an address.
func (e *End) AddAddress(prefix netip.Prefix) {
	e.t.Helper()
	e.Do(func() error {
		address := &netlink.Addr{IPNet: &net.IPNet{
			IP: prefix.Addr().AsSlice(), Mask: net.CIDRMask(prefix.Bits(), prefix.Addr().BitLen()),
		}}
		if prefix.Addr().Is6() {
			address.Flags = unix.IFA_F_NODAD
		}
		return netlink.AddrAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: Interface, Index: e.index}}, address)
	})
}

// PacketSocket opens an AF_PACKET socket bound to the interface. The caller closes it.
func (e *End) PacketSocket() *os.File {
	e.t.Helper()
	const everything = unix.ETH_P_ALL<<8&0xff00 | unix.ETH_P_ALL>>8 // in network order
	return e.socket(unix.AF_PACKET, unix.SOCK_RAW, 0, &unix.SockaddrLinklayer{Protocol: everything, Ifindex: e.index})
}

// RawSocket opens an IPv4 socket of IPPROTO_RAW. The caller closes it.
func (e *End) RawSocket() *os.File {
	e.t.Helper()
	return e.socket(unix.AF_INET, unix.SOCK_RAW, unix.IPPROTO_RAW, nil)
}

func (e *End) socket(family, kind, protocol int, to unix.Sockaddr) *os.File {
	e.t.Helper()
	var file *os.File
	e.Do(func() error {
		fd, err := unix.Socket(family, kind|unix.SOCK_CLOEXEC, protocol)
		if err != nil {
			return err
		}
		file = os.NewFile(uintptr(fd), Interface)
		if to == nil {
			return nil
		}
		return unix.Bind(fd, to)
	})
	return file
}

// Listen opens a TCP listener in the namespace, closed when the test ends.
func (e *End) Listen(at netip.AddrPort) net.Listener {
	e.t.Helper()
	var listener net.Listener
	e.Do(func() (err error) {
		listener, err = net.Listen("tcp", at.String())
		return err
	})
	e.t.Cleanup(func() { listener.Close() })
	return listener
}
