package profile

import (
	"net/netip"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/plexlab-dev/plexlab/conformance/requirements"
	"github.com/plexlab-dev/plexlab/conformance/trial"
	"github.com/plexlab-dev/plexlab/harness/impl"
	"github.com/plexlab-dev/plexlab/harness/peer"
	"github.com/plexlab-dev/plexlab/nodes/contract"
)

var _ = DescribeTable("a form of cluster-wide ports, as the list tells it", trial.Needing(impl.ClusterPorts),
	func(profile string, want ...statement) {
		expectList(profile, want...)
	},
	// "MVS5:VIPADEFine MOVEable IMMEDIATE CLUSTERPORTS DVB1": each address of the statement, and of no
	// other.
	Entry("CLUSTERPORTS in VIPADEFine", requirements.Covers("profile/VIPADEFine-CLUSTERPORTS", "T23"), `
		VIPADYNamic
		  VIPADEFine MOVEable IMMEDIATE CLUSTERPORTS 255.255.255.0 192.168.44.10 192.168.44.11
		  VIPADEFine 255.255.255.0 192.168.44.12
		  VIPADEFine CLUSTERPORTS MOVEable 255.255.255.0 192.168.44.13
		ENDVIPADYNamic`,
		define("192.168.44.10/24").clustered(), define("192.168.44.11/24").clustered(), define("192.168.44.12/24"),
		define("192.168.44.13/24").clustered()),
	// "Cluster-wide ports may be specified in a VIPADistribute statement", for that address.
	Entry("CLUSTERPORTS in VIPADISTribute", requirements.Covers("profile/VIPADISTribute-CLUSTERPORTS", "T23"), `
		VIPADYNamic
		  VIPADEFine 255.255.255.0 192.168.44.10 192.168.44.11 192.168.44.12
		  VIPADISTribute 192.168.44.10 PORT 80 CLUSTERPORTS DESTIP ALL
		  VIPADISTribute CLUSTERPORTS 192.168.44.11 DESTIP ALL
		  VIPADISTribute 192.168.44.12 DESTIP ALL
		ENDVIPADYNamic`,
		define("192.168.44.10/24").on(80, 80).to("ALL").clustered(), define("192.168.44.11/24").to("ALL").clustered(),
		define("192.168.44.12/24").to("ALL")),
	// "Keywords other than CLUSTERPORTS, for example, SYSPLEXPORTS".
	Entry("SYSPLEXPORTS", requirements.Covers("profile/SYSPLEXPORTS", "T23"), `
		VIPADYNamic
		  VIPADEFine sysplexports 255.255.255.0 192.168.44.10
		  VIPADEFine 255.255.255.0 192.168.44.11
		  VIPADISTribute 192.168.44.11 SYSPLEXPORTS DESTIP 10.1.0.2
		ENDVIPADYNamic`,
		define("192.168.44.10/24").clustered(), define("192.168.44.11/24").to("10.1.0.2").clustered()),
)

// A DVIPA of a range is in no list before an application binds to it: then it is, as the
// statement says.
var _ = DescribeTable("a form of VIPARange, as the list tells it once an application has bound", trial.Needing(impl.ClusterPorts),
	func(statement string, want contract.DVIPA) {
		u := trial.IPv4.Unit(trial.UnitConfig{Partners: []int{2}, Verbatim: true, Profile: "VIPADYNamic " + statement + " ENDVIPADYNamic"})
		mvs2 := u.Introduce(2, nil)
		mvs2.WaitMember()
		Expect(mvs2.ExpectList().DVIPAs).To(BeEmpty())
		mvs2.Say(contract.EndOfList{})
		u.Program(u.Stack, "APPA").Binds("a", netip.AddrPortFrom(want.Prefix.Addr(), 5000))
		list := mvs2.ExpectMessage(peer.Of("of one DVIPA", func(l contract.VIPAList) bool { return len(l.DVIPAs) == 1 })).(contract.VIPAList)
		got := list.DVIPAs[0]
		Expect(got.Distribution != nil).To(Equal(want.Distribution != nil), "whether %+v is distributed", got)
		want.Distribution, want.Epoch = got.Distribution, got.Epoch
		Expect(got).To(Equal(want))
	},
	Entry("with a mask and any address of the range", requirements.Covers("profile/VIPARange"),
		"VIPARange 255.255.255.240 192.168.44.70", ranged("192.168.44.65/28", false, nil)),
	Entry("MOVEable NONDISRUPTIVE", requirements.Covers("profile/VIPARange-MOVEable"),
		"VIPARange MOVEable NONDISRUPTIVE 255.255.255.240 192.168.44.64", ranged("192.168.44.78/28", false, nil)),
	Entry("MOVEable, of a longer mask", requirements.Covers("profile/VIPARange-MOVEable"),
		"VIPAR MOVE /32 192.168.44.64", ranged("192.168.44.64/32", false, nil)),
	Entry("DISTribute", requirements.Covers("profile/VIPARange-DISTribute"),
		"VIPARange DISTribute 255.255.255.240 192.168.44.64", ranged("192.168.44.66/28", false, new(contract.Distribution))),
	Entry("CLUSTERPORTS", requirements.Covers("profile/VIPARange-CLUSTERPORTS", "T23"),
		"VIPARange CLUSTERPORTS 255.255.255.240 192.168.44.64", ranged("192.168.44.67/28", true, nil)),
	Entry("SYSPLEXPORTS and DISTribute", requirements.Covers("profile/VIPARange-CLUSTERPORTS", "profile/SYSPLEXPORTS"),
		"VIPARange SYSPLEXPORTS DISTribute 255.255.255.240 192.168.44.64", ranged("192.168.44.68/28", true, new(contract.Distribution))),
)

// ranged is a DVIPA that its stack activated within a range.
func ranged(prefix string, clusterPorts bool, d *contract.Distribution) contract.DVIPA {
	return contract.DVIPA{
		Prefix: netip.MustParsePrefix(prefix), Role: contract.RoleRange, Owner: true, ClusterPorts: clusterPorts, Distribution: d,
	}
}

// "SOURCEIPA DVB1 APPB": the list carries the rules as they stand, to stacks without a profile.
var _ = It("SOURCEIPA is told in the list", requirements.Covers("profile/SOURCEIPA", "I26"), trial.Needing(impl.Outbound), func() {
	u := trial.IPv4.Unit(trial.UnitConfig{Partners: []int{2}, Verbatim: true, Profile: `
		VIPADYNamic
		  VIPADEFine 255.255.255.0 192.168.44.10 192.168.44.11
		  SOURCEIPA 192.168.44.10 APPA
		  sourceipa 192.168.44.11 appb
		  SOURCEIPA 192.168.44.11 AP*
		  SOURCEIPA 192.168.44.10 *
		ENDVIPADYNamic`})
	mvs2 := u.Introduce(2, nil)
	mvs2.WaitMember()
	Expect(mvs2.ExpectList().SourceIPAs).To(ConsistOf(
		contract.SourceIPA{Address: trial.IPv4.DVA1, Application: "APPA"}, contract.SourceIPA{Address: trial.IPv4.DVB1, Application: "APPB"},
		contract.SourceIPA{Address: trial.IPv4.DVB1, Application: "AP*"}, contract.SourceIPA{Address: trial.IPv4.DVA1, Application: "*"}))
})
