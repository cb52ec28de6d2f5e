// Package mutant finds out what a suite is worth: it makes wrong variants of the reference, each by one
// edit of its sources, and asks of every one whether the spec that is named for it fails for the stated
// reason (mutation analysis: DeMillo, Lipton and Sayward, "Hints on Test Data Selection", 1978).
package mutant

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"strings"

	"github.com/goccy/go-yaml"
)

// A Mutant is one wrong variant of the reference.
type Mutant struct {
	// ID is unique among all: letters, digits and "-". It names the mutant's directory.
	ID string `yaml:"id"`
	// Wrong says what the variant does wrong, in one line.
	Wrong string `yaml:"wrong"`
	// For are the ids that the variant breaks, at least one: an edge ("fig13/165-yes->167"), an
	// interpretation ("I9"), or a scenario of the field ("field/time-wait").
	For []string `yaml:"for"`
	// File is below the root of the tree, and below nodes.
	File string `yaml:"file"`
	// Find stands in File exactly once, and Replace is put in its place. They are not equal.
	Find    string `yaml:"find"`
	Replace string `yaml:"replace"`
	// Suite and Spec name the spec that has to fail: its texts, those of its containers first, as reports
	// have them. Without a Suite it is that of the file's.
	Suite string `yaml:"suite"`
	Spec  string `yaml:"spec"`
	// Reason is part of what the spec says when it fails for this mutant. White space in it stands for any.
	Reason string `yaml:"reason"`
	// Equivalent says why no spec can tell the variant from the reference; then Spec and Reason are
	// empty, and the edit is only tried.
	Equivalent string `yaml:"equivalent"`
}

// file is one file of mutants.
type file struct {
	// Suite is that of the mutants without one.
	Suite   string   `yaml:"suite"`
	Mutants []Mutant `yaml:"mutants"`
}

var (
	idForm    = regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)
	suiteForm = regexp.MustCompile(`^[a-z0-9]+$`)
)

// Load reads every YAML file at the root of files, in order of their names. All that is wrong with any
// mutant is one error, which names file and id.
func Load(files fs.FS) ([]Mutant, error) {
	names, err := fs.Glob(files, "*.yaml")
	if err != nil {
		return nil, fmt.Errorf("list mutants: %w", err)
	}
	var all []Mutant
	var wrong []error
	seen := map[string]bool{}
	for _, name := range names {
		text, err := fs.ReadFile(files, name)
		if err != nil {
			return nil, fmt.Errorf("read mutants: %w", err)
		}
		var f file
		if err := yaml.NewDecoder(bytes.NewReader(text), yaml.Strict()).Decode(&f); err != nil {
			return nil, fmt.Errorf("read mutants from %s: %w", name, err)
		}
		for _, m := range f.Mutants {
			m.Suite = cmp.Or(m.Suite, f.Suite)
			problem := m.problem()
			if seen[m.ID] {
				problem = "the id is used twice"
			}
			seen[m.ID] = true
			if problem != "" {
				wrong = append(wrong, fmt.Errorf("%s: mutant %q: %s", name, m.ID, problem))
			}
			all = append(all, m)
		}
	}
	if len(all) == 0 && len(wrong) == 0 {
		return nil, errors.New("read mutants: there is none")
	}
	return all, errors.Join(wrong...)
}

// problem is what is wrong with a mutant, empty where nothing is.
func (m Mutant) problem() string {
	switch {
	case !idForm.MatchString(m.ID):
		return "an id is made of small letters, digits and single dashes"
	case m.Wrong == "" || len(m.For) == 0:
		return "say in wrong what it does wrong, and in for which edge, interpretation or scenario that breaks"
	case path.Clean(m.File) != m.File || !strings.HasPrefix(m.File, "nodes/") || !strings.HasSuffix(m.File, ".go") || strings.HasSuffix(m.File, "_test.go"):
		return fmt.Sprintf("file %q is no Go source below nodes", m.File)
	case m.Find == "" || m.Find == m.Replace:
		return "replace must be something else than find, which must not be empty"
	case m.Equivalent != "" && (m.Spec != "" || m.Reason != ""):
		return "what is equivalent has neither spec nor reason"
	case m.Equivalent == "" && (m.Spec == "" || m.Reason == "" || !suiteForm.MatchString(m.Suite)):
		return "name suite and spec that have to fail, and the reason for which, or say why it is equivalent"
	}
	return ""
}
