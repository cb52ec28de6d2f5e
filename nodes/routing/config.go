package routing

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"log/slog"
	"net"
	"net/netip"
	"path/filepath"
	"time"
)

// Files of BIRD in Config.Dir.
const (
	configName  = "bird.conf"
	controlName = "bird.ctl"
)

// Config is what a Daemon does not change while it is open.
type Config struct {
	Protocol Protocol
	// Interfaces are those on which the protocol is spoken, at least one. Each is looked at once: a
	// family of addresses that none of them has is left alone.
	Interfaces []string
	// RouterID names the stack among routers, as an IPv4 address; see RouterID.
	RouterID netip.Addr
	// Dir is the run directory, of this Daemon alone. It is made, with its parent being there, and
	// removed by Close. Its path has 90 bytes at most, for the control socket in it. That is for
	// people too: birdc -s DIR/bird.ctl show protocols.
	Dir string
	// Hello is the time between two hellos of OSPF or two updates of RIP, whole seconds; 0 means 1 s.
	// Changes are told at once, whatever it is. All neighbours have the same in OSPF.
	Hello time.Duration
	// Dead is the silence after which a neighbour (OSPF) or what it told (RIP) is lost, whole
	// seconds, 2 s at least; 0 means three times Hello. All neighbours have the same in OSPF.
	Dead time.Duration
	// BFD is the time between two packets of bidirectional forwarding detection (RFC 5880), whole
	// milliseconds; 0 means 200 ms. After five that are missing the neighbour is lost, without waiting for Dead.
	BFD time.Duration
	// Program is BIRD; "" looks for bird in PATH.
	Program string
	// Changed, where not nil, is told when the Adjacency becomes another one; before Open returns if it is not Adjacent
	// by then. It does not wait for the Daemon.
	Changed func(Adjacency)
	// Log gets what BIRD says, and what becomes of it.
	Log *slog.Logger
}

// RouterID makes a router ID of an address of the stack: an IPv4 address is its own, of an IPv6
// address it is a hash.
func RouterID(address netip.Addr) netip.Addr {
	if address.Is4() {
		return address
	}
	h := fnv.New32a()
	h.Write(address.AsSlice())
	return netip.AddrFrom4([4]byte(binary.BigEndian.AppendUint32(nil, h.Sum32())))
}

// check fills in the defaults and says what is wrong.
func (c Config) check() (Config, error) {
	c.Hello = cmp.Or(c.Hello, time.Second)
	c.Dead = cmp.Or(c.Dead, 3*c.Hello)
	c.BFD = cmp.Or(c.BFD, 200*time.Millisecond)
	c.Program = cmp.Or(c.Program, "bird")
	switch {
	case c.Protocol != OSPF && c.Protocol != RIP:
		return c, fmt.Errorf("routing protocol %q: expected %s or %s", c.Protocol, OSPF, RIP)
	case len(c.Interfaces) == 0:
		return c, errors.New("no interface to speak a routing protocol on")
	case !c.RouterID.Is4() || c.RouterID.IsUnspecified():
		return c, fmt.Errorf("router ID %v: expected the form of an IPv4 address, not 0.0.0.0", c.RouterID)
	case c.Hello < time.Second || c.Hello%time.Second != 0 || c.Hello > 65535*time.Second:
		return c, fmt.Errorf("hello interval %v: expected whole seconds, 1 to 65535", c.Hello)
	case c.Dead < 2*time.Second || c.Dead%time.Second != 0 || c.Dead <= c.Hello:
		return c, fmt.Errorf("dead interval %v: expected whole seconds, 2 at least and more than the hello interval %v", c.Dead, c.Hello)
	case c.BFD < time.Millisecond || c.BFD%time.Millisecond != 0:
		return c, fmt.Errorf("BFD interval %v: expected whole milliseconds, 1 at least", c.BFD)
	case len(c.Dir) > 90:
		return c, fmt.Errorf("run directory %s: its path has %d bytes, expected 90 at most", c.Dir, len(c.Dir))
	}
	return c, nil
}

func (c Config) configPath() string  { return filepath.Join(c.Dir, configName) }
func (c Config) controlPath() string { return filepath.Join(c.Dir, controlName) }

// families says of which families the interfaces have addresses, link-local ones aside.
func families(interfaces []string) (v4, v6 bool, err error) {
	for _, name := range interfaces {
		link, err := net.InterfaceByName(name)
		if err != nil {
			return false, false, fmt.Errorf("find outside interface %q: %w", name, err)
		}
		addresses, err := link.Addrs()
		if err != nil {
			return false, false, fmt.Errorf("list addresses of %s: %w", name, err)
		}
		for _, a := range addresses {
			if network, ok := a.(*net.IPNet); ok && !network.IP.IsLinkLocalUnicast() {
				is4 := network.IP.To4() != nil
				v4, v6 = v4 || is4, v6 || !is4
			}
		}
	}
	return v4, v6, nil
}
