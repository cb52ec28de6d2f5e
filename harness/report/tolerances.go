package report

import (
	"path/filepath"
	"time"
)

// readTolerances takes over what each suite gave the implementation; all give the same.
func (r *Report) readTolerances(dir string) {
	for _, suite := range r.Suites {
		var allowed map[string]time.Duration
		ok, err := readJSON(filepath.Join(dir, tolerancesDir, suite.Name+".json"), &allowed)
		if err != nil {
			r.problem("tolerances: %v", err)
		}
		if !ok {
			continue
		}
		if r.Tolerances == nil {
			r.Tolerances = map[string]time.Duration{}
		}
		for name, value := range allowed {
			if before, ok := r.Tolerances[name]; ok && before != value {
				r.problem("suite %s gave the implementation %s of %s, another one %s", suite.Name, value, name, before)
			}
			r.Tolerances[name] = value
		}
	}
}
