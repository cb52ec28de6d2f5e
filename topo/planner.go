package topo

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"github.com/plexlab-dev/plexlab/nodes/profile"
)

const (
	// maxStacks is how many stacks a plex has at most.
	maxStacks = 128
	// maxNetworks bounds the networks of a lab.
	maxNetworks = 128
)

// Plan decides everything that a lab needs. The same topology gives the same plan. The error, if
// any, is Errors: all that is wrong; there is no plan then. A topology from Load or Parse has none.
func (t *Topology) Plan() (Plan, error) {
	p := t.read()
	if err := p.errs.Err(); err != nil {
		return Plan{}, err
	}
	p.setRoutes()
	return p.plan, nil
}

// Unsupported refuses what the profiles ask for and the implementation of their stack, by what acts
// says of it, does not act upon: nil, or Errors that are errors.ErrUnsupported, at the places where
// the topology or a profile file asks. The topology is one that has a plan.
func (t *Topology) Unsupported(acts func(stack string) profile.Features) error {
	p := t.read()
	for _, own := range p.profiles {
		var refused Errors
		if errors.As(own.profile.Unsupported(acts(own.stack)), &refused) {
			for _, e := range refused {
				p.failProfile(own, e.Pos, e.Message)
				p.errs[len(p.errs)-1].Err = e.Err
			}
		}
	}
	return p.errs.Err()
}

// read goes through the topology: what it says, and what is wrong with it.
func (t *Topology) read() *planner {
	p := &planner{
		topology: t, symbols: profile.Symbols{}, networks: map[string]PlanNetwork{}, nodes: map[string]int{},
		held: map[netip.Addr]string{},
	}
	p.name()
	p.readSymbols()
	p.plan.Symbols = p.symbols
	p.readNetworks()
	p.readRouters()
	p.readStacks()
	p.readHosts()
	p.readAdvertising()
	p.checkProfiles()
	p.readApplications()
	p.readTimers()
	p.readClusterPorts()
	p.readSelection()
	p.readFaults()
	return p
}

// A planner checks a topology and makes its plan in one pass.
type planner struct {
	topology *Topology
	plan     Plan
	errs     Errors
	symbols  profile.Symbols
	networks map[string]PlanNetwork // by name, the right ones
	xcf      string                 // name of the XCF network
	nodes    map[string]int         // index in the plan by folded name
	held     map[netip.Addr]string  // who has an address
	profiles []stackProfile
}

// fail reports an error of the value at a path.
func (p *planner) fail(at path, format string, args ...any) {
	p.errs.Add(p.place(at), format, args...)
}

// failKey reports an error of the key at a path.
func (p *planner) failKey(at path, format string, args ...any) {
	where := p.place(at)
	if p.topology.source != nil {
		where = p.topology.source.keys[at]
	}
	p.errs.Add(where, format, args...)
}

// place is where a value stands; in a topology without file, its path.
func (p *planner) place(at path) Position {
	if p.topology.source == nil {
		return Position{File: "topology " + string(at)}
	}
	return p.topology.source.place(at)
}

func (p *planner) name() {
	if err := profile.CheckApplication(p.topology.Plex); err != nil {
		p.fail("/plex", "found %.40q, expected the name of a plex: %s", p.topology.Plex, nameRule)
	}
	p.plan.Name = strings.ToUpper(p.topology.Plex)
}

// nameRule says what the name of a plex, a node or an application is.
const nameRule = "1 to 8 letters, digits, @, # or $, no digit first, and no keyword of a profile"

func (p *planner) readSymbols() {
	folded := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(p.topology.Symbols)) {
		at := path("/symbols").at(name)
		if err := profile.CheckSymbol(name); err != nil {
			p.failKey(at, "%v", err)
			continue
		}
		if before, twice := folded[strings.ToUpper(name)]; twice {
			p.failKey(at, "found the symbol %s beside %s, expected names that differ in more than case", name, before)
			continue
		}
		folded[strings.ToUpper(name)] = name
		text := p.topology.Symbols[name]
		a, err := netip.ParseAddr(text)
		if err != nil || a.Zone() != "" || a.Is4In6() {
			p.fail(at, "found %.40q, expected an address such as 192.168.44.10 or 2001:db8::10", text)
			continue
		}
		p.symbols[strings.ToUpper(name)] = a
	}
}

func (p *planner) readNetworks() {
	p.atMost("/networks", len(p.topology.Networks), maxNetworks)
	for i, n := range p.topology.Networks {
		at := path("/networks").at(i)
		if !isNetworkName(n.Name) {
			p.fail(at.at("name"), "found %.40q, expected the name of a network: 1 to 12 lower-case letters, digits or -, a letter first", n.Name)
		}
		if _, twice := p.networks[n.Name]; twice {
			p.fail(at.at("name"), "found a second network %s, expected each name once", n.Name)
			continue
		}
		planned := PlanNetwork{Name: n.Name, Bridge: "br-" + n.Name, XCF: n.XCF, MTU: cmp.Or(n.MTU, 1500)}
		planned.Subnet = p.subnet(at.at("subnet"), n.Subnet)
		if smallest := smallestMTU(planned.Subnet); planned.MTU < smallest || planned.MTU > 65535 {
			p.fail(at.at("mtu"), "found %d, expected %d to 65535 bytes", n.MTU, smallest)
		}
		if n.XCF && p.xcf != "" {
			p.fail(at.at("xcf"), "found a second XCF network, expected one: %s is it already", p.xcf)
			planned.XCF = false
		} else if n.XCF {
			p.xcf = n.Name
		}
		p.networks[n.Name] = planned
		p.plan.Networks = append(p.plan.Networks, planned)
	}
	if p.xcf == "" {
		p.fail("/networks", "found no network with xcf: true, expected one")
	}
}

// smallestMTU is what a host must be able to receive: RFC 791 and RFC 8200.
func smallestMTU(subnet netip.Prefix) int {
	if subnet.Addr().Is6() {
		return 1280
	}
	return 576
}

func isNetworkName(s string) bool {
	for i, r := range s {
		if letter := r >= 'a' && r <= 'z'; !letter && (i == 0 || r != '-' && (r < '0' || r > '9')) {
			return false
		}
	}
	return len(s) >= 1 && len(s) <= 12
}

// subnet reads the subnet of a network, the zero Prefix if it is wrong.
func (p *planner) subnet(at path, text string) netip.Prefix {
	subnet, err := netip.ParsePrefix(text)
	if err != nil || subnet.Addr().Is4In6() || subnet.Addr().IsMulticast() || subnet.Addr().IsLoopback() {
		p.fail(at, "found %.60q, expected a subnet such as 192.168.44.0/24 or 2001:db8:44::/64", text)
		return netip.Prefix{}
	}
	if bits := subnet.Addr().BitLen(); subnet.Bits() < 8 || subnet.Bits() > bits-2 {
		p.fail(at, "found %s, expected a length of 8 to %d", subnet, bits-2)
		return netip.Prefix{}
	}
	if subnet != subnet.Masked() {
		p.fail(at, "found %s with bits beyond its length, expected %s", subnet, subnet.Masked())
		return netip.Prefix{}
	}
	for _, n := range p.plan.Networks {
		if n.Subnet.Overlaps(subnet) {
			p.fail(at, "found %s, which overlaps %s of network %s", subnet, n.Subnet, n.Name)
			return netip.Prefix{}
		}
	}
	return subnet
}

func (p *planner) readTimers() {
	t := p.topology.Timers
	hello := cmp.Or(t.HelloMS, defaultHelloMS(len(p.topology.Stacks)))
	p.plan.Timers = Timers{HelloMS: hello, DeadMS: cmp.Or(t.DeadMS, 3*hello)}
	if h := p.plan.Timers.HelloMS; h < 1 || h > 60000 {
		p.fail("/timers/hello_ms", "found %d, expected 1 to 60000", h)
	} else if d := p.plan.Timers.DeadMS; d < 2*h || d > 600000 {
		p.fail("/timers/dead_ms", "found %d, expected %d (twice hello_ms) to 600000", d, 2*h)
	}
}

// defaultHelloMS lets a machine of two cores bear any plex: every stack hears every other, so that
// the HELLOs heard grow with the square of their number. There are at most 24 in a millisecond.
func defaultHelloMS(stacks int) int { return max(40, stacks*stacks/24) }

// address reads an address or a symbol.
func (p *planner) address(at path, text string) (netip.Addr, bool) {
	if a, ok := p.symbols[strings.ToUpper(text)]; ok {
		return a, true
	}
	a, err := netip.ParseAddr(text)
	if err != nil || a.Zone() != "" || a.Is4In6() {
		p.fail(at, "found %.40q, expected an address or a symbol", text)
		return netip.Addr{}, false
	}
	return a, true
}

// claim gives an address of a network to a holder, which no other can have.
func (p *planner) claim(at path, a netip.Addr, n PlanNetwork, holder string) {
	if !n.Subnet.IsValid() {
		return // reported with the network
	}
	if problem := outsideHosts(a, n.Subnet); problem != "" {
		p.fail(at, "found %s, %s, expected the address of a host on network %s", a, problem, n.Name)
		return
	}
	if before, twice := p.held[a]; twice {
		p.fail(at, "found %s, which %s has already", a, before)
		return
	}
	p.held[a] = holder
}

// outsideHosts says why an address is not that of a host of a subnet, "" if it is.
func outsideHosts(a netip.Addr, subnet netip.Prefix) string {
	switch {
	case !subnet.Contains(a):
		return fmt.Sprintf("which is not in %s", subnet)
	case a == subnet.Addr():
		return fmt.Sprintf("which is the network %s itself", subnet)
	case a.Is4() && !subnet.Contains(a.Next()):
		return fmt.Sprintf("which is the broadcast address of %s", subnet)
	}
	return ""
}
