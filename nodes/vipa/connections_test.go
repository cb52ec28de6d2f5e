package vipa_test

import (
	"net/netip"
	"testing"

	"github.com/plexlab-dev/plexlab/nodes/contract"
	"github.com/plexlab-dev/plexlab/nodes/vipa"
)

// TestConnectionsPerMessage: however many connections a stack holds, a message has a bounded
// number of them, and each is told once, in order.
func TestConnectionsPerMessage(t *testing.T) {
	t.Parallel()
	owner := contract.Member{Stack: "MVS1", XCF: xcf(1), Incarnation: 1}
	dvipa := netip.MustParseAddr("10.9.0.1")
	stack := vipa.New(vipa.Config{Self: contract.Member{Stack: "MVS3", XCF: xcf(0), Incarnation: 1}})
	stack.Step(vipa.MemberJoined{Member: owner})

	var held []contract.Connection
	for port := range uint16(2*vipa.ConnectionsPerMessage + 1) {
		held = append(held, contract.Connection{
			Remote: netip.AddrPortFrom(netip.MustParseAddr("192.0.2.1"), 1000+port), Local: netip.AddrPortFrom(dvipa, 60),
		})
	}
	result := stack.Step(vipa.MessageReceived{From: owner, Connections: held, Message: contract.VIPAList{DVIPAs: []contract.DVIPA{{
		Prefix: netip.PrefixFrom(dvipa, 24), Role: contract.RolePrimary, Owner: true, Epoch: 1,
		Distribution: &contract.Distribution{All: true},
	}}}})

	var sizes []int
	var told []contract.Connection
	for _, a := range result.Actions {
		if send, ok := a.(vipa.Send); ok {
			if m, ok := send.Message.(contract.NEWCONN); ok {
				sizes = append(sizes, len(m.Connections))
				told = append(told, m.Connections...)
			}
		}
	}
	if len(sizes) != 3 || sizes[0] != vipa.ConnectionsPerMessage || sizes[1] != vipa.ConnectionsPerMessage || sizes[2] != 1 {
		t.Errorf("messages of %v connections, want %d, %d and 1", sizes, vipa.ConnectionsPerMessage, vipa.ConnectionsPerMessage)
	}
	for i := range held {
		if i >= len(told) || told[i] != held[i] {
			t.Fatalf("connection %d of %d is not told in its place", i, len(held))
		}
	}
}
