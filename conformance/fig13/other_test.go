package fig13

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/plexlab-dev/plexlab/conformance/requirements"
	"github.com/plexlab-dev/plexlab/conformance/trial"
	"github.com/plexlab-dev/plexlab/harness/peer"
	"github.com/plexlab-dev/plexlab/harness/segment"
	"github.com/plexlab-dev/plexlab/nodes/contract"
)

// unknownField is one that no version of the contract uses for a message yet.
const unknownField = 1000

var _ = trial.DescribeFamilies("a message that is none of the three", func(f trial.Family) {
	service := f.At(80)

	// "Thus, some embodiments [...] can provide backward compatibility with existing
	// communication protocol stacks": what a stack does not know it passes over (I11).
	It("changes no table, and the connection stays",
		requirements.Covers("fig13/160-other->end", "I11", "T26"), func() {
			u := f.Unit(trial.UnitConfig{Profile: distributed, Partners: []int{2}})
			mvs2 := u.Join(2)
			Expect(mvs2.SendUnknown(unknownField)).To(Succeed())
			Expect(mvs2.SendMalformed()).To(Succeed())
			mvs2.Say(contract.NEWCONNAck{Acknowledge: 7}, contract.EndOfList{})
			u.ExpectReset(segment.NewSYN(u.From(), service))
			mvs2.Say(mvs2.SRVSTAT(service, true))
			u.EventuallyForwarded(service, mvs2)
			u.ExpectPassed("fig13/160-other->end")
		})

	DescribeTable("and breaks the contract ends its own connection, and nobody else's",
		func(misbehave func(*trial.Partner) error) {
			u := f.Unit(trial.UnitConfig{Profile: distributed, Partners: []int{2, 3}})
			mvs2, mvs3 := u.Join(2), u.Join(3)
			mvs2.Say(mvs2.SRVSTAT(service, true))
			u.EventuallyForwarded(service, mvs2)

			Expect(misbehave(mvs3)).To(Succeed())
			_, err := mvs3.WaitEnded(u.Soon())
			Expect(err).NotTo(HaveOccurred())

			u.ExpectForwarded(segment.NewSYN(u.From(), service), mvs2)
			mvs2.Say(mvs2.SRVSTAT(service, false))
			u.EventuallyReset(service)
		},
		Entry("by a wrong key", func(p *trial.Partner) error { return p.SendWrongKey(p.SRVSTAT(service, true)) }),
		Entry("by a frame sent again", func(p *trial.Partner) error {
			p.Say(contract.EndOfList{})
			return p.Replay()
		}),
		Entry("by a frame beyond the largest", func(p *trial.Partner) error { return p.SendOversized() }),
		Entry("by bytes that are no frame", func(p *trial.Partner) error { return p.SendBytes(make([]byte, 100)) }),
	)

	It("from a stack without the plex key is never heard", func() {
		u := f.Unit(trial.UnitConfig{Profile: distributed, Partners: []int{2, 3}})
		mvs2 := u.Join(2)
		stranger := u.Introduce(3, func(c *peer.Config) { c.Key = contract.NewKey() })
		mvs2.Say(mvs2.SRVSTAT(service, true))
		u.EventuallyForwarded(service, mvs2)
		Expect(stranger.Messages()).To(BeEmpty())
	})
})

var _ = trial.DescribeFamilies("a stack that is gone", func(f trial.Family) {
	service := f.At(80)

	// A member that is lost is no current actual target any more, and nobody holds its
	// connections: their clients are told so by RST.
	DescribeTable("leaves every table",
		func(end func(*trial.Partner)) {
			u := f.Unit(trial.UnitConfig{Profile: distributed, Partners: []int{2, 3}})
			mvs2, mvs3 := u.Join(2), u.Join(3)
			mvs2.Say(mvs2.SRVSTAT(service, true))
			syn := u.EventuallyForwarded(service, mvs2)
			mvs3.Say(mvs3.SRVSTAT(service, true))
			u.EventuallyForwarded(service, mvs3)

			end(mvs2)
			u.EventuallyAnswered(segment.NewACK(syn.Src, syn.Dst, syn.Next(), 1))
			for range 4 {
				u.ExpectForwarded(segment.NewSYN(u.From(), service), mvs3)
			}
		},
		Entry("when its process ends", requirements.Covers("fig13/165-no->166"), func(p *trial.Partner) { p.Close() }),
		Entry("when it falls silent", requirements.Covers("fig13/165-no->166"), func(p *trial.Partner) { p.Silence() }),
	)
})
