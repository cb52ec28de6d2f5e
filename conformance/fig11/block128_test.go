package fig11

import (
	"net/netip"
	"slices"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/plexlab-dev/plexlab/conformance/requirements"
	"github.com/plexlab-dev/plexlab/conformance/trial"
	"github.com/plexlab-dev/plexlab/harness/impl"
	"github.com/plexlab-dev/plexlab/harness/peer"
	"github.com/plexlab-dev/plexlab/nodes/contract"
)

// A socket is a listening socket and what Figure 5 makes of it.
type socket struct {
	local   netip.AddrPort
	options []string
	// counts: its stack is told as a candidate for DVA1 and the port (514), not opened
	// conventionally (510).
	counts bool
	// path are the edges of Figure 5 that lead there.
	path string
}

// The ways through Figure 5 without cluster-wide ports.
const (
	conventional  = "500-no->510 510->end"
	bypassed      = "500-yes->502 502-no->514 514->end"
	anyPort       = "500-yes->502 502-no->508 508-no->514 514->end"
	enumerated    = "500-yes->502 502-no->508 508-yes->512 512-yes->514 514->end"
	notEnumerated = "500-yes->502 502-no->508 508-yes->512 512-no->510 510->end"
)

// Single port 80 and the range 90 to 93 are enumerated where any are.
var ports = []contract.PortRange{only(80), {First: 90, Last: 93}}

// elsewhere are sockets that do not reach the DVIPA: bound to another address, or of the other family
// alone.
func (f plex) elsewhere() []socket {
	other := socket{local: at(anyIPv6, 91), options: []string{"v6only"}, path: conventional}
	if f.DVA1.Is6() {
		other = socket{local: at(anyIPv4, 91), path: conventional}
	}
	return []socket{{local: at(f.self, 80), path: conventional}, other}
}

// ofAnyAddress: whether it names the address or not, an enumerated port counts: single, first, within
// and last of a range, of the family and dual stack. One before and one behind the range do not.
func (f plex) ofAnyAddress() []socket {
	return []socket{
		{local: at(f.Any, 90), counts: true, path: enumerated},
		{local: at(anyIPv6, 92), counts: true, path: enumerated},
		{local: at(f.Any, 93), counts: true, path: enumerated},
		{local: at(f.Any, 89), path: notEnumerated},
		{local: at(f.Any, 94), path: notEnumerated},
		{local: at(anyIPv6, 8081), path: notEnumerated},
	}
}

// ofNone: with no port enumerated the unspecified address is no common address.
func (f plex) ofNone() []socket {
	return []socket{
		{local: at(f.Any, 90), path: conventional},
		{local: at(anyIPv6, 92), path: conventional},
	}
}

// named are two sockets that name the DVIPA, on an enumerated port and on another.
func (f plex) named(first, second socket) []socket {
	first.local, second.local = at(f.DVA1, 80), at(f.DVA1, 8080)
	return []socket{first, second}
}

var _ = describe("block 128, which decides as Figure 5 does", func(f plex) {
	decides := func(variant impl.Variant, d contract.Distribution, sockets ...[]socket) {
		u := f.Unit(trial.UnitConfig{Inside: true, Partners: []int{2}, Variant: variant})
		mvs2 := u.Join(2)
		mvs2.Tell(f.owned(f.DVA1, 7, d))
		mvs2.Passed()
		var counted []string
		for _, s := range slices.Concat(sockets...) {
			service := at(f.DVA1, s.local.Port())
			// 128 runs by itself when an application begins to listen.
			u.ExpectPath("fig05", s.path, func() { u.Listen(u.Stack, "APPA", s.local, s.options...) })
			if s.counts {
				mvs2.ExpectMessage(peer.Is(f.srvstat(service, true, 7)))
				counted = append(counted, service.String())
			}
		}
		// It runs for all of them when the list comes again.
		answers := mvs2.Tell(f.owned(f.DVA1, 7, d))
		Expect(trial.Services(answers)).To(ConsistOf(counted))
		// Nothing but those was told at any time, each once by itself and once for the list.
		Expect(trial.Services(mvs2.Said())).To(ConsistOf(append(counted, counted...)))
	}

	// The bypass embodiment: "the output of block 502 is provided directly to block 514" for a
	// socket that is bound to the DVIPA by name, enumerated port or not (T3); enumeration decides
	// for sockets on the unspecified address (T2, I17).
	It("by name whatever is enumerated, by enumeration otherwise: specified-address-bypass",
		requirements.Covers("fig05/500-no->510", "fig05/500-yes->502", "fig05/502-no->514", "fig05/502-no->508",
			"fig05/508-yes->512", "fig05/512-yes->514", "fig05/512-no->510", "fig05/514->end", "fig05/510->end",
			"fig11/128-yes->130", "fig11/128-no->131", "T2", "T3", "T11", "I17"), func() {
			decides(impl.SpecifiedAddressBypass, on(toAll, ports...),
				f.named(socket{counts: true, path: bypassed}, socket{counts: true, path: bypassed}), f.ofAnyAddress(), f.elsewhere())
		})

	// "If no ports are enumerated, it is assumed that workload distribution is provided for all
	// ports" (T1) of sockets that name the address; one on the unspecified address is none for any
	// DVIPA then (I17).
	It("by name alone where no port is enumerated: specified-address-bypass",
		requirements.Covers("fig05/500-no->510", "fig05/502-no->514", "T1", "I17"), func() {
			decides(impl.SpecifiedAddressBypass, toAll,
				f.named(socket{counts: true, path: bypassed}, socket{counts: true, path: bypassed}), f.ofNone(), f.elsewhere())
		})

	// Without the bypass "the operations would continue from block 508": a socket that names the
	// DVIPA counts on an enumerated port only.
	It("by enumeration for every socket: enumerated-only",
		requirements.Covers("fig05/500-no->510", "fig05/502-no->508", "fig05/508-yes->512", "fig05/512-yes->514", "fig05/512-no->510",
			"T2", "T11"), func() {
			decides(impl.EnumeratedOnly, on(toAll, ports...),
				f.named(socket{counts: true, path: enumerated}, socket{path: notEnumerated}), f.ofAnyAddress(), f.elsewhere())
		})

	// And with none enumerated every port of a socket that names it.
	It("for every port where none is enumerated: enumerated-only",
		requirements.Covers("fig05/500-no->510", "fig05/502-no->508", "fig05/508-no->514", "T1", "I17"), func() {
			decides(impl.EnumeratedOnly, toAll,
				f.named(socket{counts: true, path: anyPort}, socket{counts: true, path: anyPort}), f.ofNone(), f.elsewhere())
		})

	// "The definition may include an indication" whether ports are enumerated (T7): the same
	// sockets count or do not as the list of the moment says, and what does not count any more has
	// ended.
	It("by the enumeration that the list brought last", requirements.Covers("T7", "fig05/508-yes->512", "I17"), func() {
		u := f.Unit(trial.UnitConfig{Inside: true, Partners: []int{2}})
		mvs2 := u.Join(2)
		u.Listen(u.Stack, "APPA", at(f.Any, 80))
		u.Listen(u.Stack, "APPA", at(f.Any, 81))
		for _, step := range []struct {
			d    contract.Distribution
			want []any
		}{
			{toAll, nil},
			{on(toAll, only(80)), []any{f.srvstat(at(f.DVA1, 80), true, 1)}},
			{on(toAll, only(81)), []any{f.srvstat(at(f.DVA1, 80), false, 1), f.srvstat(at(f.DVA1, 81), true, 1)}},
			{toAll, []any{f.srvstat(at(f.DVA1, 81), false, 1)}},
		} {
			Expect(mvs2.Tell(f.owned(f.DVA1, 1, step.d))).To(ConsistOf(append(step.want, contract.EndOfList{})...))
		}
	})

	// A listener on the unspecified address counts for every DVIPA that is active on its stack (I17),
	// whoever owns it, and each owner hears of its own.
	It("for each DVIPA apart", requirements.Covers("I17", "fig11/128-yes->130"), func() {
		u := f.Unit(trial.UnitConfig{Inside: true, Partners: []int{2, 3}})
		mvs2, mvs3 := u.Join(2), u.Join(3)
		mvs2.Tell(f.owned(f.DVA1, 4, on(toAll, only(80), only(81))))
		mvs3.Tell(f.owned(f.DVB1, 5, on(toAll, only(80), only(82))))
		mvs2.Passed()
		mvs3.Passed()
		for port := uint16(80); port <= 82; port++ {
			u.Listen(u.Stack, "APPA", at(f.Any, port))
		}
		mvs2.ExpectMessage(peer.Is(f.srvstat(at(f.DVA1, 81), true, 4)))
		mvs3.ExpectMessage(peer.Is(f.srvstat(at(f.DVB1, 82), true, 5)))
		Expect(trial.Told[contract.SRVSTAT](mvs2.Said())).To(HaveExactElements(
			f.srvstat(at(f.DVA1, 80), true, 4), f.srvstat(at(f.DVA1, 81), true, 4)))
		Expect(trial.Told[contract.SRVSTAT](mvs3.Said())).To(HaveExactElements(
			f.srvstat(at(f.DVB1, 80), true, 5), f.srvstat(at(f.DVB1, 82), true, 5)))
	})
})
