package profile

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/plexlab-dev/plexlab/conformance/requirements"
	"github.com/plexlab-dev/plexlab/conformance/trial"
	"github.com/plexlab-dev/plexlab/harness/impl"
	"github.com/plexlab-dev/plexlab/harness/report"
)

// expectRefusal starts a stack with a profile that is wrong at one place, LINE:COLUMN from 1. The
// stack ends, and its log, with which the lab explains why it did not come to be, names file, place
// and word. Nothing is left behind.
func expectRefusal(profile, place, word string) {
	GinkgoHelper()
	err := trial.Refused(trial.UnitConfig{Verbatim: true, Profile: profile})
	Expect(err.Error()).To(And(
		ContainSubstring(": stack MVS1 ended: "),
		MatchRegexp(`[^\s:]:%s:.*%s`, place, word),
	))
}

var _ = Describe("a profile that is wrong", func() {
	// A stack with half of its definitions would be worse than none: nothing of a profile with an
	// error takes effect, and the person who wrote it is told the place.
	DescribeTable("is refused, with the place of the error", Label(report.BareLabel),
		func(profile, place, word string) { expectRefusal(profile, place, word) },

		// "All of the VIPAs in a single VIPADEFine statement must belong to the same subnet" (T15).
		Entry("addresses of two subnets", requirements.Covers("T15"), `VIPADYNamic
  VIPADEFine 255.255.255.0 192.168.44.10 192.168.45.10
ENDVIPADYNamic`, "2:42", "192.168.45.10"),
		Entry("addresses of two subnets of a longer mask", requirements.Covers("T15"), `VIPADYNamic
  VIPADEFine 255.255.255.240 192.168.44.10 192.168.44.17
ENDVIPADYNamic`, "2:44", "192.168.44.17"),
		// The address of VIPADISTribute "is a VIPA defined in the VIPADEFine" or VIPABackup (I14).
		Entry("distribution of an address that is not defined", requirements.Covers("I14", "profile/VIPADISTribute"), `VIPADYNamic
  VIPADEFine 255.255.255.0 192.168.44.10
  VIPADISTribute 192.168.44.11 DESTIP ALL
ENDVIPADYNamic`, "3:18", "192.168.44.11"),
		// Ranks are "a number between 1 and 254".
		Entry("a rank below the lowest", requirements.Covers("profile/VIPABackup"),
			"VIPADYNamic VIPABackup 0 192.168.44.10 ENDVIPADYNamic", "1:24", "254"),
		Entry("a rank above the highest", requirements.Covers("profile/VIPABackup"),
			"VIPADYNamic VIPABackup 255 192.168.44.10 ENDVIPADYNamic", "1:24", "254"),
		Entry("a port above the highest", requirements.Covers("profile/VIPADISTribute-PORT-list"), `VIPADYNamic
  VIPADEFine 255.255.255.0 192.168.44.10
  VIPADISTribute 192.168.44.10 PORT 80 65536 DESTIP ALL
ENDVIPADYNamic`, "3:40", "65536"),
		Entry("a range that ends before it begins", requirements.Covers("profile/VIPADISTribute-PORT-range"), `VIPADYNamic
  VIPADEFine 255.255.255.0 192.168.44.10
  VIPADISTribute 192.168.44.10 PORT 90-80 DESTIP ALL
ENDVIPADYNamic`, "3:37", "90-80"),
		Entry("no DESTIP", requirements.Covers("profile/VIPADISTribute"), `VIPADYNamic
  VIPADEFine 255.255.255.0 192.168.44.10
  VIPADISTribute 192.168.44.10 PORT 80
ENDVIPADYNamic`, "4:1", "DESTIP"),
		Entry("DESTIP without targets", requirements.Covers("profile/VIPADISTribute-DESTIP-list"), `VIPADYNamic
  VIPADEFine 255.255.255.0 192.168.44.10
  VIPADISTribute 192.168.44.10 DESTIP
ENDVIPADYNamic`, "4:1", "ALL"),
		Entry("a mask that is none", requirements.Covers("profile/VIPADEFine"),
			"VIPADYNamic VIPADEFine 255.0.255.0 192.168.44.10 ENDVIPADYNamic", "1:24", "mask"),
		Entry("a statement that is none", requirements.Covers("profile/VIPADYNamic"), `VIPADYNamic
  VIPADEFine 255.255.255.0 192.168.44.10
  ENDVIPA
ENDVIPADYNamic`, "3:3", "ENDVIPA"),
		Entry("a keyword shorter than its capitals", requirements.Covers("profile/abbreviations"), `VIPADYNamic
  VIPADE 255.255.255.0 192.168.44.10
ENDVIPADYNamic`, "2:3", "VIPADE"),
		Entry("a definition before the block", requirements.Covers("profile/VIPADYNamic"),
			"VIPADEFine 255.255.255.0 192.168.44.10", "1:1", "VIPADynamic"),
		Entry("a block without an end", requirements.Covers("profile/VIPADYNamic"), `VIPADYNamic
  VIPADEFine 255.255.255.0 192.168.44.10
`, "3:1", "ENDVIPADynamic"),
	)

	// What the language has and the implementation does not act upon is refused by name, not passed
	// over: a profile that seems to be in force and is not would be found out in production.
	DescribeTable("asks for what the implementation does not act upon", Label(report.BareLabel),
		func(needed impl.Capability, profile, place, word string) {
			if trial.Declares(needed) {
				// Who acts upon it takes it.
				trial.IPv4.Unit(trial.UnitConfig{Verbatim: true, Profile: profile})
				return
			}
			expectRefusal(profile, place, word)
		},
		Entry("CLUSTERPORTS in VIPADEFine", impl.ClusterPorts,
			"VIPADYNamic VIPADEFine CLUSTERPORTS 255.255.255.0 192.168.44.10 ENDVIPADYNamic", "1:24", "CLUSTERPORTS"),
		Entry("CLUSTERPORTS in VIPADISTribute", impl.ClusterPorts, `VIPADYNamic
  VIPADEFine 255.255.255.0 192.168.44.10
  VIPADISTribute 192.168.44.10 PORT 80 CLUSTERPORTS DESTIP ALL
ENDVIPADYNamic`, "3:40", "CLUSTERPORTS"),
		Entry("SYSPLEXPORTS", impl.ClusterPorts,
			"VIPADYNamic VIPADEFine sysplexports 255.255.255.0 192.168.44.10 ENDVIPADYNamic", "1:24", "SYSPLEXPORTS"),
		Entry("VIPARange", impl.ClusterPorts,
			"VIPADYNamic VIPARange 255.255.255.240 192.168.44.64 ENDVIPADYNamic", "1:13", "VIPARange"),
		Entry("VIPARange DISTribute", impl.ClusterPorts,
			"VIPADYNamic\nVIPAR MOVE NONDISRUPTIVE DIST 255.255.255.240 192.168.44.64 ENDVIPADYNamic", "2:1", "VIPARange"),
		Entry("SOURCEIPA", impl.Outbound, `VIPADYNamic
  VIPADEFine 255.255.255.0 192.168.44.10
  SOURCEIPA 192.168.44.10 APPA
ENDVIPADYNamic`, "3:3", "SOURCEIPA"),
		Entry("an IPv6 address", impl.IPv6,
			"VIPADYNamic VIPADEFine /64 2001:db8:44::10 ENDVIPADYNamic", "1:28", "2001:db8:44::10"),
	)
})
