package machine

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// trials are the features tried inside the namespaces, in the order in which a laboratory
// comes to need them.
var trials = []struct {
	name, use, remedy string
	try               func() error
}{
	{"tmpfs", "the files of a laboratory", "allow mounts in user namespaces", tmpfs},
	{"veth", "links", "load it as root: modprobe veth (CONFIG_VETH)", veth},
	{"bridge", "networks", "load it as root: modprobe bridge (CONFIG_BRIDGE)", bridge},
	{"the program nft", "reading the data path", "apt-get install nftables", nft},
	{"nftables netdev ingress with fwd", "the data path of the reference stack",
		"a kernel with CONFIG_NF_TABLES_NETDEV and CONFIG_NFT_FWD_NETDEV, as Debian's", netdevForward},
	{"nftables of bridges", "cutting networks", "a kernel with CONFIG_NF_TABLES_BRIDGE, as Debian's", bridgeTable},
	{"seccomp user notification, WAIT_KILLABLE_RECV", "the launcher of applications", "Linux 5.19 or newer", seccompNotification},
	{"pidfd_getfd", "the launcher of applications", "Linux 5.6 or newer", pidfdGetfd},
	{"sock_diag group of destroyed TCP sockets", "seeing that sockets close", "a kernel with CONFIG_INET_DIAG", destroyedSockets},
}

// Inside tries the features in the namespaces that it runs in, and writes them to w as JSON.
// It changes those namespaces.
func Inside(w io.Writer) error {
	var features []Feature
	for _, trial := range trials {
		feature := Feature{Name: trial.name, Use: trial.use}
		err := trial.try()
		if errors.Is(err, errNotTried) {
			continue
		}
		if err != nil {
			feature.Missing, feature.Remedy = err.Error(), trial.remedy
		}
		features = append(features, feature)
	}
	return json.NewEncoder(w).Encode(features)
}

func tmpfs() error {
	// Nothing that is mounted here shows outside.
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	if err := unix.Mount("plexlab", os.TempDir(), "tmpfs", 0, ""); err != nil {
		return fmt.Errorf("mount tmpfs: %w", err)
	}
	return nil
}

func veth() error {
	link := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "try0"}, PeerName: "try1"}
	if err := netlink.LinkAdd(link); err != nil {
		return fmt.Errorf("create veth: %w", err)
	}
	return nil
}

func bridge() error {
	if err := netlink.LinkAdd(&netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "trybr"}}); err != nil {
		return fmt.Errorf("create bridge: %w", err)
	}
	return nil
}

func nft() error {
	_, err := exec.LookPath("nft")
	return err
}

func netdevForward() error {
	return load(`table netdev try {
	chain in { type filter hook ingress device "lo" priority 0; ip daddr 192.0.2.1 fwd ip to 192.0.2.2 device "lo"; }
}`)
}

func bridgeTable() error {
	return load(`table bridge try {
	chain forward { type filter hook forward priority 0; }
}`)
}

// errNotTried: without the program nft, which is a feature of its own, there is no telling.
var errNotTried = errors.New("not tried")

// load has the kernel take a ruleset.
func load(ruleset string) error {
	program, err := exec.LookPath("nft")
	if err != nil {
		return errNotTried
	}
	nft := exec.Command(program, "-f", "-")
	nft.Stdin = strings.NewReader(ruleset)
	output, err := nft.CombinedOutput()
	if err == nil {
		return nil
	}
	first, _, _ := strings.Cut(strings.TrimSpace(string(output)), "\n")
	return fmt.Errorf("nft: %w: %s", err, first)
}

// seccompNotification asks for a listener with no filter at all: a kernel that knows the flags
// complains of the filter's address (EFAULT), another one of the flags (EINVAL).
func seccompNotification() error {
	flags := uintptr(unix.SECCOMP_FILTER_FLAG_NEW_LISTENER | unix.SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV)
	_, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, flags, 0)
	if errno != unix.EFAULT {
		return fmt.Errorf("seccomp: %w", errno)
	}
	return nil
}

func pidfdGetfd() error {
	if _, err := unix.PidfdGetfd(-1, 0, 0); !errors.Is(err, unix.EBADF) {
		return fmt.Errorf("pidfd_getfd: %w", err)
	}
	return nil
}

// destroyGroup is SKNLGRP_INET_TCP_DESTROY of linux/sock_diag.h.
const destroyGroup = 1

func destroyedSockets() error {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_SOCK_DIAG)
	if err != nil {
		return fmt.Errorf("socket of sock_diag: %w", err)
	}
	defer unix.Close(fd)
	if err := unix.SetsockoptInt(fd, unix.SOL_NETLINK, unix.NETLINK_ADD_MEMBERSHIP, destroyGroup); err != nil {
		return fmt.Errorf("join the group: %w", err)
	}
	return nil
}
