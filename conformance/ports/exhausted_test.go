package ports

import (
	"slices"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"golang.org/x/sys/unix"

	"github.com/plexlab-dev/plexlab/conformance/requirements"
	"github.com/plexlab-dev/plexlab/conformance/trial"
	"github.com/plexlab-dev/plexlab/topo"
)

// closings is how often a spec closes a socket and binds another one at once.
const closings = 250

var _ = trial.DescribeFamilies("a pool of which every port is in use", func(f trial.Family) {
	both(func(sharing string) {
		// "The port may be identified as ... available" when its socket is closed (I18). For a stack that knows of its sockets
		// by and by that is no reason to refuse a program which has closed one and binds another: "no port is available" (I13)
		// has to be true.
		It("has a port for a program that has just closed one", requirements.Covers("I13", "I18", "T35"), func() {
			s := started(f.System, sharing, among("MVS2", "MVS3", "MVS5"), func(t *topo.Topology) {
				t.ClusterPorts.First, t.ClusterPorts.Last = 5000, 5007
			})
			mvs2 := s.Program("MVS2", "APPC")
			sockets := []string{"a", "b", "c", "d"}
			others := takes(f, s.Program("MVS3", "APPC"), sockets...)
			for _, name := range sockets {
				s.EventuallyBinds(mvs2, name, at(f.DVB1, 0))
			}
			mvs2.Refused(unix.EADDRINUSE, at(f.DVB1, 0))
			for i := range closings {
				name := sockets[i%len(sockets)]
				mvs2.Do("close " + name)
				Expect(slices.Contains(others, mvs2.Binds(name, at(f.DVB1, 0)))).To(BeFalse(), "it is a port of MVS3")
			}
		})
	})
})
