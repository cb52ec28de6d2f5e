package vipa_test

import (
	"net/netip"
	"testing"

	"github.com/plexlab-dev/plexlab/nodes/contract"
	"github.com/plexlab-dev/plexlab/nodes/vipa"
)

// A plex of the size that the contract allows.
const (
	benchMembers = 128
	benchDVIPAs  = 1024
)

func benchMember(i int) contract.Member {
	return contract.Member{Stack: "MVS", XCF: netip.AddrFrom4([4]byte{10, 1, 0, byte(i + 1)}), Incarnation: 1}
}

func benchDVIPA(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, 9, byte(i >> 8), byte(i)}) }

// benchRouting is a routing stack of all DVIPAs, each with a service on every member.
func benchRouting(b *testing.B) *vipa.Stack {
	b.Helper()
	var def vipa.Definition
	for i := range benchDVIPAs {
		def.Defines = append(def.Defines, vipa.Define{Prefix: netip.PrefixFrom(benchDVIPA(i), 16)})
		def.Distributes = append(def.Distributes, vipa.Distribute{
			DVIPA: benchDVIPA(i), Distribution: contract.Distribution{All: true},
		})
	}
	stack := ownerOf(benchMember(0), def)
	for i := 1; i < benchMembers; i++ {
		stack.Step(vipa.MemberJoined{Member: benchMember(i)})
		for j := range benchDVIPAs {
			stack.Step(benchSRVSTAT(i, j, true))
		}
	}
	return stack
}

func benchSRVSTAT(member, dvipa int, listening bool) vipa.Event {
	return vipa.MessageReceived{From: benchMember(member), Message: contract.SRVSTAT{
		Service: netip.AddrPortFrom(benchDVIPA(dvipa), 60), XCF: benchMember(member).XCF,
		Listening: listening, Epoch: 1,
	}}
}

// BenchmarkSRVSTAT: one message to the routing stack of a full plex.
func BenchmarkSRVSTAT(b *testing.B) {
	stack := benchRouting(b)
	i := 0
	for b.Loop() {
		member, dvipa := 1+i/2%(benchMembers-1), i/2%benchDVIPAs
		if result := stack.Step(benchSRVSTAT(member, dvipa, i%2 == 1)); len(result.Actions) != 1 {
			b.Fatalf("%v", result.Actions)
		}
		i++
	}
}

// BenchmarkMemberLost: a stack that has every service leaves a full plex and comes back.
func BenchmarkMemberLost(b *testing.B) {
	stack := benchRouting(b)
	for b.Loop() {
		stack.Step(vipa.MemberLost{Member: benchMember(1)})
		stack.Step(vipa.MemberJoined{Member: benchMember(1)})
		for j := range benchDVIPAs {
			stack.Step(benchSRVSTAT(1, j, true))
		}
	}
}

// BenchmarkVIPAList: the list of all DVIPAs comes to a target with a service on each.
func BenchmarkVIPAList(b *testing.B) {
	owner, self := benchMember(0), benchMember(1)
	stack := vipa.New(vipa.Config{Self: self})
	stack.Step(vipa.MemberJoined{Member: owner})
	for i := range benchDVIPAs {
		stack.Step(vipa.ListenStarted{Listener: vipa.Listener{ID: uint64(i), Local: netip.AddrPortFrom(benchDVIPA(i), 60)}})
	}
	told := benchRouting(b).Step(vipa.MemberJoined{Member: self}).Actions[0].(vipa.Send)
	ev := vipa.MessageReceived{From: owner, Message: told.Message}
	for b.Loop() {
		if result := stack.Step(ev); len(result.Actions) < benchDVIPAs {
			b.Fatalf("%d actions", len(result.Actions))
		}
	}
}

// BenchmarkBind: the way through Figure 15 of a bind to port 0 of a DVIPA of a full plex.
func BenchmarkBind(b *testing.B) {
	var def vipa.Definition
	for i := range benchDVIPAs {
		def.Defines = append(def.Defines, vipa.Define{Prefix: netip.PrefixFrom(benchDVIPA(i), 16), ClusterPorts: true})
	}
	stack := ownerOf(benchMember(0), def)
	asked, answer := netip.AddrPortFrom(benchDVIPA(1), 0), vipa.Answer{Port: 5000}
	for b.Loop() {
		bind := stack.Addresses().Bind(asked)
		for step := bind.Next(vipa.Answer{}); ; step = bind.Next(answer) {
			if _, ok := step.(vipa.Done); ok {
				break
			}
		}
	}
}

// BenchmarkAddresses: a snapshot of a full plex, as it follows every change.
func BenchmarkAddresses(b *testing.B) {
	stack := benchRouting(b)
	for b.Loop() {
		stack.Snapshot()
	}
}
