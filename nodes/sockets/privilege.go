package sockets

import (
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// privileges answers for the kernel whether a caller may bind a privileged port: the kernel
// sees the broker bind, and would ask for the broker's capabilities.
type privileges struct {
	// start is ip_unprivileged_port_start of the broker's network namespace; IPv6 has no other.
	start sysctl
	user  string // the broker's user namespace
}

func openPrivileges() (*privileges, error) {
	user, err := os.Readlink("/proc/self/ns/user")
	if err != nil {
		return nil, fmt.Errorf("identify user namespace: %w", err)
	}
	start, err := openSysctl("net/ipv4/ip_unprivileged_port_start")
	return &privileges{start: start, user: user}, err
}

func (p *privileges) close() { p.start.close() }

// check returns nil if the thread may bind the port, else EACCES as bind() would
// (inet_port_requires_bind_service). Capabilities count only if the thread lives in the
// broker's user namespace; the kernel would also count those of an ancestor.
func (p *privileges) check(tid int, port uint16) error {
	if port == 0 {
		return nil
	}
	var start int
	if err := p.start.numbers(&start); err != nil {
		return err
	}
	if int(port) >= start {
		return nil
	}
	user, err := os.Readlink("/proc/" + strconv.Itoa(tid) + "/ns/user")
	if err != nil {
		return fmt.Errorf("identify user namespace of thread %d: %w", tid, err)
	}
	who, err := readStatus(tid)
	if err != nil {
		return err
	}
	if user == p.user && who.capabilities&(1<<unix.CAP_NET_BIND_SERVICE) != 0 {
		return nil
	}
	return fmt.Errorf("port %d is privileged (below %d): %w", port, start, unix.EACCES)
}

// currentNetNS is the cookie of the calling thread's network namespace.
func currentNetNS() (uint64, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, fmt.Errorf("open socket: %w", err)
	}
	defer unix.Close(fd)
	cookie, err := unix.GetsockoptUint64(fd, unix.SOL_SOCKET, unix.SO_NETNS_COOKIE)
	if err != nil {
		return 0, fmt.Errorf("identify network namespace (SO_NETNS_COOKIE, Linux 5.14): %w", err)
	}
	return cookie, nil
}
