package home

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/plexlab-dev/plexlab/nodes/contract/sysctl"
)

// A setting is a value below /proc/sys/net. A new namespace inherits them from the host, so
// none may be taken for granted.
type setting struct {
	name, value string
	// optional: the kernel may lack it, as those of IPv6.
	optional bool
}

// settings are what DVIPAs need (Documentation/networking/ip-sysctl.rst). Of most the kernel
// takes for an interface the larger of its own value and that of "all", so both are set.
func settings(c Config) []setting {
	// First, for the kernel sets others back with these.
	all := forwarding("0")
	if c.LastPort != 0 {
		first, last := min(c.FirstPort, firstChosen), max(c.LastPort, lastChosen)
		all = append(all, setting{name: "ipv4/ip_local_port_range", value: fmt.Sprintf("%d\t%d", first, last)})
	}
	for _, link := range slices.Concat([]string{"all", c.XCFInterface}, c.Outside) {
		xcf := "0"
		if link == c.XCFInterface {
			xcf = "1"
		}
		for _, s := range []setting{
			// A connection comes in by one stack's link and goes out by another's.
			{name: "rp_filter", value: "0"},
			// A question for a neighbour never names a DVIPA as the one who asks: it would
			// draw the neighbour's packets away from the owner.
			{name: "arp_announce", value: "2"},
			// On XCF nobody answers for a DVIPA. On outside links the owner does, though
			// it stands on lo; the data path drops questions for those of others.
			{name: "arp_ignore", value: xcf},
			// What an inside stack sends from a DVIPA has a source that the stack which
			// forwards it has too, and would be dropped, even with rp_filter off.
			{name: "accept_local", value: xcf},
			// The ways of a connection are as they are on purpose.
			{name: "send_redirects", value: "0"},
			{name: "accept_redirects", value: "0"},
		} {
			s.name = "ipv4/conf/" + link + "/" + s.name
			all = append(all, s)
		}
		all = append(all,
			// Addresses and ways are those that the stack was given.
			setting{"ipv6/conf/" + link + "/accept_ra", "0", true},
			setting{"ipv6/conf/" + link + "/accept_redirects", "0", true},
		)
	}
	for _, link := range append([]string{"all"}, c.Outside...) {
		// Where the links to the outside are down, the way out is another stack's.
		all = append(all,
			setting{name: "ipv4/conf/" + link + "/ignore_routes_with_linkdown", value: "1"},
			setting{"ipv6/conf/" + link + "/ignore_routes_with_linkdown", "1", true},
		)
	}
	for _, link := range append([]string{c.XCFInterface}, c.Outside...) {
		// A question for a neighbour that is lost, as one is while a link comes up, is asked again soon: all that goes
		// there waits for the answer.
		all = append(all,
			setting{name: "ipv4/neigh/" + link + "/retrans_time_ms", value: askAgainMS},
			setting{"ipv6/neigh/" + link + "/retrans_time_ms", askAgainMS, true},
		)
	}
	for _, link := range c.Outside {
		// The kernel answers for an address of IPv6 on lo only as the proxy of it, without letting the
		// neighbour wait.
		all = append(all,
			setting{"ipv6/conf/" + link + "/proxy_ndp", "1", true},
			setting{"ipv6/neigh/" + link + "/proxy_delay", "0", true},
		)
	}
	return all
}

// forwarding is that of all interfaces.
func forwarding(value string) []setting {
	return []setting{
		{name: "ipv4/ip_forward", value: value},
		{name: "ipv6/conf/all/forwarding", value: value, optional: true},
	}
}

// askAgainMS is a tenth of the kernel's default (RETRANS_TIMER, RFC 4861, section 10).
const askAgainMS = "100"

// The kernel's default of ip_local_port_range (net/ipv4/af_inet.c).
const firstChosen, lastChosen = 32768, 60999

// configure makes the settings in the namespace of the calling thread.
func configure(settings []setting) error {
	for _, s := range settings {
		err := sysctl.Set("net/"+s.name, s.value)
		if s.optional && errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return fmt.Errorf("set %s to %s: %w", s.name, s.value, err)
		}
	}
	return nil
}
