package report

import (
	"path/filepath"
	"time"
)

// readTolerances takes over what each suite gave the implementation.
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
			r.Tolerances = map[string]map[string]time.Duration{}
		}
		r.Tolerances[suite.Name] = allowed
	}
}
