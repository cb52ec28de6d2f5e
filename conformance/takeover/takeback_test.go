package takeover

import (
	"fmt"
	"net/netip"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/plexlab-dev/plexlab/conformance/requirements"
	"github.com/plexlab-dev/plexlab/conformance/trial"
	"github.com/plexlab-dev/plexlab/harness/puppet"
	"github.com/plexlab-dev/plexlab/harness/segment"
	"github.com/plexlab-dev/plexlab/harness/verdict"
	"github.com/plexlab-dev/plexlab/nodes/contract"
	"github.com/plexlab-dev/plexlab/topo"
)

var _ = trial.DescribeFamilies("a primary whose DVIPA another stack has", func(f trial.Family) {
	// MOVEable IMMEDIATE, also as the default (T45, T46): the stack takes DVA1 back at once. MVS5, which had
	// it, ends the list when it has told what it knows and advertises no more; only then does the stack
	// advertise (I37), and in its tables is what was told. That the stack has another DVIPA all the time, with
	// the same ports on another stack, keeps nothing out of them.
	It("takes it at once, and advertises when the owner before has ended the list",
		requirements.Covers("T45", "T46", "I34", "I37", "T28"), func() {
			u := f.Unit(trial.UnitConfig{
				Partners: []int{2, 3, 5},
				Profile: block("VIPADEFINE CLUSTERPORTS MASK DVA1 DVB1 VIPADISTRIBUTE DVA1 PORT 60 DESTIP ALL " +
					"VIPADISTRIBUTE DVB1 PORT 60 DESTIP ALL"),
			})
			mvs2, mvs3, mvs5 := u.Join(2), u.Join(3), u.Join(5)
			shared, unique := trial.At(f.DVB1, 60), trial.At(f.DVB1, 5000)
			mvs3.Say(mvs3.SRVSTAT(shared, true), mvs3.Unique(unique, true))
			u.EventuallyForwarded(unique, mvs3)
			before := mvs5.Epoch(f.DVA1)
			_, err := u.Client().Resolve(u.Soon(), f.DVA1)
			Expect(err).NotTo(HaveOccurred())
			theirs := mvs5.Claim(f.DVA1, before)
			mvs5.Say(contract.VIPAList{DVIPAs: []contract.DVIPA{backup(f, f.DVA1, theirs, 100, stacks(f, 2))}})
			mvs5.ExpectMessage(owns(theirs, f.DVA1))
			u.Client().Forget()
			_, err = u.Client().Resolve(u.Shortly(), f.DVA1)
			Expect(err).To(HaveOccurred(), "an answer for DVA1 while MVS5 may answer")

			held := segment.NewACK(u.From(), f.At(60), 7, 9)
			mvs2.ExpectMessage(owns(theirs, f.DVA1))
			mvs2.Say(mvs2.NEWCONN(trial.Of(held)), mvs2.SRVSTAT(f.At(60), true), mvs2.Unique(f.At(5000), true), contract.EndOfList{})
			mvs5.Say(contract.VIPAList{DVIPAs: []contract.DVIPA{backup(f, f.DVA1, 0, 100, nil)}}, contract.EndOfList{})
			mac, err := u.Client().Resolve(u.Soon(), f.DVA1)
			Expect(err).NotTo(HaveOccurred())
			Expect(mac.String()).To(Equal(u.MAC(u.Stack)))
			u.EventuallyFollows(held, mvs2)
			u.EventuallyForwarded(f.At(60), mvs2)
			u.EventuallyForwarded(f.At(5000), mvs2)
			u.ExpectForwarded(segment.NewSYN(u.From(), shared), mvs3)
			u.ExpectForwarded(segment.NewSYN(u.From(), unique), mvs3)
		})
})

var _ = trial.DescribeFamilies("a DVIPA that a bind activated", func(f trial.Family) {
	// "MOVEable NONDISRUPTIVE parameters allows future instance-specific dynamic VIPAs to participate as
	// dynamic routable VIPAs": APPA on MVS2 binds to an address of the range and is connected; then another
	// instance on MVS3 does, and the DVIPA moves there. The connection stays with the first instance, new
	// ones reach the second. When that ends the first one has it back.
	It("moves to the next bind, and its connections go on", requirements.Covers("I36", "T28"), func() {
		instance := f.Outside(40) // which no stack has
		s := f.System("figure9-outside.yaml", func(t *topo.Topology) {
			for _, i := range []int{1, 2} {
				t.Stacks[i].Profile = ranged(instance)
			}
			t.Applications = nil
			trial.Without("MVS4")(t)
			trial.Without("MVS5")(t)
		})
		neighbour := s.Neighbour()
		at := trial.At(instance, 7000)
		first, second, client := s.Program("MVS2", "APPA"), s.Program("MVS3", "APPA"), s.Program(s.Client, "")
		first.Listens("l", at, puppet.Reuse)
		s.EventuallyOwner(neighbour, instance, "MVS2")
		client.Connects("held", at)
		first.Do("accept l held")

		second.Listens("l", at, puppet.Reuse)
		s.EventuallyOwner(neighbour, instance, "MVS3")
		converse(client, "held", first, "held")
		client.Connects("next", at)
		second.Do("accept l next")
		converse(client, "held", first, "held")

		verdict.Engine(s.Lab.Kill(s.Context(), "MVS3"), "kill MVS3")
		s.EventuallyOwner(neighbour, instance, "MVS2")
		converse(client, "held", first, "held")
	})
}, SpecPriority(1))

// ranged is the profile of a stack with a VIPARange of sixteen addresses around one.
func ranged(address netip.Addr) string { return block(around(address)) }

// around is the statement.
func around(address netip.Addr) string {
	mask := "255.255.255.240"
	if address.Is6() {
		mask = "/124"
	}
	return fmt.Sprintf("VIPARANGE MOVEABLE NONDISRUPTIVE %s %s", mask, netip.PrefixFrom(address, address.BitLen()-4).Masked().Addr())
}

// converse sends a byte each way on a connection.
func converse(a *trial.Program, socketOfA string, b *trial.Program, socketOfB string) {
	GinkgoHelper()
	a.Do("send " + socketOfA + " ping")
	b.Do("receive " + socketOfB)
	b.Do("send " + socketOfB + " pong")
	a.Do("receive " + socketOfA)
}
