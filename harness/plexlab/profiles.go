package main

import (
	"slices"
	"strings"

	"github.com/plexlab-dev/plexlab/harness/certificate"
	"github.com/plexlab-dev/plexlab/harness/impl"
)

// chooseProfiles checks profiles against what the manifest declares, and the manifest's deviations.
func (c *certification) chooseProfiles(profiles []string) error {
	if err := c.implementation.CheckTerms(); err != nil {
		return usageError{err}
	}
	for _, d := range c.implementation.Deviations {
		if d.Interpretation != "" && !certificate.IsPublished(d.Interpretation) {
			return usagef("the manifest deviates from %s, and there is no such interpretation", d.Interpretation)
		}
	}
	if len(c.implementation.Capabilities) == 0 {
		return usagef("the manifest of %s declares no capability; there is nothing to certify", c.implementation.Name)
	}
	for _, name := range profiles {
		profile := impl.Capability(name)
		if !slices.Contains(impl.Capabilities(), profile) {
			return usagef("profile %q: expected one of %v", name, impl.Capabilities())
		}
		if !c.implementation.Has(profile) {
			return usagef("%s does not declare %s; it declares %v", c.implementation.Name, name, c.implementation.Capabilities)
		}
		c.terms.Chosen = append(c.terms.Chosen, profile)
	}
	c.terms.Chosen = impl.WithContained(c.terms.Chosen)
	return c.checkCompany()
}

// checkCompany refuses profiles whose specs need another one that is not there.
func (c *certification) checkCompany() error {
	about := c.terms.Chosen
	if len(about) == 0 {
		about = c.implementation.Capabilities
	}
	for _, profile := range about {
		company := impl.Company(profile)
		missing := slices.DeleteFunc(slices.Clone(company), func(p impl.Capability) bool { return slices.Contains(about, p) })
		if len(missing) == 0 {
			continue
		}
		undeclared := slices.DeleteFunc(slices.Clone(missing), c.implementation.Has)
		if len(undeclared) > 0 {
			return usagef("profile %s is certified together with %s, and %s does not declare %s; declare that too, or choose others with --profile",
				profile, enumerated(company), c.implementation.Name, enumerated(undeclared))
		}
		return usagef("profile %s is certified together with %s; add %s to --profile", profile, enumerated(company), enumerated(missing))
	}
	return nil
}

// enumerated is as --profile has it.
func enumerated(profiles []impl.Capability) string {
	var names []string
	for _, p := range profiles {
		names = append(names, string(p))
	}
	return strings.Join(names, ",")
}
