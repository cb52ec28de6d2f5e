package requirements

import (
	"fmt"
	"strings"

	"github.com/onsi/ginkgo/v2"
)

// Label is the form an id takes as a Ginkgo label. Ginkgo refuses & | ! , ( ) and / in labels
// (types.ValidateAndCleanupLabel), so the slash of an id becomes a colon; no id holds a colon of
// its own. Ginkgo then reads the label as a member of a set, and a run can be narrowed to
// --label-filter='fig12: containsAny {142-no->152}' or to '/^fig12:/'.
func Label(id string) string { return strings.ReplaceAll(id, "/", ":") }

// FromLabel is the inverse of Label.
func FromLabel(label string) string { return strings.ReplaceAll(label, ":", "/") }

// Covers labels a spec with the requirements it verifies:
//
//	It("leaves a segment without an entry to local TCP", Covers("fig12/142-no->152"), func() { ... })
//
// It panics on an id that does not exist, which ends the suite before its first spec. Ids are
// written out as literals, so that Scan finds them without running anything.
func Covers(ids ...string) ginkgo.Labels {
	labels := make(ginkgo.Labels, 0, len(ids))
	for _, id := range ids {
		if _, ok := ByID(id); !ok {
			panic(fmt.Sprintf("requirements: there is no requirement %q", id))
		}
		labels = append(labels, Label(id))
	}
	return labels
}
