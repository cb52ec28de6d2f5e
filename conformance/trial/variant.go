package trial

import (
	"fmt"
	"slices"
	"strings"

	"github.com/onsi/ginkgo/v2"

	"github.com/plexlab-dev/plexlab/harness/impl"
	"github.com/plexlab-dev/plexlab/harness/report"
	"github.com/plexlab-dev/plexlab/harness/verdict"
)

// inVariant is a manifest by which stacks start in one reading of Figure 5. An implementation
// whose start command does not name the variant has one reading only: any other ends the spec
// with UNIMPLEMENTED.
func inVariant(manifest *impl.Manifest, variant impl.Variant) *impl.Manifest {
	ginkgo.GinkgoHelper()
	if variant == "" || variant == manifest.Variant {
		return manifest
	}
	own, err := manifest.StartCommand(impl.Parameters{})
	verdict.Engine(err, "fill in the start command")
	other, err := manifest.StartCommand(impl.Parameters{Variant: variant})
	verdict.Engine(err, "fill in the start command")
	if slices.Equal(own, other) {
		verdict.NeedsCapability([]impl.Variant{manifest.Variant}, variant)
	}
	changed := *manifest
	changed.Variant = variant
	return &changed
}

// Declares reports whether the implementation under test declares a capability.
func Declares(capability impl.Capability) bool {
	ginkgo.GinkgoHelper()
	return implementation().Has(capability)
}

// needing begins the label of a spec that says what it needs.
const needing = "needs "

// Needing says of specs that they need capabilities. Unlike with Needs a spec tells of them even where another one ends it.
func Needing(capabilities ...impl.Capability) ginkgo.Labels {
	var labels ginkgo.Labels
	for _, capability := range capabilities {
		labels = append(labels, needing+string(capability))
	}
	return labels
}

// needed is what the spec that runs needs by its suite and its labels.
func needed() []impl.Capability {
	all := slices.Clone(suiteNeeds)
	for _, label := range ginkgo.CurrentSpecReport().Labels() {
		if name, ok := strings.CutPrefix(label, needing); ok {
			all = append(all, impl.Capability(name))
		}
	}
	return all
}

// Needs ends the spec with UNIMPLEMENTED unless the implementation under test declares all of the
// capabilities, and skips it where the run is of other profiles.
func Needs(capabilities ...impl.Capability) {
	ginkgo.GinkgoHelper()
	// All are told before the first of them ends the spec.
	for _, capability := range append(needed(), capabilities...) {
		ginkgo.AddReportEntry(report.NeedsEntry, string(capability), ginkgo.ReportEntryVisibilityNever)
	}
	for _, capability := range capabilities {
		verdict.NeedsCapability(implementation().Capabilities, capability)
		if chosen := profiles(); len(chosen) > 0 && !slices.Contains(chosen, string(capability)) {
			ginkgo.Skip(fmt.Sprintf("profile %s was not chosen", capability))
		}
	}
}
