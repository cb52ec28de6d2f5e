package home

import (
	"fmt"
	"os"
	"path/filepath"
)

// A setting is one file under /proc/sys/net/ipv4, as the namespace of the process sees it
// (Documentation/networking/ip-sysctl.rst). A new namespace inherits the host's settings, so
// nothing is taken for granted.
type setting struct{ path, value string }

// settings are what DVIPAs need of the links:
//
//   - ip_forward at a stack with a link to the outside: it is the way out of inside stacks;
//   - rp_filter=0: a connection comes in at the routing stack's link and goes out at another;
//   - accept_local on XCF: the packets of an inside stack have an address as their source that
//     the stack which forwards them has too;
//   - arp_ignore on XCF: nobody is asked for a DVIPA there; on outside links the data path
//     decides who answers;
//   - arp_announce: a request for a neighbour never names a DVIPA as its sender;
//   - no redirects: both ways of a connection are what they are on purpose.
func (c Config) settings() []setting {
	forward := "0"
	if len(c.Outside) > 0 {
		forward = "1"
	}
	// First: writing it sets other settings back.
	all := []setting{{"ip_forward", forward}}
	link := func(name, ignore, local string) {
		for _, s := range []setting{
			{"rp_filter", "0"}, {"arp_ignore", ignore}, {"arp_announce", "2"}, {"accept_local", local},
			{"send_redirects", "0"}, {"accept_redirects", "0"},
		} {
			all = append(all, setting{filepath.Join("conf", name, s.path), s.value})
		}
	}
	link("all", "0", "0")
	link(c.XCFInterface, "1", "1")
	for _, name := range c.Outside {
		link(name, "0", "0")
	}
	return all
}

func (c Config) setSysctls() error {
	for _, s := range c.settings() {
		if err := os.WriteFile(filepath.Join("/proc/sys/net/ipv4", s.path), []byte(s.value), 0); err != nil {
			return fmt.Errorf("set net.ipv4.%s=%s: %w", s.path, s.value, err)
		}
	}
	return nil
}
