package certificate

import (
	"errors"
	"fmt"
	"slices"

	"github.com/plexlab-dev/plexlab/harness/impl"
	"github.com/plexlab-dev/plexlab/harness/report"
)

// SpecNeeds are, of each requirement that is due, what each of its specs needs.
func SpecNeeds(r *report.Report) map[string][][]string {
	needs := map[string][][]string{}
	for _, p := range published() {
		for _, i := range r.Requirements[p.ID].Specs {
			needs[p.ID] = append(needs[p.ID], r.Specs[i].Needs)
		}
	}
	return needs
}

// CheckCompany holds impl.Company against what specs need. In its company a profile can be certified: each of its requirements
// has a spec that needs nothing else. Alone it cannot, or it needs no company. The error names every profile that is otherwise.
func CheckCompany(needs map[string][][]string) error {
	var wrong []error
	for _, c := range impl.Capabilities() {
		company := impl.Company(c)
		for _, id := range unverified(c, company, needs) {
			wrong = append(wrong, fmt.Errorf("profile %s with %v: every spec of %s needs something else, one of %v", c, company, id, needs[id]))
		}
		// Everything is for IPv6 too, and no requirement is of IPv6 alone.
		if c != impl.IPv6 && len(company) > 0 && len(unverified(c, nil, needs)) == 0 {
			wrong = append(wrong, fmt.Errorf("profile %s can be certified without %v", c, company))
		}
	}
	return errors.Join(wrong...)
}

// unverified are the requirements of a capability, with those it contains, that no spec can verify where nothing but it and its
// company is certified.
func unverified(c impl.Capability, company []impl.Capability, needs map[string][][]string) (ids []string) {
	own := impl.WithContained([]impl.Capability{c})
	there := slices.Concat(own, company)
	isThere := func(need string) bool { return need == tracesNeeded || slices.Contains(there, impl.Capability(need)) }
	for _, p := range published() {
		enough := func(spec []string) bool {
			return !slices.ContainsFunc(spec, func(need string) bool { return !isThere(need) })
		}
		if slices.Contains(own, p.Capability) && p.Status == statusNow && !slices.ContainsFunc(needs[p.ID], enough) {
			ids = append(ids, p.ID)
		}
	}
	return ids
}
