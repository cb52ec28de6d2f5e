package impl

import (
	"fmt"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/plexlab-dev/plexlab/harness/tolerance"
)

// A Deviation is where an implementation asks for other terms than everybody has: a tolerance
// raised, or an interpretation of the specification chosen otherwise. It skips no spec; it is named in
// the certificate, with its reason, and lowers its level. Either Tolerance or Interpretation is set.
type Deviation struct {
	// Tolerance is the name of one in package tolerance, Value what it is raised to: looser than the
	// standard, at most the published bound. Of "ready" the manifest's ready_timeout is the value.
	Tolerance string        `yaml:"tolerance" json:"tolerance,omitempty"`
	Value     time.Duration `yaml:"value" json:"value_ns,omitempty"`
	// Interpretation is the id of one, or of a pair that it decides: "I15", "twice/bind-bind-other". Its specs are run all
	// the same.
	Interpretation string `yaml:"interpretation" json:"interpretation,omitempty"`
	// Reason is for whoever reads the certificate; not empty.
	Reason string `yaml:"reason" json:"reason"`
}

// Words says what it is and why; given is what the implementation is given of the tolerance.
func (d Deviation) Words(given time.Duration) string {
	what := "interpretation " + d.Interpretation
	if t, ok := tolerance.ByName(d.Tolerance); ok {
		what = fmt.Sprintf("tolerance %s: %s, where the standard is %s and the most %s", t.Name, given, t.Standard, t.Bound)
	}
	return what + ", because: " + d.Reason
}

// Terms are its deviations in words, none where it is judged as everybody is.
func (m *Manifest) Terms() []string {
	var terms []string
	for _, d := range m.Deviations {
		t, _ := tolerance.ByName(d.Tolerance)
		terms = append(terms, d.Words(m.Allowed(t)))
	}
	return terms
}

// Allowed is what the implementation is given of a tolerance: what it deviates to, or the standard.
func (m *Manifest) Allowed(t tolerance.Tolerance) time.Duration {
	if t.Name == tolerance.Ready.Name {
		return m.ReadyTimeout
	}
	for _, d := range m.Deviations {
		if d.Tolerance == t.Name {
			return d.Value
		}
	}
	return t.Standard
}

// Deviates returns the deviation from an interpretation, nil where there is none.
func (m *Manifest) Deviates(interpretation string) *Deviation {
	for i, d := range m.Deviations {
		if d.Interpretation == interpretation && interpretation != "" {
			return &m.Deviations[i]
		}
	}
	return nil
}

// CheckTerms is an error where the manifest asks for more time than everybody has without saying why.
// Certification asks for it; a laboratory does not.
func (m *Manifest) CheckTerms() error {
	for _, d := range m.Deviations {
		if d.Tolerance == tolerance.Ready.Name {
			return nil
		}
	}
	if tolerance.Ready.Looser(m.ReadyTimeout) {
		return fmt.Errorf("ready_timeout %s is more than %s: declare a deviation from tolerance %s, with its reason",
			m.ReadyTimeout, tolerance.Ready.Standard, tolerance.Ready.Name)
	}
	return nil
}

// interpretationID is compiled when it is first wanted: supervisors of labs never do.
var interpretationID = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^(I[1-9][0-9]*|twice/[A-Za-z-]+)$`)
})

// checkDeviations returns what check does.
func (m *Manifest) checkDeviations() (at, problem string) {
	seen := map[string]bool{}
	interpretations := 0
	for i, d := range m.Deviations {
		at := fmt.Sprintf("$.deviations[%d]", i)
		name := d.Tolerance + d.Interpretation
		switch {
		case (d.Tolerance == "") == (d.Interpretation == ""):
			return at, "a deviation names a tolerance or an interpretation"
		case strings.TrimSpace(d.Reason) == "":
			return at, fmt.Sprintf("the deviation from %s has no reason", name)
		case seen[name]:
			return at, fmt.Sprintf("the deviation from %s is declared twice", name)
		case d.Interpretation != "" && !interpretationID().MatchString(d.Interpretation):
			return at, fmt.Sprintf("interpretation %q: expected an id such as I15", d.Interpretation)
		}
		seen[name] = true
		if d.Interpretation != "" {
			interpretations++
		} else if problem := m.checkRaised(d); problem != "" {
			return at, problem
		}
	}
	if interpretations > tolerance.MaxInterpretations {
		return "$.deviations", fmt.Sprintf("%d interpretations are chosen otherwise; at most %d may be",
			interpretations, tolerance.MaxInterpretations)
	}
	return "", ""
}

func (m *Manifest) checkRaised(d Deviation) string {
	t, ok := tolerance.ByName(d.Tolerance)
	if !ok {
		var names []string
		for _, t := range tolerance.All() {
			names = append(names, t.Name)
		}
		return fmt.Sprintf("tolerance %q: expected one of %s", d.Tolerance, strings.Join(names, ", "))
	}
	value := d.Value
	if t.Name == tolerance.Ready.Name {
		if value != 0 {
			return "of tolerance ready, ready_timeout is the value"
		}
		value = m.ReadyTimeout
	}
	if err := t.Check(value); err != nil {
		return err.Error()
	}
	if !t.Looser(value) {
		return fmt.Sprintf("tolerance %s: %s is no looser than the standard, %s", t.Name, value, t.Standard)
	}
	return ""
}
