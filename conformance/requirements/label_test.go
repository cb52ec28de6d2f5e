package requirements

import (
	"strings"
	"testing"

	"github.com/onsi/ginkgo/v2/types"
)

func TestLabelsAreAcceptedByGinkgoAndLeadBack(t *testing.T) {
	seen := map[string]string{}
	for _, r := range All() {
		label, err := types.ValidateAndCleanupLabel(Label(r.ID), types.CodeLocation{})
		if err != nil {
			t.Errorf("%s: %v", r.ID, err)
			continue
		}
		if back := FromLabel(label); back != r.ID {
			t.Errorf("%s: label %s leads back to %s", r.ID, label, back)
		}
		// Ginkgo compares labels without regard to case.
		if other, ok := seen[strings.ToLower(label)]; ok {
			t.Errorf("%s and %s have one label", r.ID, other)
		}
		seen[strings.ToLower(label)] = r.ID
	}
}

func TestLabelsCanBeFiltered(t *testing.T) {
	labels := Covers("fig12/142-no->152", "T4")
	for filter, want := range map[string]bool{
		"fig12: containsAny {142-no->152}": true,
		"fig12: containsAny {142-no->153}": false,
		"/^fig12:142/":                     true,
		"/^fig13:/":                        false,
		"T4":                               true,
		"!T4":                              false,
	} {
		match, err := types.ParseLabelFilter(filter)
		if err != nil {
			t.Errorf("%s: %v", filter, err)
		} else if got := match(labels); got != want {
			t.Errorf("%s: want %t, got %t", filter, want, got)
		}
	}
}

func TestCoversRefusesUnknownIDs(t *testing.T) {
	defer func() {
		if r := recover(); r == nil {
			t.Error("want a panic")
		}
	}()
	Covers("fig12/142-maybe->152")
}
