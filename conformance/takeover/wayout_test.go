package takeover

import (
	"fmt"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"golang.org/x/sys/unix"

	"github.com/plexlab-dev/plexlab/conformance/requirements"
	"github.com/plexlab-dev/plexlab/conformance/trial"
	"github.com/plexlab-dev/plexlab/harness/capture"
	"github.com/plexlab-dev/plexlab/harness/peer"
	"github.com/plexlab-dev/plexlab/harness/puppet"
	"github.com/plexlab-dev/plexlab/harness/segment"
	"github.com/plexlab-dev/plexlab/nodes/contract"
)

var _ = trial.DescribeFamilies("a stack without a link to the outside", func(f trial.Family) {
	// Two stacks each of which takes the other for its way out would send a packet back and forth until its
	// hop limit is reached. So what a list says counts, and not what links a partner has when they are up: MVS2 has
	// the lower XCF address, and would be the one to leave by.
	It("leaves by a partner that says to have a way out, and by nobody while none does", requirements.Covers("I41", "T9"), func() {
		u := f.Unit(trial.UnitConfig{Inside: true, Partners: []int{2, 3}})
		linked := func(c *peer.Config) { c.Identity.Member.Outside = true }
		mvs2, mvs3 := u.Introduce(2, linked), u.Introduce(3, linked)
		program := u.Program(u.Stack, "")
		connects := 0
		connect := func() (segment.Pattern, unix.Errno) {
			connects++
			name, to := fmt.Sprintf("s%d", connects), trial.At(f.Client, uint16(9000+connects))
			program.Do(trial.SocketOrder(name, to, puppet.Nonblocking))
			errno := program.Try(fmt.Sprintf("connect %s %s", name, to)).Errno
			program.Do("close " + name)
			return segment.Pattern{Dst: to, Has: segment.SYN}, errno
		}
		leavesBy := func(way *trial.Partner) {
			GinkgoHelper()
			Eventually(func() error {
				mark := u.Capture.Mark()
				syn, _ := connect()
				_, err := u.Capture.On(way.Link).Received().After(mark).As(capture.Attempt).Await(u.Shortly(), syn)
				return err
			}).WithTimeout(trial.Limit()).Should(Succeed(), "a SYN to the outside at "+way.Link)
		}
		for _, p := range []*trial.Partner{mvs2, mvs3} {
			p.WaitMember()
			p.ExpectList()
		}

		By("MVS3 alone")
		mvs2.TellAll(contract.VIPAList{NoWayOut: true})
		mvs3.TellAll(contract.VIPAList{})
		leavesBy(mvs3)

		By("both")
		mvs2.TellAll(contract.VIPAList{})
		leavesBy(mvs2)

		By("nobody")
		mvs2.TellAll(contract.VIPAList{NoWayOut: true})
		mvs3.TellAll(contract.VIPAList{NoWayOut: true})
		Eventually(func() unix.Errno {
			_, errno := connect()
			return errno
		}).WithTimeout(trial.Limit()).Should(Equal(unix.ENETUNREACH), "what connect to the outside answers")
	})
})
