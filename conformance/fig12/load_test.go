package fig12

import (
	"errors"
	"strconv"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/plexlab-dev/plexlab/conformance/requirements"
	"github.com/plexlab-dev/plexlab/conformance/trial"
	"github.com/plexlab-dev/plexlab/harness/segment"
	"github.com/plexlab-dev/plexlab/harness/verdict"
	"github.com/plexlab-dev/plexlab/topo"
)

// request is one that a web server answers and keeps the connection open for, so that it is the
// client who closes.
const request = "GET / HTTP/1.1\r\nHost: plex\r\n\r\n"

// The longest specs begin first, for the sake of those who run them side by side.
var _ = Describe("in the Sysplex of Figure 9", SpecPriority(2), func() {
	// Every packet of a connection goes where its SYN went: another target, or the routing stack
	// itself, would answer with RST. When all connections have ended, the table holds none of them.
	It("fifty thousand short connections reach their targets and leave the table empty",
		requirements.Covers("fig12/140-yes->150", "fig12/145-yes->144", "I3"), func() {
			const (
				connections, workers = 50_000, 16
				// emptied is how long after the last connection the table may hold something of one.
				emptied = 10 * time.Second
			)
			s := trial.Busy("figure9.yaml", nil)
			s.EventuallyTargets("MVS1", appA, "MVS1", "MVS2", "MVS4")
			result := s.Load(appA, "--request", request, "--close", "fin",
				"--sources", "192.168.46.32/29", // ports for all, while remnants hold them
				"--workers", strconv.Itoa(workers), "--connections", strconv.Itoa(connections/workers))
			Expect(result.Failures).To(BeEmpty())
			Expect(result.Connections).To(Equal(connections))

			routing := s.Lab.Control("MVS1")
			defer routing.Close()
			Eventually(func() (int, error) {
				table, err := routing.VCRT(s.Context(), 1)
				if errors.Is(err, errors.ErrUnsupported) {
					return 0, nil // nothing but the stack itself can tell
				}
				return table.Total, err
			}).WithTimeout(emptied).WithPolling(trial.Quiet).Should(BeZero(), "entries of the connection routing table")
			verdict.Engine(s.Capture.Stop(), "capture packets")
			Expect(s.Capture.All().None(segment.Pattern{Has: segment.RST})).To(Succeed())
		})

	// A client that uses its address and port again at once meets the entry of the connection
	// before, which may be under way to its end. On MVS4 the listener bound to DVA1 comes and goes,
	// and the stack with it among the targets, while one on the unspecified address (I17: no target)
	// takes what is under way: so wherever a SYN is rightly sent, somebody listens.
	It("one 4-tuple used ten thousand times always reaches somebody who listens, also while the targets change",
		requirements.Covers("fig12/140-yes->150", "fig12/145-yes->144", "fig12/146->150"), func() {
			const connections = 10_000
			s := trial.Busy("figure9.yaml", listenAnywhereOnMVS4)
			s.EventuallyTargets("MVS1", appA, "MVS1", "MVS2")
			listener := s.Listen("MVS4", "APPX", appA, "shared")

			done := make(chan struct{})
			go func() {
				defer GinkgoRecover()
				defer close(done)
				result := s.Load(appA, "--close", "rst", "--sources", "192.168.46.32/32", "--port", "40000",
					"--workers", "1", "--connections", strconv.Itoa(connections))
				Expect(result.Failures).To(BeEmpty())
				Expect(result.Connections).To(Equal(connections))
			}()
			changes := 0
			for running := true; running; changes++ {
				s.EventuallyTargets("MVS1", appA, "MVS1", "MVS2", "MVS4")
				listener.Close()
				s.EventuallyTargets("MVS1", appA, "MVS1", "MVS2")
				listener.Again()
				select {
				case <-done:
					running = false
				default:
				}
			}
			if changes < 3 {
				verdict.IsVacuous("the targets changed %d times during the run", changes)
			}
		})
})

// listenAnywhereOnMVS4 has the web server of APPA listen on the unspecified address of MVS4, and
// share the port.
func listenAnywhereOnMVS4(t *topo.Topology) {
	appA := &t.Applications[0]
	const file = "nginx.conf"
	anywhere := *appA
	anywhere.Name, anywhere.On = "ANYWHERE", []string{"MVS4"}
	anywhere.Files = map[string]string{
		file: strings.Replace(appA.Files[file], `listen {{.Address "DVA1"}}:60;`, `listen 0.0.0.0:60 reuseport;`, 1),
	}
	appA.On = []string{"MVS1", "MVS2"}
	t.Applications = append(t.Applications, anywhere)
}
