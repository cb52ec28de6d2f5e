package profile

import (
	"cmp"
	"slices"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/plexlab-dev/plexlab/conformance/requirements"
	"github.com/plexlab-dev/plexlab/conformance/trial"
	"github.com/plexlab-dev/plexlab/nodes/contract"
)

// The profiles of these specs name addresses as such, since symbols are the topology's: DVIPAs are
// of 192.168.44.0/24, XCF addresses 10.1.0.1 for MVS1, which is under test, to 10.1.0.4 for MVS4.

// A statement is what a list tells of one DVIPA. Left open are the epoch of an owner, of which a
// profile says nothing, and the mask of a backup, which VIPABackup does not have.
type statement struct {
	Role  contract.Role
	DVIPA string // of a primary with the length of its mask
	Rank  uint8
	Owner bool
	// Ports that are distributed; nil is all of them, or none where Targets are nil too.
	Ports []contract.PortRange
	// Targets are XCF addresses in order, or ALL.
	Targets []string
	// ClusterPorts: the DVIPA has cluster-wide ports.
	ClusterPorts bool
}

// define and backup are statements without distribution.
func define(prefix string) statement {
	return statement{Role: contract.RolePrimary, DVIPA: prefix, Owner: true}
}

func backup(rank uint8, dvipa string) statement {
	return statement{Role: contract.RoleBackup, DVIPA: dvipa, Rank: rank}
}

// clustered gives a statement cluster-wide ports.
func (s statement) clustered() statement {
	s.ClusterPorts = true
	return s
}

// to and on complete a statement with its distribution.
func (s statement) to(targets ...string) statement {
	s.Targets = targets
	return s
}

func (s statement) on(first, last uint16) statement {
	s.Ports = append(slices.Clone(s.Ports), contract.PortRange{First: first, Last: last})
	return s
}

// told is what an entry of a list says, with ports in order: 80 and 81 are 80 to 81.
func told(d contract.DVIPA) statement {
	s := statement{Role: d.Role, DVIPA: d.Prefix.String(), Rank: d.Rank, Owner: d.Owner, ClusterPorts: d.ClusterPorts}
	if d.Role == contract.RoleBackup {
		s.DVIPA = d.Prefix.Addr().String()
	}
	if d.Distribution == nil {
		return s
	}
	for _, t := range d.Distribution.Targets {
		s.Targets = append(s.Targets, t.XCF.String())
	}
	if d.Distribution.All {
		s.Targets = append(s.Targets, "ALL")
	}
	ports := slices.Clone(d.Distribution.Ports)
	slices.SortFunc(ports, func(a, b contract.PortRange) int { return cmp.Compare(a.First, b.First) })
	for _, p := range ports {
		if last := len(s.Ports) - 1; last >= 0 && s.Ports[last].Last+1 == p.First {
			s.Ports[last].Last = p.Last
			continue
		}
		s.Ports = append(s.Ports, p)
	}
	return s
}

// expectList starts a stack with a profile and expects that the complete list it tells a partner
// says this and no more.
func expectList(profile string, want ...statement) {
	GinkgoHelper()
	u := trial.IPv4.Unit(trial.UnitConfig{Partners: []int{2}, Verbatim: true, Profile: profile})
	mvs2 := u.Introduce(2, nil)
	mvs2.WaitMember()
	list := mvs2.ExpectList()
	var got []statement
	for _, d := range list.DVIPAs {
		Expect(d.Owner).To(Equal(d.Epoch > 0), "an owner has an epoch: %+v", d)
		got = append(got, told(d))
	}
	Expect(got).To(ConsistOf(want))
	Expect(list.SourceIPAs).To(BeEmpty())
}

var _ = DescribeTable("a form of the language, as the list tells it", expectList,
	// Definitions stand between VIPADYNamic and ENDVIPADYNamic; a second block adds to the first.
	Entry("blocks", requirements.Covers("profile/VIPADYNamic", "T19"), `
		VIPADYNamic
		  VIPADEFine 255.255.255.0 192.168.44.10
		ENDVIPADYNamic
		VIPADynamic
		  VIPADEFine 255.255.255.0 192.168.44.11
		ENDVIPADynamic`,
		define("192.168.44.10/24"), define("192.168.44.11/24")),
	Entry("a block of nothing", requirements.Covers("profile/VIPADYNamic"), `VIPADYNamic ENDVIPADYNamic`),

	// "VIPADEFine MOVEable IMMEDIATE netMask ipaddr ...": addresses of one subnet (T15), with the mask
	// as dotted quad or length.
	Entry("VIPADEFine with one and several addresses, of several masks", requirements.Covers("profile/VIPADEFine", "T15", "T19"), `
		VIPADYNamic
		  VIPADEFine 255.255.255.0 192.168.44.10 192.168.44.11,192.168.44.12
		  VIPADEFine 255.255.255.240 192.168.44.17 192.168.44.30
		  VIPADEFine /28 192.168.44.33
		  VIPADEFine 32 192.168.44.50
		ENDVIPADYNamic`,
		define("192.168.44.10/24"), define("192.168.44.11/24"), define("192.168.44.12/24"),
		define("192.168.44.17/28"), define("192.168.44.30/28"), define("192.168.44.33/28"), define("192.168.44.50/32")),
	// "These or other parameters may be the default parameters".
	Entry("MOVEable IMMEDIATE, in full, in part and left out", requirements.Covers("profile/VIPADEFine-MOVEable-IMMEDIATE"), `
		VIPADYNamic
		  VIPADEFine MOVEable IMMEDIATE 255.255.255.0 192.168.44.10
		  VIPADEFine MOVEable 255.255.255.0 192.168.44.11
		  VIPADEFine 255.255.255.0 192.168.44.12
		ENDVIPADYNamic`,
		define("192.168.44.10/24"), define("192.168.44.11/24"), define("192.168.44.12/24")),

	// "VIPABackup rank ipaddr ...", the rank "a number between 1 and 254".
	Entry("VIPABackup of the lowest and the highest rank", requirements.Covers("profile/VIPABackup", "T19"), `
		VIPADYNamic
		  VIPABackup 1 192.168.44.10
		  VIPABackup 254 192.168.44.11 192.168.44.12
		ENDVIPADYNamic`,
		backup(1, "192.168.44.10"), backup(254, "192.168.44.11"), backup(254, "192.168.44.12")),

	// "VIPADISTribute ipaddr PORT portlist DESTIP ipaddrlist", of a DVIPA that the profile defines or
	// backs up (I14); one without stays undistributed.
	Entry("VIPADISTribute of a primary and of a backup", requirements.Covers("profile/VIPADISTribute", "I14", "T19"), `
		VIPADYNamic
		  VIPADISTribute 192.168.44.11 PORT 60 DESTIP 10.1.0.2
		  VIPADEFine 255.255.255.0 192.168.44.10 192.168.44.12
		  VIPABackup 100 192.168.44.11
		  VIPADISTribute 192.168.44.10 PORT 80 DESTIP 10.1.0.1 10.1.0.3
		ENDVIPADYNamic`,
		define("192.168.44.10/24").on(80, 80).to("10.1.0.1", "10.1.0.3"), define("192.168.44.12/24"),
		backup(100, "192.168.44.11").on(60, 60).to("10.1.0.2")),
	Entry("PORT with single ports", requirements.Covers("profile/VIPADISTribute-PORT-list"), `
		VIPADYNamic
		  VIPADEFine 255.255.255.0 192.168.44.10
		  VIPADISTribute 192.168.44.10 PORT 80 443,1 65535 DESTIP ALL
		ENDVIPADYNamic`,
		define("192.168.44.10/24").on(1, 1).on(80, 80).on(443, 443).on(65535, 65535).to("ALL")),
	// "Individually and in a range or ranges."
	Entry("PORT with ranges, alone and beside single ports", requirements.Covers("profile/VIPADISTribute-PORT-range", "T11"), `
		VIPADYNamic
		  VIPADEFine 255.255.255.0 192.168.44.10 192.168.44.11
		  VIPADISTribute 192.168.44.10 PORT 8000-8010 DESTIP ALL
		  VIPADISTribute 192.168.44.11 PORT 9000-9010, 21 100-100 8000-8010 DESTIP ALL
		ENDVIPADYNamic`,
		define("192.168.44.10/24").on(8000, 8010).to("ALL"),
		define("192.168.44.11/24").on(21, 21).on(100, 100).on(8000, 8010).on(9000, 9010).to("ALL")),
	// "VIPADISTribute DVA1 PORT DESTIP" (I5).
	Entry("PORT with nothing behind it", requirements.Covers("profile/VIPADISTribute-PORT-empty", "I5"), `
		VIPADYNamic
		  VIPADEFine 255.255.255.0 192.168.44.10
		  VIPADISTribute 192.168.44.10 PORT DESTIP 10.1.0.2
		ENDVIPADYNamic`,
		define("192.168.44.10/24").to("10.1.0.2")),
	// "If the PORT keyword is omitted, then all ports".
	Entry("PORT left out", requirements.Covers("profile/VIPADISTribute-PORT-omitted", "I5"), `
		VIPADYNamic
		  VIPADEFine 255.255.255.0 192.168.44.10
		  VIPADISTribute 192.168.44.10 DESTIP 10.1.0.2
		ENDVIPADYNamic`,
		define("192.168.44.10/24").to("10.1.0.2")),
	// DESTIP "may be XCF addresses of the protocol stacks", told in the order of the statement.
	Entry("DESTIP with addresses", requirements.Covers("profile/VIPADISTribute-DESTIP-list"), `
		VIPADYNamic
		  VIPADEFine 255.255.255.0 192.168.44.10 192.168.44.11
		  VIPADISTribute 192.168.44.10 DESTIP 10.1.0.4, 10.1.0.1 10.1.0.3,10.1.0.2
		  VIPADISTribute 192.168.44.11 DESTIP 10.1.0.9
		ENDVIPADYNamic`,
		define("192.168.44.10/24").to("10.1.0.4", "10.1.0.1", "10.1.0.3", "10.1.0.2"),
		define("192.168.44.11/24").to("10.1.0.9")),
	// "If ALL is designated, then all stacks in the Sysplex"; the specification prints a period.
	Entry("DESTIP ALL", requirements.Covers("profile/VIPADISTribute-DESTIP-ALL"), `
		VIPADYNamic
		  VIPADEFine 255.255.255.0 192.168.44.10 192.168.44.11
		  VIPADISTribute 192.168.44.10 DESTIP ALL
		  VIPADISTribute 192.168.44.11 DESTIP ALL .
		ENDVIPADYNamic`,
		define("192.168.44.10/24").to("ALL"), define("192.168.44.11/24").to("ALL")),

	// What follows a semicolon is none of the language, wherever it stands.
	Entry("comments", requirements.Covers("profile/comments"), `; VIPADEFine 255.255.255.0 192.168.44.20
		VIPADYNamic;
		  VIPADEFine 255.255.255.0 ; 192.168.44.21
		    192.168.44.10;192.168.44.22
		  ; ENDVIPADYNamic
		  VIPADISTribute 192.168.44.10 PORT 80 ; 81
		    DESTIP 10.1.0.2 ; , 10.1.0.3
		ENDVIPADYNamic ; VIPADYNamic`,
		define("192.168.44.10/24").on(80, 80).to("10.1.0.2")),
	// Capital letters are what has to be written of a keyword; more may be.
	Entry("keywords shortened to their capitals, and to a little more", requirements.Covers("profile/abbreviations"), `
		VIPADYN
		  VIPADEF MOVE IMMEDIATE 255.255.255.0 192.168.44.10
		  VIPADEFi MOVEa 255.255.255.0 192.168.44.11
		  VIPAB 7 192.168.44.12
		  VIPABack 8 192.168.44.13
		  VIPADIST 192.168.44.10 PORT 80 DESTIP ALL
		  VIPADISTrib 192.168.44.11 DESTIP 10.1.0.2
		ENDVIPAD`,
		define("192.168.44.10/24").on(80, 80).to("ALL"), define("192.168.44.11/24").to("10.1.0.2"),
		backup(7, "192.168.44.12"), backup(8, "192.168.44.13")),
	// Upper and lower case are the same.
	Entry("keywords in any case", requirements.Covers("profile/case"), `
		vipadynamic
		  VIPADEFINE MOVEABLE immediate 255.255.255.0 192.168.44.10
		  vIpAbAcKuP 9 192.168.44.11
		  vipadistribute 192.168.44.10 port 80 destip all
		EndVipaDynamic`,
		define("192.168.44.10/24").on(80, 80).to("ALL"), backup(9, "192.168.44.11")),
	// A statement ends where the next one begins, not at the end of a line.
	Entry("statements over several lines, and several on one", requirements.Covers("profile/continuation"), `VIPADYNamic VIPADEFine
		MOVEable

		IMMEDIATE
		255.255.255.0
		192.168.44.10 VIPABackup 5
		192.168.44.11 VIPADISTribute
		192.168.44.10
		PORT
		80
		,
		90
		DESTIP
		10.1.0.2,
		10.1.0.3 ENDVIPADYNamic`,
		define("192.168.44.10/24").on(80, 80).on(90, 90).to("10.1.0.2", "10.1.0.3"), backup(5, "192.168.44.11")),
)
