package fig15

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"golang.org/x/sys/unix"

	"github.com/plexlab-dev/plexlab/conformance/requirements"
	"github.com/plexlab-dev/plexlab/conformance/trial"
	"github.com/plexlab-dev/plexlab/topo"
)

var _ = trial.DescribeFamilies("in the Sysplex of Figure 9", func(f trial.Family) {
	// Three stacks bind to one DVIPA, whichever way the plex shares its ports (T35): each gets a port
	// of its own for port 0, a number that one has is refused to the others, and is to be had as
	// soon as it is given back.
	DescribeTable("a port has one owner",
		func(sharing string) {
			s := f.System("figure9.yaml", func(t *topo.Topology) {
				trial.Serving()(t)
				trial.Without("MVS4")(t)
				t.ClusterPorts.Sharing = sharing
			})
			mvs2, mvs3, mvs5 := s.Program("MVS2", "APPC"), s.Program("MVS3", "APPC"), s.Program("MVS5", "APPC")
			got := map[uint16]bool{}
			for _, p := range []*trial.Program{mvs2, mvs3, mvs5} {
				for _, name := range []string{"a", "b"} {
					got[p.Binds(name, at(f.DVB1, 0)).Port()] = true
				}
			}
			Expect(got).To(HaveLen(6), "ports for six sockets")

			service := at(f.DVB1, 5000)
			mvs3.Binds("c", service)
			mvs2.Refused(unix.EADDRINUSE, service)
			mvs5.Refused(unix.EADDRINUSE, service)
			mvs3.Do("close c")
			s.EventuallyBinds(mvs2, "c", service)
			mvs3.Refused(unix.EADDRINUSE, service)
			mvs3.Refused(unix.EADDRNOTAVAIL, f.At(5000)) // it is no target of that one
		},
		Entry("with the port file", requirements.Covers("fig15/204-no->206", "fig15/205-selected->208", "fig15/216-no->218"), "port-file"),
		Entry("with the distributor's table", requirements.Covers("T35", "fig15/204-no->206", "fig15/205-selected->208"), "distributor"),
	)
}, SpecPriority(1))
