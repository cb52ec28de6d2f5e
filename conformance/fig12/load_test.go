package fig12

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/plexlab-dev/plexlab/conformance/requirements"
	"github.com/plexlab-dev/plexlab/conformance/trial"
	"github.com/plexlab-dev/plexlab/harness/bench/load"
	"github.com/plexlab-dev/plexlab/harness/segment"
	"github.com/plexlab-dev/plexlab/harness/verdict"
	"github.com/plexlab-dev/plexlab/topo"
)

// The longest specs begin first, for the sake of those who run them side by side.
var _ = trial.DescribeFamilies("in the Sysplex of Figure 9", func(f trial.Family) {
	appA := f.At(60)

	// Every packet of a connection goes where its SYN went: any other stack would answer it with
	// RST. The target itself may do so for an acknowledgement that comes after the end. When all
	// connections have ended, the table holds none of them.
	It("tens of thousands of short connections reach their targets and leave the table empty",
		requirements.Covers("fig12/140-yes->150", "fig12/145-yes->144", "I3"), func() {
			const workers = 16
			connections := share(f, 50_000) / workers * workers
			s := f.Busy("figure9.yaml", trial.Serving("APPA"))
			s.EventuallyTargets("MVS1", appA, "MVS1", "MVS2", "MVS4")
			result := s.Load(appA, "--close", "fin",
				"--sources", f.Sources(8), // ports for all, while remnants hold them
				"--workers", strconv.Itoa(workers), "--connections", strconv.Itoa(connections/workers))
			Expect(result.Failures).To(BeEmpty())
			Expect(result.Connections).To(Equal(connections))

			s.EventuallyEmptied("MVS1")
			verdict.Engine(s.Capture.Stop(), "capture packets")
			if resets := resets(s, appA); len(resets) > 0 {
				takers := takers(s, appA)
				for _, r := range resets {
					Expect(takers[r.client]).To(ContainElement(r.stack), "who had connections of %s, which got an RST", r.client)
				}
			}
		})

	// A client that uses its address and port again at once meets the entry of the connection
	// before, which may be under way to its end. On MVS4 the listener bound to DVA1 comes and goes,
	// and the stack with it among the targets, while one on the unspecified address (I17: no target)
	// takes what is under way: so wherever a SYN is rightly sent, somebody listens. A listener that
	// closes resets what its program has not accepted, one connection of this client at most. MVS1 serves
	// nobody; an RST of its own would be for a connection whose entry the end of an earlier use
	// has taken away.
	It("one 4-tuple used thousands of times always reaches somebody who listens, also while the targets change",
		requirements.Covers("fig12/140-yes->150", "fig12/145-yes->144", "fig12/146->150"), func() {
			connections := share(f, 10_000)
			s := f.Busy("figure9.yaml", func(t *topo.Topology) { listenAnywhereOnMVS4(f, t) })
			s.EventuallyTargets("MVS1", appA, "MVS2")
			listener := s.Listen("MVS4", "APPX", appA, "shared")

			done := make(chan struct{})
			var result load.Result
			go func() {
				defer GinkgoRecover()
				defer close(done)
				result = s.Load(appA, "--close", "rst", "--sources", f.Sources(1), "--port", "40000",
					"--workers", "1", "--connections", strconv.Itoa(connections))
			}()
			changes := 0
			for running := true; running; changes++ {
				s.EventuallyTargets("MVS1", appA, "MVS2", "MVS4")
				listener.Close()
				s.EventuallyTargets("MVS1", appA, "MVS2")
				listener.Again()
				select {
				case <-done:
					running = false
				default:
				}
			}
			const byPeer = "connect: connection reset by peer"
			closed := result.Failures[byPeer]
			delete(result.Failures, byPeer)
			Expect(result.Failures).To(BeEmpty())
			Expect(closed).To(BeNumerically("<=", changes), "connections that listeners reset which closed")
			Expect(result.Connections).To(Equal(connections - closed))
			if changes < 3 {
				verdict.IsVacuous("the targets changed %d times during the run", changes)
			}
			verdict.Engine(s.Capture.Stop(), "capture packets")
			byMVS4 := 0
			for _, r := range resets(s, appA) {
				Expect(r.stack).NotTo(Equal("MVS1"), "who answered %s with RST %d", r.client, r.seq)
				// Where nobody listens a SYN is answered with sequence number 0 (RFC 9293, section 3.10.7.1).
				Expect(r.seq).NotTo(BeZero(), "sequence number of the RST of %s", r.stack)
				if r.stack == "MVS4" {
					byMVS4++
				}
			}
			Expect(byMVS4).To(BeNumerically(">=", closed), "RSTs of MVS4, whose listener closed")
		})
}, SpecPriority(2))

// share is how many of so many connections or requests a family opens: IPv4 all of them. That they are many tries
// what does not depend on the family.
func share(f trial.Family, all int) int {
	if f.DVA1.Is6() {
		return all / 5
	}
	return all
}

// takers are the stacks that received SYNs for appA, by the client's end, which may be used more
// than once: MVS2 and MVS4 those that were forwarded to them, MVS1 what is left.
func takers(s *trial.SystemTrial, appA netip.AddrPort) map[netip.AddrPort][]string {
	requests := func(link string) (clients []netip.AddrPort) {
		for _, p := range s.Capture.On(link).Received().Matching(segment.Pattern{Dst: appA, Has: segment.SYN}) {
			clients = append(clients, p.Decode().Segment.Src)
		}
		return clients
	}
	taken := map[netip.AddrPort][]string{}
	left := map[netip.AddrPort]int{}
	for _, client := range requests("MVS1/ext0") {
		left[client]++
	}
	for _, stack := range []string{"MVS2", "MVS4"} {
		for _, client := range requests(stack + "/xcf0") {
			taken[client] = append(taken[client], stack)
			left[client]--
		}
	}
	for client, n := range left {
		if n > 0 {
			taken[client] = append(taken[client], "MVS1")
		}
	}
	return taken
}

// A reset is an RST for appA, and the stack that made it.
type reset struct {
	client netip.AddrPort
	seq    uint32
	stack  string
}

// resets are those that stacks made themselves, not those that MVS1 forwards for the stacks inside.
func resets(s *trial.SystemTrial, appA netip.AddrPort) []reset {
	pattern := segment.Pattern{Src: appA, Has: segment.RST}
	forwarded := map[reset]bool{}
	for _, p := range s.Capture.On("MVS1/xcf0").Received().Matching(pattern) {
		rst := p.Decode().Segment
		forwarded[reset{rst.Dst, rst.Seq, "MVS1"}] = true
	}
	var all []reset
	for _, link := range []string{"MVS1/ext0", "MVS2/xcf0", "MVS3/xcf0", "MVS4/xcf0", "MVS5/ext0", "MVS5/xcf0"} {
		for _, p := range s.Capture.On(link).Sent().Matching(pattern) {
			rst := p.Decode().Segment
			if r := (reset{rst.Dst, rst.Seq, link[:len("MVS1")]}); !forwarded[r] {
				all = append(all, r)
			}
		}
	}
	return all
}

// listenAnywhereOnMVS4 has the web server of APPA listen at DVA1 on MVS2 alone, and on MVS4 on the
// unspecified address, where it shares the port.
func listenAnywhereOnMVS4(f trial.Family, t *topo.Topology) {
	trial.Serving("APPA")(t)
	appA := &t.Applications[0]
	const file = "nginx.conf"
	anywhere := *appA
	anywhere.Name, anywhere.On = "ANYWHERE", []string{"MVS4"}
	anywhere.Files = map[string]string{
		file: strings.Replace(appA.Files[file],
			fmt.Sprintf("listen %s;", f.InURL(`{{.Address "DVA1"}}`, 60)),
			fmt.Sprintf("listen %s reuseport;", f.InURL(f.Any.String(), 60)), 1),
	}
	appA.On = []string{"MVS2"}
	t.Applications = append(t.Applications, anywhere)
}
