package fig05

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/plexlab-dev/plexlab/conformance/requirements"
	"github.com/plexlab-dev/plexlab/conformance/trial"
)

var _ = trial.DescribeFamilies("in the Sysplex of Figure 9", func(f trial.Family) {
	// The example has CLUSTERPORTS for DVB1 and three instances of APPB on port 60, which is
	// distributed and so shared (I15). A server of MVS3 that names no port gets one of its own:
	// every request to it reaches MVS3, while port 60 goes on being distributed (T5, T6, T42).
	It("servers share the distributed port, and one has a port of its own",
		requirements.Covers("fig05/502-yes->504", "fig05/504->506", "I15", "T5", "T6", "T42"), func() {
			s := f.System("figure9.yaml", trial.AroundDVB1)
			appB := at(f.DVB1, 60)
			s.EventuallyTargets("MVS5", appB, "MVS2", "MVS3", "MVS5")
			ports := s.PortFile()
			ports.Expect(appB, "shared MVS2 MVS3 MVS5")

			own := s.Program("MVS3", "APPC").Listens("a", at(f.DVB1, 0))
			ports.Expect(own, "unique MVS3")
			client := s.Program(s.Client, "")
			for _, name := range []string{"a", "b", "c"} {
				s.EventuallyConnects(client, name, own)
				client.Do("close " + name)
			}
			Expect(s.Answers(appB, 6)).To(Equal(map[string]int{"MVS2": 2, "MVS3": 2, "MVS5": 2}))
		})
}, SpecPriority(1))
