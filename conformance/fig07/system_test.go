package fig07

import (
	"net/netip"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/plexlab-dev/plexlab/conformance/requirements"
	"github.com/plexlab-dev/plexlab/conformance/trial"
)

var _ = trial.DescribeFamilies("in the Sysplex of Figure 9", func(f trial.Family) {
	// MVS5 keeps its list of candidate servers up to date as instances of APP B end and start.
	It("a server that ends gets no connection, and gets its share when it starts again",
		requirements.Covers("fig07/700-candidate->702"), func() {
			s := f.System("figure9.yaml", nil)
			appB := netip.AddrPortFrom(f.DVB1, 60)
			s.EventuallyTargets("MVS5", appB, "MVS2", "MVS3", "MVS5")
			Expect(s.Answers(appB, 6)).To(Equal(map[string]int{"MVS2": 2, "MVS3": 2, "MVS5": 2}))

			added := s.Listen("MVS4", "APPB", appB)
			s.EventuallyTargets("MVS5", appB, "MVS2", "MVS3", "MVS4", "MVS5")
			added.Kill()
			s.EventuallyTargets("MVS5", appB, "MVS2", "MVS3", "MVS5")
			Expect(s.Answers(appB, 6)).To(HaveLen(3))
		})
})
