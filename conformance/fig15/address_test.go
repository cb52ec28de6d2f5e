package fig15

import (
	"net/netip"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"golang.org/x/sys/unix"

	"github.com/plexlab-dev/plexlab/conformance/requirements"
	"github.com/plexlab-dev/plexlab/conformance/trial"
	"github.com/plexlab-dev/plexlab/nodes/contract"
)

var _ = trial.DescribeFamilies("blocks 210 to 224: the address of a bind", func(f trial.Family) {
	// "If the specified address is not a DVIPA, it is determined if the specified address has
	// previously been defined for the communication protocol stack" (212): then "the bind operation is
	// completed" (214), else "an error code may be returned" (218). The coupling facility knows
	// nothing of either.
	It("is one of the stack's own, or none",
		requirements.Covers("fig15/200-no->210", "fig15/210-no->212", "fig15/212-yes->214", "fig15/214->end",
			"fig15/212-no->218", "fig15/218->end"), func() {
			s := newStack(f, trial.UnitConfig{Inside: true}, clustered(f))
			s.ports.ExpectUnchanged(f.DVA1, func() {
				s.binds("a", at(f.XCF(1), 5000), conventional)
				Expect(s.binds("b", at(f.XCF(1), 0), conventional).Port()).NotTo(BeZero())
				s.ExpectPath("fig15", "200-no->210 210-no->212 212-no->218 218->end", func() {
					s.program.Refused(unix.EADDRNOTAVAIL, at(f.Nowhere, 5000))
				})
			})
		})

	// "If the DVIPA is active, the DVIPA is used as the source address" (224), on the stack that owns
	// it, with CLUSTERPORTS and without.
	It("is a DVIPA that the stack owns",
		requirements.Covers("fig15/200-no->210", "fig15/210-yes->216", "fig15/216-yes->220", "fig15/220-yes->224", "fig15/224->228"), func() {
			s := newStack(f, trial.UnitConfig{Profile: owner})
			s.binds("a", at(f.DVB1, 5000), plain)
			Expect(s.ports.HasEntry(f.DVB1)).To(BeFalse(), "an entry for a DVIPA without cluster-wide ports")
			s.binds("b", f.At(5000), named)
			s.ports.Expect(f.At(5000), "unique MVS1")
		})

	// Configured on a stack is what it defines, backs up or has been made a target of (I8): of a DVIPA
	// that it merely hears of in a list it has nothing. The bind was marked before (208), and yet the
	// coupling facility stays as it was: it is updated "if the bind operation is successful".
	It("is a DVIPA that is not configured on the stack",
		requirements.Covers("fig15/216-no->218", "fig15/218->end", "I8"), func() {
			s := newStack(f, trial.UnitConfig{Inside: true}, clustered(f))
			s.mvs2.Tell(clustered(f), f.Clustered(f.DVB1, 1, f.To(2)))
			s.ExpectPath("fig15", "200-yes->203 203-no->204 204-yes->208 208->210 210-yes->216 216-no->218 218->end", func() {
				s.program.Refused(unix.EADDRNOTAVAIL, at(f.DVB1, 5000))
			})
			Expect(s.ports.State(at(f.DVB1, 5000))).To(BeElementOf("available", "no entry"))
		})

	// A backup is configured, and as long as another stack owns the DVIPA it is not active there
	// (220, 222).
	It("is a DVIPA that the stack backs up and does not have",
		requirements.Covers("fig15/220-no->222", "fig15/222-no->218", "I8"), func() {
			s := newStack(f, trial.UnitConfig{Profile: "VIPADYNAMIC VIPABACKUP 10 DVA1 ENDVIPADYNAMIC"},
				f.Clustered(f.DVA1, 1, f.To(2)))
			s.ExpectPath("fig15", "200-yes->203 203-no->204 204-yes->208 208->210 210-yes->216 216-yes->220 220-no->222 222-no->218 218->end", func() {
				s.program.Refused(unix.EADDRNOTAVAIL, f.At(5000))
			})
			Expect(s.ports.State(f.At(5000))).To(BeElementOf("available", "no entry"))
		})

	// An application may fail for reasons that are its own; the port it named is then as free as it
	// was, also where the coupling facility had been asked.
	It("fails in the kernel, and the coupling facility is as it was", requirements.Covers("fig15/224->228", "fig15/218->end"), func() {
		s := newStack(f, trial.UnitConfig{Inside: true}, clustered(f))
		s.program.Binds("a", f.At(5000))
		s.program.Listens("w", at(f.Any, 5001))
		s.mvs2.ExpectMessage(trial.Holder(f.At(5000)))
		s.ports.ExpectUnchanged(f.DVA1, func() {
			Expect(s.program.Try("bind a "+f.At(5002).String()).Errno).To(Equal(unix.EINVAL), "bind of a socket that is bound")
			s.program.Refused(unix.EADDRINUSE, f.At(5001))
		})
		for _, m := range trial.Told[contract.SRVSTAT](s.mvs2.Tell(clustered(f))) {
			Expect(m.Service).To(Equal(f.At(5000)), "the port that was bound")
		}
	})
})

// A DVIPA of IPv4 in the form of IPv6 is the same DVIPA; one of IPv6 has no other form.
var _ = Describe("block 210: the mapped address of a dual-stack socket", func() {
	It("is the DVIPA", requirements.Covers("fig15/220-yes->224", "fig15/204-yes->208"), func() {
		f := trial.IPv4
		s := newStack(f, trial.UnitConfig{Inside: true}, clustered(f))
		mapped := netip.AddrFrom16(f.DVA1.As16())
		s.binds("a", at(mapped, 5000), named)
		s.ports.Expect(f.At(5000), "unique MVS1")
		s.mvs2.ExpectMessage(trial.Holder(f.At(5000)))
	})
})

var _ = trial.DescribeFamilies("a DVIPA with cluster-wide ports that becomes active", func(f trial.Family) {
	// "... a corresponding structure is created in the coupling facility if it does not already
	// exist, and an entry is created for the DVIPA if such an entry does not already exist" (T20): with
	// whichever statement it was given cluster-wide ports, under either name of the keyword (T23).
	DescribeTable("has an entry before anybody binds",
		func(profile string, want ...netip.Addr) {
			u := f.Unit(trial.UnitConfig{Profile: profile, Partners: []int{2}})
			ports := u.PortFile()
			for _, dvipa := range want {
				Eventually(func() bool { return ports.HasEntry(dvipa) }).Should(BeTrue(), "an entry for %s", dvipa)
				ports.ExpectClean(dvipa)
				ports.Expect(at(dvipa, 5000), "available")
			}
			for _, dvipa := range []netip.Addr{f.DVA1, f.DVB1} {
				Expect(ports.HasEntry(dvipa)).To(Equal(len(want) > 0 && (dvipa == want[0] || dvipa == want[len(want)-1])), "an entry for %s", dvipa)
			}
		},
		Entry("CLUSTERPORTS in VIPADEFine", requirements.Covers("T20", "T23"),
			"VIPADYNAMIC VIPADEFINE CLUSTERPORTS MASK DVA1 VIPADEFINE MASK DVB1 ENDVIPADYNAMIC", f.DVA1),
		Entry("SYSPLEXPORTS in VIPADEFine, of two", requirements.Covers("T20", "T23", "T43"),
			"VIPADYNAMIC VIPADEFINE SYSPLEXPORTS MASK DVA1 DVB1 ENDVIPADYNAMIC", f.DVA1, f.DVB1),
		Entry("CLUSTERPORTS in VIPADISTribute", requirements.Covers("T20", "T23"), `
			VIPADYNAMIC
			VIPADEFINE MASK DVA1 DVB1
			VIPADISTRIBUTE CLUSTERPORTS DVB1 PORT 80 DESTIP ALL
			ENDVIPADYNAMIC`, f.DVB1),
	)

	// A target makes the entry as well: who comes first makes it, and who comes second finds it with
	// what is in use.
	It("has an entry on a target, the one that is there", requirements.Covers("T20"), func() {
		s := newStack(f, trial.UnitConfig{Inside: true}, clustered(f))
		s.Tenant(2).Take(f.DVA1, true, 5000)
		s.mvs2.Tell()
		s.mvs2.Tell(clustered(f))
		s.ports.Expect(f.At(5000), "unique MVS2")
		s.program.Refused(unix.EADDRINUSE, f.At(5000))
	})
})

// rangeOf is a list entry of a DVIPA that the stack under test activated within a VIPARange.
func rangeOf(address netip.Addr) func(contract.DVIPA) bool {
	return func(d contract.DVIPA) bool {
		return d.Prefix.Addr() == address && d.Role == contract.RoleRange && d.Owner
	}
}
