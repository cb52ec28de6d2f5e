package trial

import (
	"strings"

	"github.com/onsi/ginkgo/v2"
	"github.com/onsi/gomega"

	"github.com/plexlab-dev/plexlab/harness/verdict"
)

// ExpectPacketPath expects that one packet, which stimulus sends and sees through, passes these edges
// of Figures 8 and 12 in the stack under test, each once, and no others of these figures. Of an
// implementation without traces nothing more is asked than what stimulus expects.
func (u *UnitTrial) ExpectPacketPath(stimulus func(), edges ...string) {
	ginkgo.GinkgoHelper()
	if !u.Implementation.Traces {
		stimulus()
		return
	}
	before, err := u.Edges(u.ctx, u.Stack)
	verdict.Engine(err, "ask %s for its trace", u.Stack)
	stimulus()
	after, err := u.Edges(u.ctx, u.Stack)
	verdict.Engine(err, "ask %s for its trace", u.Stack)

	want, passed := map[string]uint64{}, map[string]uint64{}
	for _, edge := range edges {
		want[edge] = 1
	}
	for edge, count := range after {
		ofPackets := strings.HasPrefix(edge, "fig08/") || strings.HasPrefix(edge, "fig12/")
		if ofPackets && count != before[edge] {
			passed[edge] = count - before[edge]
		}
	}
	gomega.Expect(passed).To(gomega.Equal(want), "edges that one packet passed")
}
