package profile

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// figure9 are the symbols of the worked example.
var figure9 = Symbols{
	"DVA1": netip.MustParseAddr("192.168.44.10"),
	"DVB1": netip.MustParseAddr("192.168.44.11"),
	"XCF1": netip.MustParseAddr("10.1.0.1"),
	"XCF2": netip.MustParseAddr("10.1.0.2"),
	"XCF3": netip.MustParseAddr("10.1.0.3"),
	"XCF4": netip.MustParseAddr("10.1.0.4"),
	"XCF5": netip.MustParseAddr("10.1.0.5"),
}

const fixtures = "../../fixtures/profiles"

// parseFixture parses a file of fixtures/profiles.
func parseFixture(t *testing.T, name string) (*Profile, error) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(fixtures, name))
	if err != nil {
		t.Fatal(err)
	}
	return Parse(name, text, figure9)
}

// withoutPositions compares what two profiles say.
var withoutPositions = cmp.Options{
	cmp.Comparer(func(Position, Position) bool { return true }),
	cmp.Comparer(func(a, b netip.Addr) bool { return a == b }),
}

func TestCanonicalForm(t *testing.T) {
	for name, want := range map[string]string{
		"mvs1.profile": `VIPADynamic
  VIPADEFine MOVEable IMMEDIATE 255.255.255.0 192.168.44.10
  VIPADISTribute 192.168.44.10 DESTIP 10.1.0.1, 10.1.0.2, 10.1.0.4
  SOURCEIPA 192.168.44.10 APPA
ENDVIPADynamic
`,
		"mvs5.profile": `VIPADynamic
  VIPADEFine MOVEable IMMEDIATE CLUSTERPORTS 255.255.255.0 192.168.44.11
  VIPABackup 100 192.168.44.10
  VIPADISTribute 192.168.44.11 PORT 60 DESTIP ALL
  VIPADISTribute 192.168.44.10 DESTIP 10.1.0.2, 10.1.0.3, 10.1.0.4
  SOURCEIPA 192.168.44.10 APPA
  SOURCEIPA 192.168.44.11 APPB
ENDVIPADynamic
`,
		"language.profile": `VIPADynamic
  VIPADEFine MOVEable IMMEDIATE 255.255.255.0 192.168.44.20 192.168.44.21 192.168.44.22
  VIPADEFine MOVEable IMMEDIATE 255.255.255.0 192.168.44.23
  VIPADEFine MOVEable IMMEDIATE SYSPLEXPORTS 255.255.255.0 192.168.44.24
  VIPADEFine MOVEable IMMEDIATE /64 2001:db8:44::20
  VIPADEFine MOVEable IMMEDIATE 255.255.255.0 192.168.44.25
  VIPABackup 254 192.168.44.30
  VIPABackup 1 192.168.44.31 192.168.44.32
  VIPADISTribute 192.168.44.20 DESTIP ALL
  VIPADISTribute 192.168.44.21 DESTIP 10.1.0.1, 10.1.0.2
  VIPADISTribute 192.168.44.22 PORT 80, 443, 8000-8010, 9000 CLUSTERPORTS DESTIP 10.1.0.1 WEIGHT 3, 10.1.0.2
  VIPADISTribute 192.168.44.30 PORT 60 CLUSTERPORTS DESTIP ALL
  VIPADISTribute 2001:db8:44::20 PORT 80 DESTIP 2001:db8:1::1
  VIPARange MOVEable NONDISRUPTIVE DISTribute CLUSTERPORTS 255.255.255.240 192.168.44.64
  VIPARange MOVEable NONDISRUPTIVE DISTribute 255.255.255.240 192.168.44.80
  VIPARange MOVEable NONDISRUPTIVE /112 2001:db8:44::1:0
  SOURCEIPA 192.168.44.20 APPA
  SOURCEIPA 192.168.44.24 APPB
  SOURCEIPA 192.168.44.25 APP*
ENDVIPADynamic
`,
	} {
		t.Run(name, func(t *testing.T) {
			p, err := parseFixture(t, name)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, p.String()); diff != "" {
				t.Errorf("canonical form (-want +got):\n%s", diff)
			}
			again, err := Parse("again", []byte(p.String()), nil)
			if err != nil {
				t.Fatalf("canonical form does not parse: %v", err)
			}
			if diff := cmp.Diff(p, again, withoutPositions); diff != "" {
				t.Errorf("parsed again (-want +got):\n%s", diff)
			}
		})
	}
}

// The example as printed lacks the block and the masks (I14): both are named, in both places.
func TestWorkedExampleAsPrinted(t *testing.T) {
	_, err := parseFixture(t, "mvs5-printed.profile")
	want := `mvs5-printed.profile:1:1: found "VIPADEFine", expected VIPADynamic before it
mvs5-printed.profile:1:44: found "DVB1", expected a network mask such as 255.255.255.0 or /24
mvs5-printed.profile:6:1: found the end of the profile, expected ENDVIPADynamic for the block that began in line 1`
	if err == nil || err.Error() != want {
		t.Errorf("got:\n%v\nwant:\n%s", err, want)
	}
	if _, err := parseFixture(t, "mvs1-printed.profile"); err == nil {
		t.Error("MVS1 as printed parses, want errors")
	}
}

func TestNoStatements(t *testing.T) {
	for _, text := range []string{"", "; nothing\n", "VIPADYNAMIC ENDVIPADYNAMIC", "\ufeffvipad\r\nendvipad\r\n"} {
		p, err := Parse("p", []byte(text), nil)
		if err != nil {
			t.Errorf("Parse(%q): %v", text, err)
		} else if p.String() != "" {
			t.Errorf("Parse(%q) prints as %q, want nothing", text, p)
		}
	}
}

func TestPositions(t *testing.T) {
	text := "VIPADYN\n\tVIPADEF /24 dva1 ; é\n VIPADIST DVA1 PORT 60,\n  70-80 DESTIP XCF1 WEIGHT 2\nENDVIPAD"
	p, err := Parse("p", []byte(text), figure9)
	if err != nil {
		t.Fatal(err)
	}
	d := p.Distributes[0]
	got := []Position{p.Defines[0].Pos, p.Defines[0].Addresses[0].Pos, d.Pos, d.Ports[0].Pos, d.Ports[1].Pos, d.Targets[0].Pos}
	want := []Position{{"p", 2, 2}, {"p", 2, 14}, {"p", 3, 2}, {"p", 3, 21}, {"p", 4, 3}, {"p", 4, 16}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("positions (-want +got):\n%s", diff)
	}
}

// An abbreviation is a prefix at least as long as the capitals.
func TestAbbreviations(t *testing.T) {
	for k, short := range map[keyword]string{
		kwBlock: "VIPAD", kwEndBlock: "ENDVIPAD", kwDefine: "VIPADEF", kwBackup: "VIPAB", kwDistribute: "VIPADIST",
		kwRange: "VIPAR", kwSourceIPA: "SOURCEIPA", kwMoveable: "MOVE", kwImmediate: "IMMEDIATE",
		kwNonDisrupt: "NONDISRUPTIVE", kwInRange: "DIST", kwClusterPorts: "CLUSTERPORTS",
	} {
		for n := range len(k) + 1 {
			for _, word := range []string{string(k[:n]), strings.ToLower(string(k[:n]))} {
				if got, want := k.matches(word), n >= len(short); got != want {
					t.Errorf("%q for %s: %v, want %v", word, k, got, want)
				}
			}
		}
		if k.matches(string(k) + "X") {
			t.Errorf("%sX is taken for %s", k, k)
		}
	}
	if kwDefine.matches("VıPADEFINE") {
		t.Error("a dotless i is taken for I")
	}
}

func TestRequires(t *testing.T) {
	p, err := parseFixture(t, "mvs5.profile")
	if err != nil {
		t.Fatal(err)
	}
	want := []Requirement{
		{ClusterPorts, Position{"mvs5.profile", 4, 33}, "CLUSTERPORTS"},
		{SourceIPAs, Position{"mvs5.profile", 8, 3}, "SOURCEIPA"},
		{SourceIPAs, Position{"mvs5.profile", 9, 3}, "SOURCEIPA"},
	}
	if diff := cmp.Diff(want, p.Requires()); diff != "" {
		t.Errorf("requirements (-want +got):\n%s", diff)
	}
	refused := p.Unsupported(ClusterPorts | Weights)
	const message = `mvs5.profile:8:3: SOURCEIPA is not supported yet by this implementation
mvs5.profile:9:3: SOURCEIPA is not supported yet by this implementation`
	if refused == nil || refused.Error() != message {
		t.Errorf("refused:\n%v\nwant:\n%s", refused, message)
	}
	if !errors.Is(refused, errors.ErrUnsupported) {
		t.Error("not errors.ErrUnsupported")
	}
	if err := p.Unsupported(ClusterPorts | SourceIPAs); err != nil {
		t.Errorf("refused although acted upon: %v", err)
	}
}

func TestRequiresEveryFeature(t *testing.T) {
	p, err := parseFixture(t, "language.profile")
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]int{}
	for _, r := range p.Requires() {
		got[r.What]++
	}
	want := map[string]int{
		"SYSPLEXPORTS": 1, "CLUSTERPORTS": 3, "VIPARange": 3, "SOURCEIPA": 3, "WEIGHT": 1,
		"IPv6 address 2001:db8:44::20": 2, "IPv6 address 2001:db8:1::1": 1, "IPv6 address 2001:db8:44::1:0": 1,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("requirements (-want +got):\n%s", diff)
	}
}
