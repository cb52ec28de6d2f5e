package fig11

import (
	"net"
	"slices"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/plexlab-dev/plexlab/conformance/requirements"
	"github.com/plexlab-dev/plexlab/conformance/trial"
	"github.com/plexlab-dev/plexlab/harness/verdict"
	"github.com/plexlab-dev/plexlab/topo"
)

var _ = describe("in the Sysplex of Figure 9", func(f plex) {
	// Two web servers of MVS2 that share the port are the servers of one system (T13): MVS2 gets its
	// third of the connections, with both and with either of them.
	It("several servers of a stack are one target", requirements.Covers("T13", "I9", "fig11/128-yes->130"), func() {
		s := f.System("figure9.yaml", func(t *topo.Topology) {
			appA := slices.IndexFunc(t.Applications, func(a topo.Application) bool { return a.Name == "APPA" })
			share := map[string]string{}
			for name, text := range t.Applications[appA].Files {
				share[name] = strings.ReplaceAll(text, ":60;", ":60 reuseport;")
			}
			t.Applications[appA].Files = share
			second := t.Applications[appA]
			second.Name, second.On = "APPC", []string{"MVS2"}
			t.Applications = append(t.Applications, second)
		})
		service := at(f.DVA1, 60)
		s.EventuallyTargets("MVS1", service, "MVS1", "MVS2", "MVS4")
		third := map[string]int{"MVS1": 4, "MVS2": 4, "MVS4": 4}
		Expect(s.Answers(service, 12)).To(Equal(third))
		s.EndApplication("MVS2", "APPC")
		Expect(s.Answers(service, 12)).To(Equal(third))
		s.EndApplication("MVS2", "APPA")
		s.EventuallyTargets("MVS1", service, "MVS1", "MVS4")
	})

	// DESTIP ALL "may include future stacks" (T17): MVS3, started when MVS5 has long been the routing
	// stack of DVB1, is a target as soon as its server listens, nobody defined anything anew, and a
	// connection of before goes on.
	It("ALL takes in a stack that starts later", requirements.Covers("T17", "fig11/124-yes->126", "fig11/122-yes->124"), func() {
		s := f.System("figure9.yaml", nil)
		service := at(f.DVB1, 60)
		verdict.Engine(s.Lab.Kill(s.Context(), "MVS3"), "kill MVS3")
		s.EventuallyTargets("MVS5", service, "MVS2", "MVS5")
		held := s.HoldOne("MVS5", service, "MVS2")
		s.Start("MVS3")
		s.EventuallyTargets("MVS5", service, "MVS2", "MVS3", "MVS5")
		Expect(s.Answers(service, 6)).To(Equal(map[string]int{"MVS2": 2, "MVS3": 2, "MVS5": 2}))
		expectServed(held, "APPB on MVS2")
	})
})

// expectServed asks a web server on a connection that is open already.
func expectServed(conn net.Conn, want string) {
	GinkgoHelper()
	Expect(conn.SetDeadline(time.Now().Add(trial.Limit()))).To(Succeed())
	_, err := conn.Write([]byte("GET / HTTP/1.0\r\n\r\n"))
	Expect(err).NotTo(HaveOccurred())
	answer := make([]byte, 1024)
	n, err := conn.Read(answer)
	Expect(err).NotTo(HaveOccurred())
	Expect(string(answer[:n])).To(ContainSubstring(want))
}
