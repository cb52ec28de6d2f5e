package certificate

import (
	"cmp"
	_ "embed"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/plexlab-dev/plexlab/harness/report"
)

// PublishedSpec is a spec that a run of its suite has to have.
type PublishedSpec struct {
	Suite, Name string
	// Requirements are the ids that it verifies, those by an edge included.
	Requirements []string
	// Packets: whoever passes it leaves packets.
	Packets bool
}

// specs.txt lists all specs, one a line, fields separated by tabs: suite, whether it leaves packets, ids, name. As with
// published.txt a verifier goes by it, so that a spec which is left out is found, and a test of conformance/requirements keeps it.
//
//go:embed specs.txt
var specsText string

var publishedSpecs = sync.OnceValue(func() []PublishedSpec {
	var all []PublishedSpec
	for line := range strings.Lines(specsText) {
		fields := strings.SplitN(strings.TrimSuffix(line, "\n"), "\t", 4)
		all = append(all, PublishedSpec{Suite: fields[0], Packets: fields[1] == packets, Requirements: strings.Fields(fields[2]), Name: fields[3]})
	}
	return all
})

const (
	packets   = "packets"
	noPackets = "no-packets"
)

// SpecsFile is the name of the file in this package's directory that PublishSpecs makes the text of.
const SpecsFile = "specs.txt"

// PublishSpecs is the text of SpecsFile for all specs of all suites.
func PublishSpecs(specs []report.Spec) string {
	sorted := slices.SortedFunc(slices.Values(specs), func(a, b report.Spec) int {
		return cmp.Or(cmp.Compare(a.Suite, b.Suite), cmp.Compare(a.Name, b.Name))
	})
	var text strings.Builder
	for _, s := range sorted {
		leaves := packets
		if s.Bare {
			leaves = noPackets
		}
		fmt.Fprintf(&text, "%s\t%s\t%s\t%s\n", s.Suite, leaves, strings.Join(s.Requirements, " "), s.Name)
	}
	return text.String()
}

// leftOut are suites that were not run and specs that are not those of their suites, in words.
func (j *judging) leftOut() []string {
	var all []string
	var suites []string
	for _, p := range publishedSpecs() {
		if !slices.Contains(suites, p.Suite) {
			suites = append(suites, p.Suite)
		}
	}
	for _, name := range suites {
		if !slices.Contains(j.Suites, name) {
			all = append(all, fmt.Sprintf("suite %s was not run", name))
		}
	}
	for i, r := range j.runs {
		for _, suite := range r.Suites {
			for _, difference := range differences(suite.Name, r.Specs) {
				all = append(all, fmt.Sprintf("run %d, suite %s: %s", i+1, suite.Name, difference))
			}
		}
	}
	return all
}

// differences are those between the specs of a suite in a run and the published ones.
func differences(suite string, specs []report.Spec) []string {
	found := map[string]report.Spec{}
	var all []string
	for _, s := range specs {
		if s.Suite != suite || s.Setup {
			continue
		}
		if _, twice := found[s.Name]; twice {
			all = append(all, fmt.Sprintf("%q is there twice", s.Name))
		}
		found[s.Name] = s
	}
	for _, p := range publishedSpecs() {
		if p.Suite != suite {
			continue
		}
		s, ok := found[p.Name]
		delete(found, p.Name)
		switch {
		case !ok:
			all = append(all, fmt.Sprintf("%q is not there", p.Name))
		case !slices.Equal(slices.Sorted(slices.Values(s.Requirements)), slices.Sorted(slices.Values(p.Requirements))):
			all = append(all, fmt.Sprintf("%q is said to verify what it does not", p.Name))
		}
	}
	for _, s := range specs {
		if _, more := found[s.Name]; more && s.Suite == suite && !s.Setup {
			all = append(all, fmt.Sprintf("%q is not published", s.Name))
		}
	}
	return all
}

// leavesPackets: whoever passes the spec leaves packets.
func leavesPackets(s report.Spec) bool {
	return slices.ContainsFunc(publishedSpecs(), func(p PublishedSpec) bool { return p.Packets && p.Suite == s.Suite && p.Name == s.Name })
}
