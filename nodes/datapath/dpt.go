package datapath

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/google/nftables"

	"github.com/plexlab-dev/plexlab/nodes/contract"
	"github.com/plexlab-dev/plexlab/nodes/vipa"
)

// A selector is the DPT entry of one service as it stands in the kernel.
type selector struct {
	targets []contract.Target
	// sequence is the round of targets that the kernel counts through.
	sequence []netip.Addr
}

// newSelector lays out the round of block 144. After a selector that has made taken
// selections it goes on with the target whose turn was next, or the first after it that is
// still there.
func newSelector(targets []contract.Target, before *selector, taken uint64) *selector {
	s := &selector{targets: slices.Clone(targets)}
	for _, i := range vipa.Rotation(targets) {
		s.sequence = append(s.sequence, targets[i].XCF)
	}
	if before == nil {
		return s
	}
	n := uint64(len(before.sequence))
	for turn := range n {
		due := before.sequence[(taken+turn)%n]
		if at := slices.Index(s.sequence, due); at >= 0 {
			s.sequence = slices.Concat(s.sequence[at:], s.sequence[:at])
			break
		}
	}
	return s
}

// distinct are the targets of the round, each once.
func (s *selector) distinct() []netip.Addr {
	if s == nil {
		return nil
	}
	var all []netip.Addr
	for _, t := range s.targets {
		if !slices.Contains(all, t.XCF) {
			all = append(all, t.XCF)
		}
	}
	return all
}

// Names of the chains that come and go with targets and services. nft reads no colons in names.
func (f family) targetChain(target netip.Addr) string { return f.name("target_" + inName(target)) }
func (f family) uniqueChain(target netip.Addr) string { return f.name("unique_" + inName(target)) }
func serviceChain(service netip.AddrPort) string {
	return fmt.Sprintf("dpt_%s_%d", inName(service.Addr()), service.Port())
}

func inName(a netip.Addr) string { return strings.ReplaceAll(a.String(), ":", "_") }

// addSelector writes the rules of a service's chain. The counter of the first says how many
// selections it has made.
//
// The second is for packets that are in the chain while another round takes its place: they go
// on with the rules of before, but the elements of that round's map have gone with the commit.
// Without it they would leave the chain as if the service had no target.
func (g figure) addSelector(b *batch, chain string, s *selector) {
	b.anonymous++
	round := set{name: "__map%d", id: b.anonymous, key: nftables.TypeInteger, data: nftables.TypeVerdict, size: uint32(len(s.sequence))}
	b.addSet(round)
	elements := make([]element, len(s.sequence))
	for i, target := range s.sequence {
		elements[i] = element{key: native(uint32(i)), chain: g.targetChain(target)}
	}
	b.putElements(round, elements...)
	b.addRule(rule{chain: chain, code: slices.Concat(
		counter,
		next(uint32(len(s.sequence)), register(0)),
		verdictOf(round, register(0)),
	)})
	b.addRule(rule{chain: chain, code: goTo(g.targetChain(s.sequence[0]))})
}
