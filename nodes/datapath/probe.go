package datapath

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/google/nftables"
)

// A feature is something of the kernel that the data path is made of.
type feature struct {
	name string
	try  func(*batch)
}

// features in the order in which they build on one another; each is tried on its own in a
// transaction that is not completed.
func (p *Path) features(c Config) []feature {
	const chain = "probe"
	withChain := func(try func(*batch)) func(*batch) {
		return func(b *batch) {
			b.addTable()
			b.addChain(chain)
			try(b)
		}
	}
	one := func(b *batch, code code) { b.addRule(rule{chain: chain, code: code}) }
	g := p.figures[len(p.figures)-1] // of the widest addresses
	table := newTables(g.family, 1)
	return []feature{
		{"nftables tables of the family netdev (CONFIG_NF_TABLES_NETDEV)", func(b *batch) { b.addTable() }},
		{"nftables chains at ingress (CONFIG_NETFILTER_INGRESS)", func(b *batch) {
			b.addTable()
			b.addBaseChain(chain, ingress, []string{c.XCFInterface})
		}},
		{"nftables chains at egress (CONFIG_NETFILTER_EGRESS, Linux 5.16)", func(b *batch) {
			b.addTable()
			b.addBaseChain(chain, egress, []string{c.XCFInterface})
		}},
		{"nftables maps with concatenated keys and timeouts", withChain(func(b *batch) { b.addSet(table.crt) })},
		{"nftables verdict maps", withChain(func(b *batch) { b.addSet(table.dpt) })},
		{"nftables counters", withChain(func(b *batch) { one(b, counter) })},
		{"nftables numgen (CONFIG_NFT_NUMGEN)", withChain(func(b *batch) { one(b, next(2, register(0))) })},
		{"nftables changes of sets from a rule", withChain(func(b *batch) {
			b.addSet(set{name: "probe", key: nftables.TypeIPAddr, dynamic: true, size: 1})
			one(b, append(immediate(register(0), make([]byte, 4)), update(set{name: "probe"}, register(0), g.embryonic)...))
		})},
		{"nftables tests for extension headers of IPv6 (Linux 4.11)", withChain(func(b *batch) { one(b, g.fragment) })},
		{"nftables fwd (CONFIG_NFT_FWD_NETDEV)", withChain(func(b *batch) {
			code := append(immediate(register(0), native(g.device)), immediate(register(4), make([]byte, g.address.Bytes))...)
			one(b, append(code, fwd{device: register(0), address: register(4), nfproto: g.nfproto}))
		})},
	}
}

// diagnose says why the kernel refused the table: what it lacks, or which right.
func (p *Path) diagnose(c Config, refused error) error {
	if errors.Is(refused, unix.EPERM) {
		return fmt.Errorf("change nftables: needs CAP_NET_ADMIN over the network namespace: %w", refused)
	}
	for _, f := range p.features(c) {
		var b batch
		f.try(&b)
		if err := errors.Join(b.err, p.write.check(&b)); err != nil {
			return fmt.Errorf("%w: the kernel lacks %s: %w", ErrUnsupported, f.name, err)
		}
	}
	return refused
}
