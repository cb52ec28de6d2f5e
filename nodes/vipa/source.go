package vipa

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/plexlab-dev/plexlab/nodes/contract"
)

// Source chooses the DVIPA that a connection of an application to destination comes from, if
// its socket has no address yet (SOURCEIPA, T25). Of the rules that name the application the most
// specific one wins: its name, then the longest beginning before an asterisk, then the asterisk
// alone; of equal ones that of the own profile, then that of the partner with the lowest XCF
// address. A rule counts where its DVIPA is active here, and not for what is left of connections
// alone, or lies in an own VIPARange whose DVIPA no living stack owns; BindSource activates that one.
//
// Nothing is chosen for a loopback address, a DVIPA active here and the XCF network. Other
// addresses of the stack itself are for the caller to leave out: the core does not know them.
func (a *Addresses) Source(application string, destination netip.Addr) (netip.Addr, bool) {
	destination = destination.Unmap()
	if a == nil || !a.leaves(destination) {
		return netip.Addr{}, false
	}
	best, source := -1, netip.Addr{}
	for _, rule := range a.rules {
		specific := specificity(rule.Application, application)
		if specific <= best || rule.Address.Is4() != destination.Is4() {
			continue
		}
		if at := a.at(rule.Address); at.active && !at.left || at.activates {
			best, source = specific, rule.Address
		}
	}
	return source, best >= 0
}

// leaves says whether connections to a destination may come from a DVIPA at all.
func (a *Addresses) leaves(destination netip.Addr) bool {
	return destination.IsValid() && !destination.IsLoopback() && !destination.IsUnspecified() &&
		!a.xcf[destination] && !a.xcfNetwork.Contains(destination) && !a.at(destination).active
}

// specificity is how well a rule names an application: the characters that it fixes, an exact name
// one more; negative if it does not name it. Names are the same in upper and lower case.
func specificity(rule, application string) int {
	rule, application = strings.ToUpper(rule), strings.ToUpper(application)
	beginning, generic := strings.CutSuffix(rule, "*")
	switch {
	case generic && strings.HasPrefix(application, beginning):
		return len(beginning)
	case rule == application && !generic:
		return len(rule) + 1
	}
	return -1
}

// sources are the SOURCEIPA rules that this stack tells: those of its profile, then those that it keeps for what it has
// taken over, since connections that begin after a takeover have the source of those before (T48).
func (s *Stack) sources() []contract.SourceIPA {
	all := slices.Clone(s.definition.SourceIPAs)
	for _, address := range s.sortedDVIPAs() {
		d := s.dvipas[address]
		if d.routing == nil || d.ownedAs().Role != contract.RoleBackup {
			continue
		}
		for _, rule := range d.sources {
			if len(all) < contract.MaxDVIPAs && !slices.Contains(all, rule) {
				all = append(all, rule)
			}
		}
	}
	return all
}

// sourcesOf are the rules for one DVIPA in the list of a partner.
func (s *Stack) sourcesOf(partner contract.Member, dvipa netip.Addr) []contract.SourceIPA {
	m := s.members[partner.XCF]
	if m == nil {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(m.sources), func(rule contract.SourceIPA) bool { return rule.Address != dvipa })
}

// rules are the SOURCEIPA rules that hold here: those that this stack tells, then those of living
// partners in order of XCF address, then those of lost owners for what nobody has taken over yet: a connect() waits for
// the next owner, with the source that the one before gave it.
func (s *Stack) rules() []contract.SourceIPA {
	all := s.sources()
	for _, xcf := range sortedAddresses(s.members) {
		all = append(all, s.members[xcf].sources...)
	}
	for _, xcf := range sortedAddresses(s.lost) {
		was := s.lost[xcf]
		for _, rule := range was.sources {
			if d := s.dvipas[rule.Address]; d != nil && d.lastOwner(xcf, was.incarnation) && s.contended(d) {
				all = append(all, rule)
			}
		}
	}
	return all
}

// lastOwner: the latest list of an owner is that of this incarnation, which did not give the DVIPA up.
func (d *dvipa) lastOwner(xcf netip.Addr, incarnation uint64) bool {
	return d.listed != nil && !d.listed.ended && d.listed.owner.XCF == xcf && d.listed.owner.Incarnation == incarnation
}
