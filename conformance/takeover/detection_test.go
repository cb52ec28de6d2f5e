package takeover

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/plexlab-dev/plexlab/conformance/requirements"
	"github.com/plexlab-dev/plexlab/conformance/trial"
	"github.com/plexlab-dev/plexlab/harness/capture"
	"github.com/plexlab-dev/plexlab/harness/segment"
	"github.com/plexlab-dev/plexlab/harness/verdict"
	"github.com/plexlab-dev/plexlab/topo"
)

// A field is the Sysplex of Figure 9 in which something happens to MVS1, the owner of DVA1, which MVS5
// backs up.
type field struct {
	*trial.SystemTrial
	f         trial.Family
	neighbour *segment.Host
	// own is a connection that MVS1 serves, onMVS2 one that MVS2 does.
	own, onMVS2 net.Conn
}

// newField has MVS1, MVS2 and other targets serve.
func newField(f trial.Family, change func(*topo.Topology), others ...string) *field {
	GinkgoHelper()
	targets := append([]string{"MVS1", "MVS2"}, others...)
	s := f.System("figure9.yaml", func(t *topo.Topology) {
		aroundDVA1(t)
		servedOnlyBy(t, targets...)
		if change != nil {
			change(t)
		}
		t.Stacks[0].Profile = strings.Replace(t.Stacks[0].Profile, " IMMEDIATE ", " IMMEDIATE CLUSTERPORTS ", 1)
	})
	p := &field{SystemTrial: s, f: f, neighbour: s.Neighbour()}
	appA := f.At(60)
	s.EventuallyTargets("MVS1", appA, targets...)
	p.own, p.onMVS2 = s.HoldOne("MVS1", appA, "MVS1"), s.HoldOne("MVS1", appA, "MVS2")
	return p
}

// moves expects that DVA1 comes to a stack, that the other one answers for it no more, and that the
// connection to MVS2 goes on, also what is sent meanwhile.
func (p *field) moves(to, from string) {
	GinkgoHelper()
	p.ExpectAlive(p.onMVS2)
	p.EventuallyOwner(p.neighbour, p.f.DVA1, to)
	since := p.Capture.Mark()
	for range 3 {
		p.EventuallyOwner(p.neighbour, p.f.DVA1, to)
	}
	Expect(p.Capture.On(from+"/ext0").Sent().After(since).Matching(answersFor(p.f.DVA1))).To(BeEmpty(), "what %s says of DVA1", from)
	p.ExpectAlive(p.onMVS2)
}

var _ = trial.DescribeFamilies("a routing stack of Figure 9", func(f trial.Family) {
	// Without a link to network 44 it is of no use as an owner and hands over (I39); its own connections go on
	// all the same, by way of the new owner. Cut off from XCF, or with no link at all, it cannot be heard: it
	// gives up by itself what the others, who see one another, take over (I39). Each time it takes DVA1 back
	// when all is well.
	It("loses its DVIPA with its links, and has it back with them",
		requirements.Covers("I39", "I38", "I16", "T10", "T28", "T44", "T45", "T9"), func() {
			p := newField(f, nil)
			down := func(links ...string) {
				GinkgoHelper()
				for _, link := range links {
					verdict.Engine(p.Lab.LinkDown(p.Context(), "MVS1", link), "cut %s of MVS1", link)
				}
			}
			up := func(links ...string) {
				GinkgoHelper()
				for _, link := range links {
					verdict.Engine(p.Lab.LinkUp(p.Context(), "MVS1", link), "mend %s of MVS1", link)
				}
			}
			By("its link to network 44 is cut")
			down("ext0")
			p.moves("MVS5", "MVS1")
			p.ExpectAlive(p.own)
			up("ext0")
			p.moves("MVS1", "MVS5")
			p.ExpectAlive(p.own)

			By("its link to XCF is cut")
			down("xcf0")
			p.moves("MVS5", "MVS1")
			up("xcf0")
			p.moves("MVS1", "MVS5")

			By("both are cut")
			down("xcf0", "ext0")
			p.moves("MVS5", "MVS1")
			up("xcf0", "ext0")
			p.moves("MVS1", "MVS5")
		})

	// The process stands still, and holds the lock of DVA1 in the port file: neither keeps MVS5 from taking
	// over. What MVS1 served is told to have ended. When the process goes on, it finds that it has lost
	// DVA1 before it answers for it, and then takes it back.
	It("loses its DVIPA when it freezes inside an update of the port file", requirements.Covers("I38", "I20", "T44"), func() {
		p := newField(f, nil)
		unlock := p.PortFile().Freeze(f.DVA1)
		verdict.Engine(p.Lab.Freeze(p.Context(), "MVS1"), "freeze MVS1")
		p.moves("MVS5", "MVS1")
		p.ExpectEnded(p.own)
		unlock()
		verdict.Engine(p.Lab.Thaw(p.Context(), "MVS1"), "thaw MVS1")
		p.moves("MVS1", "MVS5")
	})
}, SpecPriority(1))

var _ = trial.DescribeFamilies("a routing stack of Figure 9 without XCF", func(f trial.Family) {
	// When the network of XCF fails as a whole, nobody sees anybody, and there is no better owner than the one
	// that there is: MVS1 and MVS5 keep what they have (I39). All have to notice it within the time that a stack
	// gives to others before it believes that they see one another, so nothing else begins meanwhile.
	It("keeps its DVIPA when no stack sees any other", requirements.Covers("I39"), func() {
		p := newField(f, func(t *topo.Topology) { t.Timers.HelloMS = 20 }, "MVS4")
		stacks := p.Stacks()
		var apart [][]string
		for _, stack := range stacks {
			apart = append(apart, []string{stack})
		}
		verdict.Engine(p.Lab.Partition(p.Context(), "xcf", apart...), "part all stacks")
		for _, stack := range stacks {
			for _, other := range stacks {
				if other != stack {
					p.EventuallyWithout(stack, other)
				}
			}
		}
		since := p.Capture.Mark()
		for began := time.Now(); time.Since(began) < alone; {
			p.EventuallyOwner(p.neighbour, f.DVA1, "MVS1")
			p.EventuallyOwner(p.neighbour, f.DVB1, "MVS5")
		}
		for stack, dvipa := range map[string]netip.Addr{"MVS5": f.DVA1, "MVS1": f.DVB1} {
			said := p.Capture.On(stack + "/ext0").Sent().After(since).Matching(answersFor(dvipa))
			Expect(said).To(BeEmpty(), "what %s says of %s", stack, dvipa)
		}
		p.ExpectAlive(p.own)

		verdict.Engine(p.Lab.Heal(p.Context(), "xcf"), "heal XCF")
		p.EventuallyTargets("MVS1", f.At(60), "MVS1", "MVS2", "MVS4")
		p.moves("MVS1", "MVS5")
		p.ExpectAlive(p.own)
	})
}, Serial)

// An owner that hears nobody on XCF knows by the port file whether the others, whose processes live, see one
// another. Nobody takes its DVIPA over here: what it gives up it gives up by itself.
var _ = trial.DescribeFamilies("an owner that has lost all partners", func(f trial.Family) {
	DescribeTable("decides by whether others see one another",
		func(sees int, want func(*trial.UnitTrial, segment.Segment)) {
			u := f.Unit(trial.UnitConfig{Profile: distributes, Partners: []int{2}, Timers: topo.Timers{DeadMS: 500}})
			mvs2 := u.Join(2)
			mvs2.Tenant().Beats(sees)
			u.Tenant(3).Beats(sees)
			_, err := u.Client().Resolve(u.Soon(), f.DVA1)
			Expect(err).NotTo(HaveOccurred())
			held := segment.NewACK(u.From(), f.At(60), 1, 1)
			mvs2.Say(mvs2.NEWCONN(trial.Of(held)))
			u.EventuallyFollows(held, mvs2)
			mvs2.Silence()
			u.EventuallyWithout(u.Stack, "MVS2")
			want(u, held)
		},
		Entry("gives up its DVIPA where they do", requirements.Covers("I39"), 1, func(u *trial.UnitTrial, _ segment.Segment) {
			Eventually(attempted(u, f)).Should(Succeed())
			Expect(quiet(u, f)).To(Succeed())
		}),
		Entry("keeps it where none sees any other", requirements.Covers("I39"), 0, func(u *trial.UnitTrial, held segment.Segment) {
			// It may be the one that is cut off, so at first nobody is told that a connection of the other is gone.
			since := u.Capture.Mark()
			u.Send(held)
			u.ExpectArrived(held)
			u.ExpectSilence(since, segment.Pattern{Src: held.Dst, Dst: held.Src})
			u.EventuallyAnswered(held)
			Consistently(attempted(u, f)).WithTimeout(alone).Should(HaveOccurred())
		}),
	)
})

// Where there is no port file, the owner asks network 44: who goes on as the plex answers there for what it has taken over.
var _ = trial.DescribeFamilies("an owner that has lost all partners, without a port file", func(f trial.Family) {
	// lonely loses its partners, of which the first owns DVB1, when before has been done.
	lonely := func(before func(*trial.UnitTrial), numbers ...int) *trial.UnitTrial {
		GinkgoHelper()
		u := f.Unit(trial.UnitConfig{
			Profile: distributes + " VIPADYNAMIC VIPABACKUP 100 DVB1 ENDVIPADYNAMIC", Partners: numbers,
			Timers: topo.Timers{DeadMS: 500}, ClusterPorts: topo.ClusterPorts{Sharing: topo.SharingDistributor},
		})
		var partners []*trial.Partner
		for _, n := range numbers {
			partners = append(partners, u.Join(n))
		}
		partners[0].Tell(primary(f, f.DVB1, 1, nil))
		Eventually(attempted(u, f)).Should(HaveOccurred(), "%s answers for %s", u.Stack, f.DVA1)
		before(u)
		for _, p := range partners {
			p.Silence()
		}
		for _, n := range numbers {
			u.EventuallyWithout(u.Stack, fmt.Sprintf("MVS%d", n))
		}
		return u
	}
	// silent says what the stack tells the network when that asks for a DVIPA: it is to tell nothing.
	silent := func(u *trial.UnitTrial, dvipa netip.Addr) func(capture.Role) error {
		return func(role capture.Role) error {
			since := u.Capture.Mark()
			verdict.Engine(u.Client().Ask(dvipa), "ask for %s", dvipa)
			verdict.Engine(u.Client().Ask(f.Outside(1)), "ask for %s", u.Stack)
			return u.Capture.On(u.OutsideLink).Sent().After(since).As(role).NoneBefore(u.Soon(), answersFor(dvipa), answered(f.Outside(1)))
		}
	}

	// What it is asked while others may be taking over it leaves unanswered, and nobody is told that anything has
	// ended.
	It("keeps its DVIPA where nobody else answers for it", requirements.Covers("I39"), func() {
		u := lonely(func(*trial.UnitTrial) {}, 2, 3)
		Eventually(attempted(u, f)).Should(Succeed(), "%s answers while others may have taken over", u.Stack)
		Eventually(attempted(u, f)).Should(HaveOccurred(), "%s answers for %s again", u.Stack, f.DVA1)
		Consistently(attempted(u, f)).WithTimeout(alone).Should(HaveOccurred())
	})

	It("gives it up where another station does", requirements.Covers("I39"), func() {
		u := lonely(func(u *trial.UnitTrial) { u.Rival(f.DVA1) }, 2, 3)
		Eventually(silent(u, f.DVA1)).WithArguments(capture.Attempt).Should(Succeed())
		Consistently(silent(u, f.DVA1)).WithArguments(capture.Role("")).WithTimeout(followed).WithPolling(betweenQuestions).Should(Succeed())
	})

	// Of two neither can tell by number whether the other one is frozen, gone with its machine, or parted from it.
	It("takes over from its only partner what nobody answers for", requirements.Covers("I39", "T44"), func() {
		u := lonely(func(*trial.UnitTrial) {}, 2)
		Eventually(func() (string, error) { return u.Owner(u.Client(), f.DVB1) }).WithTimeout(askedOut).
			Should(Equal(u.Stack), "who answers for %s", f.DVB1)
	})

	It("leaves to its only partner what another station answers for", requirements.Covers("I39"), func() {
		u := lonely(func(u *trial.UnitTrial) { u.Rival(f.DVB1) }, 2)
		since := u.Capture.Mark()
		Consistently(silent(u, f.DVB1)).WithArguments(capture.Role("")).WithTimeout(askedOut).WithPolling(betweenQuestions).Should(Succeed())
		Expect(u.Capture.On(u.OutsideLink).Sent().After(since).Matching(asksFor(f.DVB1))).NotTo(BeEmpty(), "what %s asks for %s", u.Stack, f.DVB1)
	})
})

// askedOut is the most that a stack may ask the network until it takes over what nobody answers for.
const askedOut = 3 * time.Second

// followed is for how long an owner that has lost all partners is watched that has been followed, and betweenQuestions the time after which
// the network asks again meanwhile.
const (
	followed         = 2 * time.Second
	betweenQuestions = 50 * time.Millisecond
)

// alone is how long owners are watched that see nobody.
const alone = 500 * time.Millisecond
