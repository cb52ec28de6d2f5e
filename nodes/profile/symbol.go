package profile

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
)

// Symbols are names for addresses, such as DVA1 and XCF1 in the specification; upper and lower
// case are the same.
type Symbols map[string]netip.Addr

// folded returns the symbols with their names as they are compared. Two names that differ in
// case alone are an error.
func (s Symbols) folded() (Symbols, error) {
	all := make(Symbols, len(s))
	for _, name := range slices.Sorted(maps.Keys(s)) {
		if _, twice := all[fold(name)]; twice {
			return nil, fmt.Errorf("symbol %s is given twice, upper and lower case are the same", fold(name))
		}
		all[fold(name)] = s[name]
	}
	return all, nil
}

// CheckSymbol returns an error that says why name cannot be a symbol, nil if it can: 1 to 16
// letters, digits, @, #, $, _ or -, a letter, @, # or $ first, and no keyword of the language.
func CheckSymbol(name string) error {
	switch {
	case !isName(name, 16, "@#$_-"):
		return fmt.Errorf("found %s, expected 1 to 16 letters, digits, @, #, $, _ or -, the first neither a digit, _ nor -", quote(name))
	case lookup(leading, name) != "" || lookup(inner, name) != "":
		return fmt.Errorf("found %s, expected a name that is no keyword of the profile language", quote(name))
	}
	return nil
}

// CheckApplication returns an error that says why name cannot be that of an application, nil
// if it can: 1 to 8 letters, digits, @, # or $, no digit first, and no keyword of a statement.
func CheckApplication(name string) error {
	switch {
	case !isName(name, 8, "@#$"):
		return fmt.Errorf("found %s, expected an application: 1 to 8 letters, digits, @, # or $, no digit first", quote(name))
	case lookup(leading, name) != "":
		return fmt.Errorf("found %s, expected a name that does not begin a statement of the profile language", quote(name))
	}
	return nil
}

// checkPattern is CheckApplication for what SOURCEIPA names: the last character may be a *.
func checkPattern(name string) error {
	const star = "*"
	beginning, ok := strings.CutSuffix(name, star)
	switch {
	case !ok:
		if err := CheckApplication(name); err != nil {
			return fmt.Errorf("%w; or its beginning and %s", err, star)
		}
	case beginning != "" && !isName(beginning, 8-len(star), "@#$"):
		return fmt.Errorf("found %s, expected at most 7 letters, digits, @, # or $, no digit first, before the %s", quote(name), star)
	}
	return nil
}

// isName reports whether s is 1 to longest letters, digits or characters of others, and begins
// with a letter, @, # or $.
func isName(s string, longest int, others string) bool {
	for i, r := range s {
		letter := r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z' || r == '@' || r == '#' || r == '$'
		follows := r >= '0' && r <= '9' || slices.Contains([]rune(others), r)
		if !letter && (i == 0 || !follows) {
			return false
		}
	}
	return len(s) >= 1 && len(s) <= longest
}
