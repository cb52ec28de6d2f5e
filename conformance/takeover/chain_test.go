package takeover

import (
	"fmt"
	"net/netip"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"golang.org/x/sys/unix"

	"github.com/plexlab-dev/plexlab/conformance/requirements"
	"github.com/plexlab-dev/plexlab/conformance/trial"
	"github.com/plexlab-dev/plexlab/harness/capture"
	"github.com/plexlab-dev/plexlab/harness/impl"
	"github.com/plexlab-dev/plexlab/harness/puppet"
	"github.com/plexlab-dev/plexlab/harness/segment"
	"github.com/plexlab-dev/plexlab/harness/verdict"
	"github.com/plexlab-dev/plexlab/nodes/contract"
	"github.com/plexlab-dev/plexlab/topo"
)

// backsUp is the profile of a stack that backs DVA1 up, with more statements.
func backsUp(more string) string {
	return "VIPADYNAMIC\nVIPABACKUP 100 DVA1\n" + more + "\nENDVIPADYNAMIC"
}

// epoch is that at which MVS1 owns what the stack under test backs up.
const epoch = 7

var _ = trial.DescribeFamilies("a backup", func(f trial.Family) {
	// "If the protocol stack is a backup stack it stores the DVIPA information for use in the event of
	// failure of the primary routing stack" (T48): what it distributes then, and under which mask, is what
	// the list of the one before said (134).
	It("takes over with the list that it kept, and tells it before it advertises",
		requirements.Covers("T44", "T48", "fig11/132-yes->135", "fig11/135-no->134", "fig11/134->end", "fig10/102->104"), func() {
			u := f.Unit(trial.UnitConfig{Self: 5, Profile: backsUp(""), Partners: []int{1, 2}})
			mvs1, mvs2 := u.Join(1), u.Join(2)
			kept := stacks(f, 2, 3)
			kept.Ports = []contract.PortRange{{First: 60, Last: 69}}
			mvs1.Tell(primary(f, f.DVA1, epoch, kept))
			since := u.Capture.Mark()
			mvs1.Close()

			list := mvs2.ExpectMessage(owns(epoch, f.DVA1)).(contract.VIPAList)
			taken := backup(f, f.DVA1, owned(list, f.DVA1), 100, kept)
			Expect(list.DVIPAs).To(ConsistOf(taken))
			advertised, err := u.Capture.On(u.OutsideLink).Sent().After(since).Await(u.Soon(), answersFor(f.DVA1))
			Expect(err).NotTo(HaveOccurred())
			told, err := u.Capture.On(mvs2.Link).Received().After(since).Await(u.Soon(), toldOnXCF(f.XCF(5)))
			Expect(err).NotTo(HaveOccurred())
			Expect(told.Time).To(BeTemporally("<", advertised.Time), "the list is told, then the DVIPA is advertised")
			mac, err := u.Client().Resolve(u.Soon(), f.DVA1)
			Expect(err).NotTo(HaveOccurred())
			Expect(mac.String()).To(Equal(u.MAC(u.Stack)))

			mvs2.Say(mvs2.SRVSTAT(f.At(60), true), contract.EndOfList{})
			u.EventuallyForwarded(f.At(60), mvs2)
		})

	// "The backup protocol stack may utilize a different distribution pattern than the primary protocol
	// stack ... by, for example, adding candidate target stacks that are only utilized when a failure of the
	// routing stack occurs" (T29): its own VIPADISTribute overrides the list (135).
	It("distributes by its own statement where it has one, also to targets that only it uses",
		requirements.Covers("T29", "fig11/135-yes->end"), func() {
			u := f.Unit(trial.UnitConfig{
				Self: 5, Partners: []int{1, 2, 3},
				Profile: backsUp("VIPADISTRIBUTE DVA1 PORT 60 DESTIP XCF3"),
			})
			mvs1, mvs2, mvs3 := u.Join(1), u.Join(2), u.Join(3)
			mvs1.Tell(primary(f, f.DVA1, epoch, stacks(f, 2)))
			mvs1.Close()
			list := mvs3.ExpectMessage(owns(epoch, f.DVA1)).(contract.VIPAList)
			own := stacks(f, 3)
			own.Ports = []contract.PortRange{{First: 60, Last: 60}}
			Expect(list.DVIPAs[0].Distribution).To(Equal(own))

			mvs2.ExpectMessage(owns(epoch, f.DVA1))
			mvs2.Say(mvs2.SRVSTAT(f.At(60), true), contract.EndOfList{})
			mvs3.Say(mvs3.SRVSTAT(f.At(60), true), contract.EndOfList{})
			u.EventuallyForwarded(f.At(60), mvs3)
			Expect(u.Shares(f.At(60), 4, mvs2, mvs3)).To(Equal(map[string]int{mvs3.Link: 4}), "who takes requests for %s", f.At(60))
		})

	// What is stored (T48) includes "SOURCEIPA DVB1 APPB": an application opens its next connection with the source of those
	// before (I26), on the new owner and, by its list, on stacks without a profile. What stands in its own profile it tells as ever.
	It("keeps the rules for the source of connections, applies them and tells them", requirements.Covers("T48", "I26", "T25"), trial.Needing(impl.Outbound), func() {
		u := f.Unit(trial.UnitConfig{Self: 5, Profile: backsUp("SOURCEIPA DVA1 APPC"), Partners: []int{1, 2}})
		mvs1, mvs2 := u.Join(1), u.Join(2)
		of := func(application string) contract.SourceIPA {
			return contract.SourceIPA{Address: f.DVA1, Application: application}
		}
		mvs1.TellAll(contract.VIPAList{
			DVIPAs: []contract.DVIPA{primary(f, f.DVA1, epoch, stacks(f, 2))},
			SourceIPAs: []contract.SourceIPA{
				of("APPA"), of("APPC"), {Address: f.DVB1, Application: "APPB"},
			},
		})
		mvs1.Close()
		list := mvs2.ExpectMessage(owns(epoch, f.DVA1)).(contract.VIPAList)
		Expect(list.SourceIPAs).To(ConsistOf(of("APPA"), of("APPC")))
		mvs2.Say(contract.EndOfList{})

		server := netip.AddrPortFrom(f.Client, 9000)
		program := u.Program(u.Stack, "APPA")
		since := u.Capture.Mark()
		program.Do(trial.SocketOrder("a", server, puppet.Nonblocking))
		Expect(program.Try("connect a " + server.String()).Errno).To(Equal(unix.EINPROGRESS))
		syn, err := u.Capture.On(u.OutsideLink).Sent().After(since).Await(u.Soon(),
			segment.Pattern{Dst: server, Has: segment.SYN, Lacks: segment.ACK})
		Expect(err).NotTo(HaveOccurred())
		Expect(syn.Decode().Segment.Src.Addr()).To(Equal(f.DVA1), "source of a connection that APPA opens")
	})

	// "A communication protocol stack with the higher rank will take over the dynamic VIPAs before a
	// communication protocol stack with a lower rank"; of equal ranks the lower XCF address does (I10), and
	// one without a link to network 44 comes last (I39). "Different DVIPAs may have different sets of
	// backup stacks, possibly overlapping" (T16). MVS1 owned all six. Those for which MVS3 comes first MVS5
	// takes too, because MVS3 does not (I32), but after the others.
	It("takes at once what nobody comes before it for, and later what whoever comes before leaves",
		requirements.Covers("T16", "I10", "I32", "I39"), func() {
			behindByRank, aheadByRank := f.DVA1, f.DVB1
			behindByAddress := aheadByRank.Next()
			aheadByAddress := behindByAddress.Next()
			aheadByLink := aheadByAddress.Next()
			others := aheadByLink.Next()
			u := f.Unit(trial.UnitConfig{
				Self: 5, Partners: []int{1, 2, 3, 7},
				Profile: backsUp(fmt.Sprintf("VIPABACKUP 100 DVB1 %s %s %s", behindByAddress, aheadByAddress, aheadByLink)),
			})
			mvs1, mvs2, mvs3, mvs7 := u.Join(1), u.Join(2), joinOutside(u, 3), joinOutside(u, 7)
			var all []contract.DVIPA
			for _, dvipa := range []netip.Addr{behindByRank, aheadByRank, behindByAddress, aheadByAddress, aheadByLink, others} {
				all = append(all, primary(f, dvipa, epoch, stacks(f, 2)))
			}
			mvs1.Tell(all...)
			mvs2.Tell(backup(f, aheadByLink, 0, 254, nil))
			mvs3.Tell(backup(f, behindByRank, 0, 101, nil), backup(f, aheadByRank, 0, 99, nil),
				backup(f, behindByAddress, 0, 100, nil), backup(f, others, 0, 1, nil))
			mvs7.Tell(backup(f, aheadByAddress, 0, 100, nil))
			mvs1.Close()

			first := mvs7.ExpectMessage(owns(epoch, aheadByRank, aheadByAddress, aheadByLink)).(contract.VIPAList)
			Expect(owned(first, behindByRank)).To(BeZero(), "epoch of what a higher rank comes first for")
			Expect(owned(first, behindByAddress)).To(BeZero(), "epoch of what a lower XCF address of that rank comes first for")
			last := mvs7.ExpectMessage(owns(epoch, behindByRank, behindByAddress)).(contract.VIPAList)
			Expect(owned(last, others)).To(BeZero(), "epoch of what this stack does not back up")
		})
})

// toldOnXCF is a segment that carries messages of a stack.
func toldOnXCF(from netip.Addr) capture.Match {
	return capture.Where("messages of "+from.String(), func(d segment.Decoded) bool {
		return d.Kind == segment.TCP && d.SrcIP == from && len(d.Segment.Payload) > 0
	})
}

var _ = trial.DescribeFamilies("a backup chain", func(f trial.Family) {
	// Every stack is attached to network 44; MVS2, MVS5 and MVS3 back DVA1 up in this order. The owners die
	// one after the other; a connection to MVS4 goes on through all of them. A backup that comes back
	// takes nothing from the one that has taken over; the primary does.
	It("is gone through from the highest living rank to the lowest",
		requirements.Covers("T10", "T16", "T28", "T44", "T45", "T47", "I33"), func() {
			appA := f.At(60)
			s := f.System("figure9-outside.yaml", func(t *topo.Topology) {
				t.Stacks[1].Profile = "VIPADYNAMIC VIPABACKUP 200 DVA1 ENDVIPADYNAMIC"
				t.Stacks[2].Profile = "VIPADYNAMIC VIPABACKUP 50 DVA1 ENDVIPADYNAMIC"
				t.Applications = t.Applications[:1] // APPA: with MVS5 the owner of DVB1 dies, which nobody backs up
			})
			neighbour := s.Neighbour()
			s.EventuallyTargets("MVS1", appA, "MVS1", "MVS2", "MVS4")
			held := s.HoldOne("MVS1", appA, "MVS4")
			for _, step := range []struct{ dies, owner string }{{"MVS1", "MVS2"}, {"MVS2", "MVS5"}, {"MVS5", "MVS3"}} {
				By(step.dies + " dies")
				verdict.Engine(s.Lab.Kill(s.Context(), step.dies), "kill %s", step.dies)
				s.EventuallyOwner(neighbour, f.DVA1, step.owner)
				s.ExpectAlive(held)
			}
			s.EventuallyTargets("MVS3", appA, "MVS4")
			Expect(s.Answers(appA, 2)).To(Equal(map[string]int{"MVS4": 2}))

			By("MVS2 comes back")
			s.Start("MVS2")
			s.EventuallyTargets("MVS3", appA, "MVS2", "MVS4")
			s.ExpectAlive(held)
			By("MVS1 comes back")
			s.Start("MVS1")
			s.EventuallyOwner(neighbour, f.DVA1, "MVS1")
			s.EventuallyTargets("MVS1", appA, "MVS1", "MVS2", "MVS4")
			s.ExpectAlive(held)
		})
}, SpecPriority(1))
