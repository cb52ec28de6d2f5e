package topo

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/plexlab-dev/plexlab/nodes/profile"
)

// stackProfile is the profile of a stack, with what is needed to place its errors.
type stackProfile struct {
	at      path   // of profile or profile_file
	text    string // as written
	stack   string
	outside []netip.Prefix // subnets of its outside links
	profile *profile.Profile
}

// readProfile parses the profile of the i-th stack.
func (p *planner) readProfile(i int, node *PlanNode) {
	s := p.topology.Stacks[i]
	own := stackProfile{at: path("/stacks").at(i, "profile"), text: s.Profile, stack: s.Name}
	file := p.place(own.at).File
	if s.ProfileFile != "" {
		own.at, file = path("/stacks").at(i, "profile_file"), s.ProfileFile
	}
	parsed, err := profile.Parse(file, []byte(s.Profile), p.symbols)
	var errs Errors
	if errors.As(err, &errs) {
		for _, e := range errs {
			p.failProfile(own, e.Pos, e.Message)
		}
		return
	}
	for _, l := range node.Links {
		if n := p.networks[l.Network]; !n.XCF && n.Subnet.IsValid() {
			own.outside = append(own.outside, n.Subnet)
		}
	}
	own.profile = parsed
	p.profiles = append(p.profiles, own)
	node.Stack.Profile = parsed.String()
}

// failProfile reports an error in the text of a profile where that text stands.
func (p *planner) failProfile(own stackProfile, in Position, message string) {
	source := p.topology.source
	if inFile := own.at[len(own.at.parent()):] == "/profile_file"; inFile || source == nil {
		p.errs.Add(in, "%s", message)
		return
	}
	at, exact := source.within(own.at, own.text, in)
	if !exact {
		message = fmt.Sprintf("profile of %s, line %d: %s", own.stack, in.Line, message)
	}
	p.errs.Add(at, "%s", message)
}

// checkProfiles holds the profiles against the networks and the addresses of all nodes.
func (p *planner) checkProfiles() {
	for _, own := range p.profiles {
		for _, d := range own.profile.Defines {
			for _, a := range d.Addresses {
				p.checkDVIPA(own, a)
			}
		}
		for _, b := range own.profile.Backups {
			for _, a := range b.Addresses {
				p.checkDVIPA(own, a)
			}
		}
		for _, r := range own.profile.Ranges {
			inside := own.reaches(func(s netip.Prefix) bool { return s.Overlaps(r.Prefix()) && s.Bits() <= r.Bits })
			if !inside && !p.advertises(own) {
				p.failProfile(own, r.Address.Pos, fmt.Sprintf("found the range %s, %s", r.Prefix(), own.expected()))
			}
		}
		for _, d := range own.profile.Distributes {
			for _, t := range d.Targets {
				p.checkTarget(own, t)
			}
		}
	}
}

// checkDVIPA: without a routing protocol a stack can answer for an address of its own outside
// subnets only; with one, for any that is not of XCF. No node has that address as its own.
func (p *planner) checkDVIPA(own stackProfile, a profile.Address) {
	problem := ""
	inside := own.reaches(func(s netip.Prefix) bool {
		problem = outsideHosts(a.Addr, s)
		return s.Contains(a.Addr)
	})
	switch holder, real := p.held[a.Addr]; {
	case !inside && !p.advertises(own):
		p.failProfile(own, a.Pos, fmt.Sprintf("found the DVIPA %s, %s", a, own.expected()))
	case !inside && p.networks[p.xcf].Subnet.Contains(a.Addr):
		p.failProfile(own, a.Pos, fmt.Sprintf("found the DVIPA %s, which is in %s, expected none of the XCF network", a, p.networks[p.xcf].Subnet))
	case inside && problem != "":
		p.failProfile(own, a.Pos, fmt.Sprintf("found the DVIPA %s, %s, expected the address of a host", a, problem))
	case real:
		p.failProfile(own, a.Pos, fmt.Sprintf("found the DVIPA %s, which %s has as a real address", a, holder))
	}
}

// advertises reports whether a stack speaks a routing protocol.
func (p *planner) advertises(own stackProfile) bool {
	return p.plan.Advertising.Method != "" && len(own.outside) > 0
}

func (p *planner) checkTarget(own stackProfile, t profile.Target) {
	if xcf := p.networks[p.xcf]; xcf.Subnet.IsValid() && outsideHosts(t.Addr, xcf.Subnet) != "" {
		p.failProfile(own, t.Pos, fmt.Sprintf("found the target %s, expected an XCF address, in %s", t.Address, xcf.Subnet))
	}
}

// reaches reports whether one of the outside subnets is as asked.
func (own stackProfile) reaches(ask func(netip.Prefix) bool) bool {
	for _, s := range own.outside {
		if ask(s) {
			return true
		}
	}
	return false
}

// expected says where DVIPAs of the stack can be.
func (own stackProfile) expected() string {
	switch len(own.outside) {
	case 0:
		return fmt.Sprintf("expected none: %s has no link to an outside network", own.stack)
	case 1:
		return fmt.Sprintf("expected one in %s, the outside subnet of %s; a routing protocol (advertising) lifts that", own.outside[0], own.stack)
	}
	return fmt.Sprintf("expected one in an outside subnet of %s: %v; a routing protocol (advertising) lifts that", own.stack, own.outside)
}
