package vipa_test

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/plexlab-dev/plexlab/nodes/contract"
	"github.com/plexlab-dev/plexlab/nodes/vipa"
)

// ownerOf is a stack that owns what it defines, everything at epoch 1.
func ownerOf(self contract.Member, def vipa.Definition) *vipa.Stack {
	stack := vipa.New(vipa.Config{Self: self})
	stack.Step(vipa.Gathered{})
	var taken vipa.OwnershipTaken
	for _, a := range stack.Step(vipa.ProfileChanged{Definition: def}).Actions {
		if take, ok := a.(vipa.TakeOwnership); ok {
			taken.Taken = append(taken.Taken, vipa.Ownership{DVIPA: take.DVIPA, Epoch: 1})
		}
	}
	stack.Step(taken)
	return stack
}

// TestTargetsStayAsHandedOut: the targets of a SetTargets are the receiver's to keep, whatever
// happens to the entry afterwards.
func TestTargetsStayAsHandedOut(t *testing.T) {
	t.Parallel()
	service := netip.MustParseAddrPort("10.9.0.1:60")
	stack := ownerOf(contract.Member{Stack: "MVS3", XCF: xcf(0), Incarnation: 1}, vipa.Definition{
		Defines:     []vipa.Define{{Prefix: netip.PrefixFrom(service.Addr(), 24)}},
		Distributes: []vipa.Distribute{{DVIPA: service.Addr(), Distribution: contract.Distribution{All: true}}},
	})

	var handed, copies [][]contract.Target
	srvstat := func(i int, listening bool) {
		member := contract.Member{Stack: "MVS", XCF: xcf(i), Incarnation: 1}
		stack.Step(vipa.MemberJoined{Member: member})
		result := stack.Step(vipa.MessageReceived{From: member, Message: contract.SRVSTAT{
			Service: service, XCF: member.XCF, Listening: listening, Epoch: 1,
		}})
		targets := result.Actions[0].(vipa.SetTargets).Targets
		handed, copies = append(handed, targets), append(copies, slices.Clone(targets))
	}
	for i := 1; i <= partners; i++ {
		srvstat(i, true)
	}
	for i := 1; i <= partners; i++ {
		srvstat(i, false)
		srvstat(i, true)
	}
	for i := range handed {
		if !slices.Equal(handed[i], copies[i]) {
			t.Errorf("targets %v have become %v", copies[i], handed[i])
		}
	}
}
