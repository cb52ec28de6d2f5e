package profile

import (
	"errors"
	"fmt"
	"slices"
)

// Features is a set of what a profile can ask of an implementation beyond VIPADEFine,
// VIPABackup and VIPADISTribute for IPv4. The zero value is none of it.
type Features uint

// The features.
const (
	ClusterPorts Features = 1 << iota // CLUSTERPORTS or SYSPLEXPORTS in any statement
	SourceIPAs                        // SOURCEIPA
	Ranges                            // VIPARange, with or without DISTribute
	Weights                           // WEIGHT
	IPv6                              // IPv6 addresses anywhere
)

// Requirement is a feature that a profile asks for, where it does.
type Requirement struct {
	Feature Features // exactly one
	Pos     Position
	// What names it as the text does: "SYSPLEXPORTS", "IPv6 address 2001:db8::1".
	What string
}

// Requires lists everything that the profile asks for, in the order of the text.
func (p *Profile) Requires() []Requirement {
	var all []Requirement
	option := func(f Features, o Option) {
		if o.Given() {
			all = append(all, Requirement{f, o.Pos, o.Keyword})
		}
	}
	address := func(a Address) {
		if a.Addr.Is6() {
			all = append(all, Requirement{IPv6, a.Pos, fmt.Sprintf("IPv6 address %s", a)})
		}
	}
	for _, d := range p.Defines {
		option(ClusterPorts, d.ClusterPorts)
		for _, a := range d.Addresses {
			address(a)
		}
	}
	for _, b := range p.Backups {
		for _, a := range b.Addresses {
			address(a)
		}
	}
	for _, d := range p.Distributes {
		address(d.Address)
		option(ClusterPorts, d.ClusterPorts)
		for _, t := range d.Targets {
			address(t.Address)
			if t.Weight != 1 {
				all = append(all, Requirement{Weights, t.Pos, string(kwWeight)})
			}
		}
	}
	for _, r := range p.Ranges {
		all = append(all, Requirement{Ranges, r.Pos, string(kwRange)})
		option(ClusterPorts, r.ClusterPorts)
		address(r.Address)
	}
	for _, s := range p.SourceIPAs {
		all = append(all, Requirement{SourceIPAs, s.Pos, string(kwSourceIPA)})
		address(s.Address)
	}
	slices.SortStableFunc(all, func(a, b Requirement) int { return comparePositions(a.Pos, b.Pos) })
	return all
}

// Unsupported refuses what the profile asks for and an implementation with the given features
// does not act upon: nil, or Errors that are errors.ErrUnsupported, one for each place.
func (p *Profile) Unsupported(acts Features) error {
	var refused Errors
	for _, r := range p.Requires() {
		if r.Feature&acts == 0 {
			refused = append(refused, &Error{
				Pos: r.Pos, Message: r.What + " is not supported yet by this implementation", Err: errors.ErrUnsupported,
			})
		}
	}
	return refused.Err()
}
