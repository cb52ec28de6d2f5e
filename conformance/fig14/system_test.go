package fig14

import (
	. "github.com/onsi/ginkgo/v2"

	"github.com/plexlab-dev/plexlab/conformance/requirements"
	"github.com/plexlab-dev/plexlab/conformance/trial"
)

var _ = trial.DescribeFamilies("in the Sysplex of Figure 9", func(f trial.Family) {
	// "... for example, by termination of an application": a web server of MVS3, unmodified, ends, and
	// with it its share of the connections and its mark in the coupling facility.
	It("the application ends", requirements.Covers("fig14/180-yes->184", "fig14/190->192", "fig14/192->194"), func() {
		s := f.System("figure9.yaml", trial.AroundDVB1)
		appB := at(f.DVB1, 60)
		s.EventuallyTargets("MVS5", appB, "MVS2", "MVS3", "MVS5")
		ports := s.PortFile()
		ports.Expect(appB, "shared MVS2 MVS3 MVS5")
		for _, step := range []struct{ ends, left string }{{"MVS3", "shared MVS2 MVS5"}, {"MVS5", "shared MVS2"}, {"MVS2", "available"}} {
			s.EndApplication(step.ends, "APPB")
			ports.Eventually(appB, step.left)
		}
		s.EventuallyTargets("MVS5", appB)
		ports.ExpectClean(f.DVB1)
	})
}, SpecPriority(1))
