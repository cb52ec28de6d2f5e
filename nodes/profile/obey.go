package profile

import (
	"net/netip"
	"slices"
	"strings"
)

// Obeyed is what a text makes of the definitions in force.
type Obeyed struct {
	// Profile is what is in force then. Positions are those of the text; what was in force
	// before has none.
	Profile *Profile
	// Changes are the statements of the text that say something new, kind by kind.
	Changes []Change
}

// Change is one statement that says something new.
type Change struct {
	Statement Statement
	// Replaces is what was in force for the same address, range or application and is not any
	// more, each address of a VIPADEFine or VIPABackup in a statement of its own. Empty where
	// the statement only adds.
	Replaces []Statement
}

// Obey reads a text that adds to the definitions in force, as VARY OBEY does: a statement
// replaces what statements of its kind say for the same address, range or application, and all
// else stays. The error is as that of Parse, always at places of the text. Current is not changed.
func Obey(current *Profile, file string, text []byte, symbols Symbols) (*Obeyed, error) {
	added, err := parse(file, text, symbols)
	if err != nil {
		return nil, err
	}
	merged := merge(current, added)
	if err := check(merged).Err(); err != nil {
		return nil, err
	}
	return &Obeyed{Profile: merged, Changes: changes(current, added)}, nil
}

// About returns the statement of the text that speaks of a subject: an address, a range, or
// "SOURCEIPA" and an application, followed by "for IPv6" where it has a source of that family; for an address that no statement names, a range that holds it.
func (o *Obeyed) About(of string) (Statement, bool) {
	of = strings.TrimPrefix(of, string(kwSourceIPA)+" ")
	address, _ := netip.ParseAddr(of)
	var around Statement
	for _, change := range o.Changes {
		for _, one := range apart(change.Statement) {
			if one.of == of {
				return change.Statement, true
			}
		}
		if r, ok := change.Statement.(Range); ok && r.Prefix().Contains(address) {
			around = r
		}
	}
	return around, around != nil
}

// subject is what only one statement of a kind can speak of.
type subject struct {
	kind keyword
	of   string // an address, a range, or an application and a family
}

// A saying is what a statement alone says of one subject.
type saying struct {
	subject
	Statement
}

// sayings take statements apart, in their order.
func sayings(p *Profile) []saying {
	var all []saying
	for _, s := range p.Statements() {
		all = append(all, apart(s)...)
	}
	return all
}

// apart takes one statement apart.
func apart(s Statement) []saying {
	var all []saying
	switch s := s.(type) {
	case Define:
		for _, a := range s.Addresses {
			one := s
			one.Addresses = []Address{a}
			all = append(all, saying{subject{kwDefine, a.String()}, one})
		}
	case Backup:
		for _, a := range s.Addresses {
			one := s
			one.Addresses = []Address{a}
			all = append(all, saying{subject{kwBackup, a.String()}, one})
		}
	case Distribute:
		all = append(all, saying{subject{kwDistribute, s.Address.String()}, s})
	case Range:
		all = append(all, saying{subject{kwRange, s.Prefix().String()}, s})
	case SourceIPA:
		all = append(all, saying{subject{kwSourceIPA, s.of()}, s})
	}
	return all
}

// merge makes one profile, unchecked: of current what added does not replace, without places,
// and then added.
func merge(current, added *Profile) *Profile {
	replaced := map[subject]bool{}
	for _, one := range sayings(added) {
		replaced[one.subject] = true
	}
	stays := func(kind keyword, of string) bool { return !replaced[subject{kind, of}] }
	merged := &Profile{}
	for _, d := range current.Defines {
		d.Pos, d.ClusterPorts.Pos = Position{}, Position{}
		d.Addresses = staying(d.Addresses, kwDefine, stays)
		if len(d.Addresses) > 0 {
			merged.Defines = append(merged.Defines, d)
		}
	}
	for _, b := range current.Backups {
		b.Pos = Position{}
		b.Addresses = staying(b.Addresses, kwBackup, stays)
		if len(b.Addresses) > 0 {
			merged.Backups = append(merged.Backups, b)
		}
	}
	for _, d := range current.Distributes {
		if stays(kwDistribute, d.Address.String()) {
			merged.Distributes = append(merged.Distributes, withoutPlaces(d))
		}
	}
	for _, r := range current.Ranges {
		r.Pos, r.Distribute.Pos, r.ClusterPorts.Pos, r.Address.Pos = Position{}, Position{}, Position{}, Position{}
		if stays(kwRange, r.Prefix().String()) {
			merged.Ranges = append(merged.Ranges, r)
		}
	}
	for _, s := range current.SourceIPAs {
		s.Pos, s.Address.Pos = Position{}, Position{}
		if stays(kwSourceIPA, s.of()) {
			merged.SourceIPAs = append(merged.SourceIPAs, s)
		}
	}
	merged.Defines = append(merged.Defines, added.Defines...)
	merged.Backups = append(merged.Backups, added.Backups...)
	merged.Distributes = append(merged.Distributes, added.Distributes...)
	merged.Ranges = append(merged.Ranges, added.Ranges...)
	merged.SourceIPAs = append(merged.SourceIPAs, added.SourceIPAs...)
	return merged
}

// staying are the addresses of a statement that stay with it, without places.
func staying(addresses []Address, kind keyword, stays func(kind keyword, of string) bool) []Address {
	var all []Address
	for _, a := range addresses {
		if stays(kind, a.String()) {
			all = append(all, Address{Addr: a.Addr})
		}
	}
	return all
}

func withoutPlaces(d Distribute) Distribute {
	d.Pos, d.Address.Pos, d.ClusterPorts.Pos = Position{}, Position{}, Position{}
	d.Ports, d.Targets = slices.Clone(d.Ports), slices.Clone(d.Targets)
	for i := range d.Ports {
		d.Ports[i].Pos = Position{}
	}
	for i := range d.Targets {
		d.Targets[i].Pos = Position{}
	}
	return d
}

// changes are the statements of added that current does not say as they do.
func changes(current, added *Profile) []Change {
	before := map[subject]Statement{}
	for _, one := range sayings(current) {
		before[one.subject] = one.Statement
	}
	var all []Change
	for _, s := range added.Statements() {
		c := Change{Statement: s}
		same := true
		for _, one := range apart(s) {
			old, was := before[one.subject]
			switch {
			case was && old.String() == one.Statement.String():
				continue
			case was:
				c.Replaces = append(c.Replaces, old)
			}
			same = false
		}
		if !same {
			all = append(all, c)
		}
	}
	return all
}
