package requirements

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
)

// pairRecord is one pair of twice.yaml.
type pairRecord struct {
	ID    string `yaml:"id"`
	By    string `yaml:"by"`
	Owner string `yaml:"owner"`
	Bind  string `yaml:"bind"`
	Text  string `yaml:"text"`
}

// pairForm is the id of a pair: what creates the DVIPA first, what creates it again, on which stack, and how the first one
// stands to it or the second.
var pairForm = regexp.MustCompile(`^twice/(VIPADEFine|VIPABackup|bind)-(VIPADEFine|VIPABackup|bind)-(same|other)(-owned|-target)?$`)

// check finds what a pair lacks.
func (p pairRecord) check() error {
	parts := pairForm.FindStringSubmatch(p.ID)
	if parts == nil {
		return fmt.Errorf("pair %q is not of the form twice/VIPADEFine-bind-other", p.ID)
	}
	first, second, stack, how := parts[1], parts[2], parts[3], parts[4]
	statements := first != "bind" && second != "bind"
	switch {
	case how == "-owned" && (first != "VIPABackup" || stack != "other"), how == "-target" && (second != "bind" || stack != "other"):
		return fmt.Errorf("pair %s: there is no such case", p.ID)
	case !slices.Contains([]string{"first", "second", "nobody", "refused"}, p.Owner):
		return fmt.Errorf("pair %s: owner %q is not first, second, nobody or refused", p.ID, p.Owner)
	case (p.Owner == "refused") != (statements && stack == "same"):
		return fmt.Errorf("pair %s: two statements of one stack are refused, and nothing else", p.ID)
	case (second == "bind") != slices.Contains([]string{"succeeds", "fails"}, p.Bind):
		return fmt.Errorf("pair %s: bind %q, want succeeds or fails where a bind comes second, else nothing", p.ID, p.Bind)
	}
	return nil
}

// addPairs adds the table, each pair cited by its interpretation, which was added before.
func (c *catalogue) addPairs(defaults record, pairs []pairRecord) error {
	for _, p := range pairs {
		if err := p.check(); err != nil {
			return err
		}
		by, ok := c.find(p.By)
		if !ok || by.Kind != Interpretation {
			return fmt.Errorf("pair %s: there is no interpretation %q", p.ID, p.By)
		}
		r := record{Text: p.Text, Observable: cmp.Or(defaults.Observable, by.Observable)}.requirement(Pair, defaults)
		r.ID, r.Citation = p.ID, fmt.Sprintf("%s, %s", by.ID, by.Citation)
		if err := c.add(r); err != nil {
			return err
		}
	}
	return nil
}
