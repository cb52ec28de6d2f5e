package fig11

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/plexlab-dev/plexlab/conformance/requirements"
	"github.com/plexlab-dev/plexlab/conformance/trial"
	"github.com/plexlab-dev/plexlab/harness/peer"
	"github.com/plexlab-dev/plexlab/harness/verdict"
	"github.com/plexlab-dev/plexlab/nodes/contract"
	"github.com/plexlab-dev/plexlab/nodes/contract/xcfpb"
)

// wire is a list of DVIPAs in which MVS2 is the owner, as the contract's encoder would not write it.
func wire(from contract.Identity, dvipas ...*xcfpb.Dvipa) []byte {
	payload, err := proto.Marshal(&xcfpb.Envelope{
		Sender: from.Stack, Incarnation: from.Incarnation,
		Body: &xcfpb.Envelope_VipaList{VipaList: &xcfpb.VipaList{Dvipas: dvipas}},
	})
	verdict.Engine(err, "encode a list")
	return payload
}

// entry is one that would take DVA1 away from the stack under test, changed.
func (f plex) entry(change func(*xcfpb.Dvipa)) *xcfpb.Dvipa {
	e := &xcfpb.Dvipa{
		Address: f.DVA1.AsSlice(), PrefixLength: uint32(f.OnNetwork44(f.DVA1).Bits()), Role: xcfpb.Role_ROLE_PRIMARY, Owner: true, Epoch: 9,
		Distribution: &xcfpb.Distribution{Targets: []*xcfpb.Target{{XcfAddress: f.XCF(2).AsSlice()}}},
	}
	change(e)
	return e
}

var _ = describe("a message that a stack does not understand", func(f plex) {
	// A stack "may ignore" what it has no function for (I11): that changes nothing, and the
	// connection it came on is kept. So is one after a message whose content is no message at all,
	// or breaks the contract; of such a message nothing takes effect.
	DescribeTable("is ignored, and the connection kept",
		func(payload func(from contract.Identity) []byte) {
			u := f.Unit(trial.UnitConfig{Inside: true, Partners: []int{2}})
			var identity contract.Identity
			mvs2 := u.Introduce(2, func(c *peer.Config) { identity = c.Identity })
			mvs2.WaitMember()
			mvs2.ExpectList()
			service := at(f.DVA1, 80)
			u.Listen(u.Stack, "APPA", at(f.Any, 80))
			list := f.owned(f.DVA1, 1, on(toAll, only(80)))
			Expect(trial.Services(mvs2.Tell(list))).To(HaveExactElements(service.String()))
			before := len(mvs2.Messages())
			verdict.Engine(mvs2.SendPayload(payload(identity)), "send what nobody understands")
			_, kept := mvs2.WaitEnded(u.Shortly())
			Expect(kept).To(HaveOccurred(), "the connection was ended")

			// Still a target at that epoch: all that comes is the answer to the list.
			Expect(mvs2.Tell(list)).To(HaveExactElements(f.srvstat(service, true, 1), contract.EndOfList{}))
			Expect(mvs2.Messages()).To(HaveLen(before+2), "messages of the stack under test")
			for _, entry := range mvs2.Record() {
				Expect(entry.What).NotTo(Equal(peer.Ended), "the connection")
			}
		},
		Entry("of a kind that nobody has yet", requirements.Covers("I11", "fig11/122-no->end"), func(from contract.Identity) []byte {
			payload, err := proto.Marshal(&xcfpb.Envelope{Sender: from.Stack, Incarnation: from.Incarnation})
			verdict.Engine(err, "encode an envelope")
			return protowire.AppendBytes(protowire.AppendTag(payload, 4711, protowire.BytesType), []byte("later"))
		}),
		Entry("of no kind", requirements.Covers("I11"), func(from contract.Identity) []byte {
			payload, err := proto.Marshal(&xcfpb.Envelope{Sender: from.Stack, Incarnation: from.Incarnation})
			verdict.Engine(err, "encode an envelope")
			return payload
		}),
		Entry("that is no message", func(contract.Identity) []byte { return []byte{0xff, 0xff, 0xff} }),
		Entry("that is empty", func(contract.Identity) []byte { return nil }),
		Entry("of an owner without an epoch", func(from contract.Identity) []byte {
			return wire(from, f.entry(func(e *xcfpb.Dvipa) { e.Epoch = 0 }))
		}),
		Entry("that lists a DVIPA twice", func(from contract.Identity) []byte {
			return wire(from, f.entry(func(*xcfpb.Dvipa) {}), f.entry(func(*xcfpb.Dvipa) {}))
		}),
		Entry("with an address of three bytes", func(from contract.Identity) []byte {
			return wire(from, f.entry(func(*xcfpb.Dvipa) {}), f.entry(func(e *xcfpb.Dvipa) { e.Address = []byte{10, 1, 0} }))
		}),
		Entry("with a range that ends before it begins", func(from contract.Identity) []byte {
			return wire(from, f.entry(func(e *xcfpb.Dvipa) { e.Distribution.Ports = []*xcfpb.PortRange{{First: 90, Last: 80}} }))
		}),
	)
})
