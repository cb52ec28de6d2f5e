package datapath

import (
	"fmt"
	"slices"
	"strings"
)

// Counters says how many packets took each edge of Figures 12 and 8 since the table was made,
// from the counters of the rules of both families: "fig12/140-yes->150", "fig08/802-no->806". Edges that no
// packet took are in it with 0. Beside them stand "I1" (requests for a unique port that got their
// exact entry), "I7" (packets of connections whose target is this stack), "I21" (fragments
// dropped), "crt-full" (requests dropped since the CRT is full), "icmp-error" (errors
// forwarded to the target of a connection) and "not-owner" (questions of neighbours and packets dropped
// since another stack owns the DVIPA).
func (p *Path) Counters() (map[string]uint64, error) {
	counters := map[string]uint64{strings.TrimSpace(pathLocal): 0} // its rules come with the first target
	chains := slices.Clone(baseChains)
	for _, g := range p.figures {
		chains = append(chains, g.fixedChains()...)
	}
	rules, err := p.read.allRules()
	if err != nil {
		return nil, fmt.Errorf("count packets of the data path: %w", err)
	}
	for _, r := range rules {
		if !slices.Contains(chains, r.chain) {
			continue
		}
		for _, edge := range edges(r.comment) {
			counters[edge] += r.packets
		}
	}
	return counters, nil
}

// edges reads a comment: "fig12/140-yes->150 150->end" are two edges of Figure 12.
func edges(comment string) []string {
	var all []string
	figure := ""
	for _, word := range strings.Fields(comment) {
		name, _, named := strings.Cut(word, "/")
		switch {
		case named:
			figure = name + "/"
		case strings.Contains(word, "->"):
			word = figure + word
		}
		all = append(all, word)
	}
	return all
}
