package datapath

import (
	"net/netip"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/plexlab-dev/plexlab/nodes/contract"
)

// Names of the chains that are always there.
const (
	chainOutside   = "outside"
	chainXCF       = "xcf"
	chainLease     = "lease"
	chainTold      = "told"
	chainOwned     = "owned"
	chainFig12     = "fig12"
	chainFig08     = "fig08"
	chainEnded     = "ended"
	chainSelection = "selection"
	chainSelected  = "selected"
	chainUnique    = "unique"
	chainICMPError = "icmp_error"
)

// local names the chain that another one asks about connections of this stack itself (I7). It
// is empty until this stack is a target; so long no packet pays for the question.
func local(chain string) string { return chain + "_local" }

// baseChains see packets as they arrive, and as they leave.
var baseChains = []string{chainOutside, chainXCF, chainLease, chainTold}

// fixedChains are those of the family in the order they are listed in, base chains aside. Their rules
// stay as long as the table does, and their counters with them.
func (f family) fixedChains() []string {
	var chains []string
	if f.suffix != "" {
		chains = append(chains, f.name(chainOutside))
	}
	for _, chain := range []string{
		chainOwned, chainFig12, chainFig08, chainEnded,
		chainSelection, chainSelected, chainUnique, chainICMPError,
		local(chainFig12), local(chainFig08), local(chainSelected), local(chainUnique),
	} {
		chains = append(chains, f.name(chain))
	}
	return chains
}

// Paths through the flowcharts, as comments of the rules that count the packets which took
// them: edges of one figure follow one another. Other words are requirements and drops.
const (
	pathNotOwner  = "not-owner"
	pathFragment  = "I21"
	pathICMPError = "icmp-error"
	pathFull      = "crt-full"
	pathSettling  = "I20"
	pathRenewed   = "lease-renewed"
	pathLate      = "lease-late"

	pathRouted           = "fig12/140-yes->150 150->end"
	pathRoutedRequest    = pathRouted + " fig08/802-yes->804 804->end"
	pathLocal            = " I7"
	pathConventional     = "fig12/140-no->142 142-no->152 152->end"
	pathRequest          = "fig12/140-no->142 142-yes->143"
	pathUnique           = "fig12/143-yes->150 150->end fig08/802-yes->804 804->end I1"
	pathSelected         = "fig12/143-no->145 145-yes->144 144->146 146->150 150->end fig08/802-no->806 806-yes->810 810->812 812->end"
	pathRequestNoService = "fig12/143-no->145 145-no->152 152->end fig08/802-no->806 806-no->808 808->end"
)

// A figure writes the rules of one family of addresses.
type figure struct {
	family
	tables
	// device is the index of the XCF interface.
	device    uint32
	embryonic time.Duration
	// overIPv4: XCF addresses are of IPv4.
	overIPv4 bool
	// lease is Config.Lease.
	lease time.Duration
}

// hop is the address by which a target is forwarded to; hops are what the CRT holds.
func (g figure) hop(target netip.Addr) netip.Addr { return contract.NextHop(g.zero(), target) }

// target is the XCF address of a stack that is forwarded to by hop.
func (g figure) target(hop []byte) netip.Addr {
	a, _ := netip.AddrFromSlice(hop)
	if g.overIPv4 {
		return contract.XCFAddress(a)
	}
	return a
}

// baseRules are those of the base chains. They tell the families apart; a packet of IPv4 for a DVIPA
// that is owned here is past them with the second rule. What comes by XCF comes from stacks that forward to this one.
func baseRules(figures []figure) []rule {
	rules := []rule{{chain: chainOutside, code: slices.Concat(astray(), accept)}}
	for _, g := range figures {
		if g.suffix == "" {
			rules = append(rules, rule{chain: chainOutside, code: slices.Concat(g.to(g.owned), goTo(g.name(chainOwned)))})
		} else {
			rules = append(rules, rule{chain: chainOutside, code: slices.Concat(etherType(g.etherType), goTo(g.name(chainOutside)))})
		}
		rules = append(rules, rule{chain: chainXCF, code: slices.Concat(g.to(g.owned), goTo(g.name(chainOwned)))})
		// Nobody is told that this stack has a DVIPA but by its owner, whatever the process has on the way.
		rules = append(rules,
			rule{chain: chainTold, code: slices.Concat(g.tells(g.owned), accept)},
			rule{chain: chainTold, code: slices.Concat(g.tells(g.known), counter, drop), comment: pathNotOwner})
	}
	return rules
}

// rules are those of the fixed chains; errors is the set of types of ICMP errors.
func (g figure) rules(errors set) []rule {
	var rules []rule
	add := func(chain, comment string, parts ...code) {
		rules = append(rules, rule{chain: g.name(chain), code: slices.Concat(parts...), comment: comment})
	}
	goTo := func(chain string) code { return goTo(g.name(chain)) }
	jumpTo := func(chain string) code { return jumpTo(g.name(chain)) }
	fourTuple := g.tcp(0, g.fourTuple()...)
	service := g.tcp(0, g.service()...)

	// Ownership: one stack answers for a DVIPA, and takes packets for it from the outside.
	if g.suffix != "" {
		add(chainOutside, "", g.to(g.owned), goTo(chainOwned))
	}
	add(chainOutside, "", g.asks(g.owned), accept)
	add(chainOutside, pathNotOwner, g.asks(g.known), counter, drop)
	add(chainOutside, pathNotOwner, g.to(g.known), counter, drop)
	add(chainOwned, "", transport(unix.IPPROTO_TCP), goTo(chainFig12))
	add(chainOwned, "", transport(g.icmp.protocol), goTo(chainICMPError))

	// Figure 12, a packet that is not a connection request.
	add(chainFig12, pathFragment, g.fragment, counter, drop)
	add(chainFig12, "", connectionRequest(), goTo(chainFig08))
	add(chainFig12, "", jumpTo(local(chainFig12)))
	add(chainFig12, pathRouted, g.forward())
	add(chainFig12, pathSettling, g.to(g.settling), counter, drop)
	add(chainFig12, pathConventional, counter, accept)

	// Figure 8, a connection request.
	add(chainFig08, "", fourTuple, in(g.ended, register(0)), goTo(chainEnded))
	add(chainFig08, "", jumpTo(local(chainFig08)))
	add(chainFig08, pathRoutedRequest, g.forward())
	add(chainFig08, "", goTo(chainSelection))

	// A new connection with the addresses and ports of one that ended.
	add(chainEnded, "", fourTuple, immediate(g.beside(), make([]byte, g.address.Bytes)), removeFrom(g.crt, register(0), g.beside()))
	add(chainEnded, "", fourTuple, remove(g.local, register(0)))
	add(chainEnded, "", fourTuple, remove(g.ended, register(0)))
	add(chainEnded, "", goTo(chainSelection))

	add(chainSelection, pathRequest, counter)
	add(chainSelection, "", service, verdictOf(g.unique, register(0)))
	add(chainSelection, "", service, verdictOf(g.dpt, register(0)))
	add(chainSelection, pathSettling, g.to(g.settling), counter, drop)
	add(chainSelection, pathRequestNoService, counter, accept)

	// A target has been found; its entry was made just now, unless the table is full.
	for _, found := range []struct{ chain, path string }{{chainSelected, pathSelected}, {chainUnique, pathUnique}} {
		add(found.chain, "", jumpTo(local(found.chain)))
		add(found.chain, found.path, g.forward())
		add(found.chain, pathFull, counter, drop)
	}

	add(chainICMPError, pathICMPError, g.forwardICMPError(errors))
	return rules
}

// localRules fill the chains for connections of this stack itself.
func (g figure) localRules() []rule {
	var rules []rule
	for _, asked := range []struct{ chain, path string }{
		{chainFig12, pathRouted}, {chainFig08, pathRoutedRequest}, {chainSelected, pathSelected}, {chainUnique, pathUnique},
	} {
		rules = append(rules, rule{
			chain:   g.name(local(asked.chain)),
			code:    slices.Concat(g.tcp(0, g.fourTuple()...), in(g.local, register(0)), counter, accept),
			comment: asked.path + pathLocal,
		})
	}
	return rules
}

// forward is block 150: a segment whose 4-tuple is in the CRT goes to the XCF address there.
func (g figure) forward() code {
	return slices.Concat(
		g.tcp(4, g.fourTuple()...),
		g.forwardMapped(),
	)
}

// forwardMapped forwards by the CRT key that begins in the fifth register. The device stands
// in the first, as nft puts it.
func (g figure) forwardMapped() code {
	return slices.Concat(
		mapped(g.crt, register(4), register(4)),
		counter,
		immediate(register(0), native(g.device)),
		code{fwd{device: register(0), address: register(4), nfproto: g.nfproto}},
	)
}

// targetRules are the rules of a chain that enters a new connection into the tables for one
// target (146, I1) and goes to found. With the table full nothing is entered, and found drops.
func (g figure) targetRules(chain string, target netip.Addr, self bool, found string) []rule {
	enter := slices.Concat(
		g.tcp(0, g.fourTuple()...),
		immediate(g.beside(), g.hop(target).AsSlice()),
		updateTo(g.crt, register(0), g.beside(), g.embryonic),
	)
	if self {
		enter = slices.Concat(enter, update(g.local, register(0), g.embryonic+localExcess))
	}
	return []rule{
		{chain: chain, code: slices.Concat(enter, counter)},
		{chain: chain, code: goTo(g.name(found))},
	}
}
