package fig06

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/plexlab-dev/plexlab/conformance/requirements"
	"github.com/plexlab-dev/plexlab/conformance/trial"
	"github.com/plexlab-dev/plexlab/harness/impl"
)

var _ = trial.DescribeFamilies("in the Sysplex of Figure 9", func(f trial.Family) {
	// A server of MVS3 with a port of its own ends; then MVS2 may have that very port, and requests
	// to it reach MVS2. The servers that share port 60 of the same address are not concerned until
	// one of them ends.
	It("a port goes from one stack to another", requirements.Covers("fig06/604-yes->608", "fig06/608->610", "fig06/612-yes->610", "I15"), trial.Needing(impl.ClusterPorts), func() {
		s := f.System("figure9.yaml", trial.AroundDVB1)
		appB := at(f.DVB1, 60)
		s.EventuallyTargets("MVS5", appB, "MVS2", "MVS3", "MVS5")
		ports := s.PortFile()
		first, second, client := s.Program("MVS3", "APPC"), s.Program("MVS2", "APPC"), s.Program(s.Client, "")
		service := first.Listens("a", at(f.DVB1, 5000))
		s.EventuallyConnects(client, "a", service)
		client.Do("close a")
		first.Kill()
		ports.Eventually(service, "available")

		Expect(second.Listens("a", service)).To(Equal(service))
		ports.Expect(service, "unique MVS2")
		s.EventuallyConnects(client, "a", service)
		second.Do("accept a b", "send b MVS2")
		Expect(client.Do("receive a").Text).To(Equal("MVS2"))

		s.EndApplication("MVS3", "APPB")
		s.EventuallyTargets("MVS5", appB, "MVS2", "MVS5")
		ports.Eventually(appB, "shared MVS2 MVS5")
		Expect(s.Answers(appB, 4)).To(Equal(map[string]int{"MVS2": 2, "MVS5": 2}))
	})
}, SpecPriority(1))
