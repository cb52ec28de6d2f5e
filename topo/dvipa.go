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
			if !p.carries(r.Address.Addr) {
				p.failProfile(own, r.Address.Pos, fmt.Sprintf("found the range %s, %s", r.Prefix(), p.expectedFamily()))
			} else if missed := p.reach(own).Range(r.Prefix()); missed != "" {
				p.failProfile(own, r.Address.Pos, missed)
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
	missed := p.reach(own).DVIPA(a.Addr)
	switch holder, real := p.held[a.Addr]; {
	case !p.carries(a.Addr):
		p.failProfile(own, a.Pos, fmt.Sprintf("found the DVIPA %s, %s", a, p.expectedFamily()))
	case missed != "":
		p.failProfile(own, a.Pos, missed)
	case !inside && p.networks[p.xcf].Subnet.Contains(a.Addr):
		p.failProfile(own, a.Pos, fmt.Sprintf("found the DVIPA %s, which is in %s, expected none of the XCF network", a, p.networks[p.xcf].Subnet))
	case inside && problem != "":
		p.failProfile(own, a.Pos, fmt.Sprintf("found the DVIPA %s, %s, expected the address of a host", a, problem))
	case real:
		p.failProfile(own, a.Pos, fmt.Sprintf("found the DVIPA %s, which %s has as a real address", a, holder))
	}
}

// reach is where the network finds a stack; without an outside link it speaks no routing protocol.
func (p *planner) reach(own stackProfile) profile.Reach {
	return profile.Reach{
		Stack: own.stack, Outside: own.outside, Advertised: p.plan.Advertising.Method != "" && len(own.outside) > 0,
	}
}

// carries reports whether packets to a DVIPA can go from stack to stack: an XCF network of IPv4 carries
// both families, one of IPv6 itself alone (contract.NextHop).
func (p *planner) carries(dvipa netip.Addr) bool {
	xcf := p.networks[p.xcf].Subnet
	return !xcf.IsValid() || xcf.Addr().Is4() || dvipa.Is6()
}

func (p *planner) expectedFamily() string {
	return fmt.Sprintf("expected one of IPv6: the XCF network %s carries no IPv4 from stack to stack", p.networks[p.xcf].Subnet)
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
