package fabric

import (
	"errors"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/plexlab-dev/plexlab/nodes/contract/sysctl"
	"github.com/plexlab-dev/plexlab/topo"
)

// setting is one kernel setting of the namespace that the thread is in.
type setting struct {
	key      string // path below /proc/sys
	value    string
	optional bool // the kernel may lack it
}

// connectionBuckets sizes the hash table of TCP connections that each node has of its own. Asking
// sock_diag for a node's connections walks all buckets: the host's table, which namespaces share
// by default, has 262144 on a machine of 24 GiB and takes milliseconds each time. This one takes 0.05 ms.
const connectionBuckets = 4096

// hubSettings keep the hub itself silent, and say what the nodes made in it start from.
func hubSettings() []setting {
	return []setting{
		{"net/ipv4/tcp_child_ehash_entries", strconv.Itoa(connectionBuckets), true}, // from Linux 6.1
		// Of what is made from now on. That of "all" takes the lock of all network configuration (sysctl.Set).
		{"net/ipv6/conf/default/disable_ipv6", "1", true},
		// There only where br_netfilter is loaded: bridged packets are no business of the hub's IP rules.
		{"net/bridge/bridge-nf-call-iptables", "0", true},
		{"net/bridge/bridge-nf-call-ip6tables", "0", true},
		{"net/bridge/bridge-nf-call-arptables", "0", true},
	}
}

// nodeSettings are where every node starts from. A new namespace takes over much of the
// host's IPv4 settings (net.core.devconf_inherit_init_net), and those differ from machine to
// machine. What concerns DVIPAs is set by the implementation, on top of this.
func nodeSettings(plan topo.PlanNode) []setting {
	forward := "0"
	if plan.Kind == topo.KindRouter {
		forward = "1"
	}
	// ip_forward comes first, since it sets other settings back.
	settings := []setting{{"net/ipv4/ip_forward", forward, false}}
	for _, scope := range []string{"all", "default"} {
		for _, key := range []string{
			"rp_filter", "arp_ignore", "arp_announce", "arp_filter", "accept_local", "route_localnet",
			"accept_redirects", "send_redirects", "secure_redirects", "accept_source_route", "proxy_arp",
		} {
			settings = append(settings, setting{"net/ipv4/conf/" + scope + "/" + key, "0", false})
		}
		six := "net/ipv6/conf/" + scope + "/"
		optional := !usesIPv6(plan)
		settings = append(settings,
			setting{six + "disable_ipv6", "0", optional},
			setting{six + "forwarding", forward, optional},
			setting{six + "accept_ra", "0", optional},
			setting{six + "autoconf", "0", optional},
			setting{six + "accept_redirects", "0", optional},
			// Addresses are there at once and stay when a link goes.
			setting{six + "accept_dad", "0", optional},
			setting{six + "dad_transmits", "0", optional},
			setting{six + "keep_addr_on_down", "1", optional},
		)
	}
	return settings
}

// usesIPv6 reports whether a node has an IPv6 address.
func usesIPv6(plan topo.PlanNode) bool {
	for _, link := range plan.Links {
		for _, prefix := range link.Addresses {
			if prefix.Addr().Is6() {
				return true
			}
		}
	}
	return false
}

// setAll applies settings in their order to the namespace of the calling thread.
func setAll(settings []setting) error {
	for _, s := range settings {
		err := sysctl.Set(s.key, s.value)
		switch {
		case err == nil, s.optional && errors.Is(err, os.ErrNotExist):
		case errors.Is(err, os.ErrNotExist):
			return fmt.Errorf("the kernel has no setting %s: %w", s.key, err)
		case errors.Is(err, unix.EROFS), errors.Is(err, unix.EACCES):
			return fmt.Errorf("set %s=%s (/proc/sys is read-only here, as in an unprivileged container): %w", s.key, s.value, err)
		default:
			return fmt.Errorf("set %s=%s: %w", s.key, s.value, err)
		}
	}
	return nil
}
