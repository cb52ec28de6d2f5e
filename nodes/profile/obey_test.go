package profile

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// block puts statements into a block.
func block(statements string) string { return "VIPADYNAMIC\n" + statements + "\nENDVIPADYNAMIC\n" }

// inForce are definitions that a text is added to.
const inForce = `VIPADEF /24 DVA1 DVB1 192.168.44.12
VIPAB 7 192.168.44.30 192.168.44.31
VIPADIST DVA1 PORT 60 DESTIP XCF1 XCF2
VIPARANGE /28 192.168.44.64
SOURCEIPA DVA1 APPA
SOURCEIPA DVB1 APP*`

func TestObey(t *testing.T) {
	for name, test := range map[string]struct {
		text string
		// without and with are lines of the canonical form that the text takes away and adds.
		without, with []string
		// changes are statements and, after each, what it replaces.
		changes []string
	}{
		"nothing": {text: ""},
		"one address of several": {
			text:    "VIPADEF CLUSTERPORTS /24 DVB1",
			without: []string{"VIPADEFine MOVEable IMMEDIATE 255.255.255.0 192.168.44.10 192.168.44.11 192.168.44.12"},
			with: []string{
				"VIPADEFine MOVEable IMMEDIATE 255.255.255.0 192.168.44.10 192.168.44.12",
				"VIPADEFine MOVEable IMMEDIATE CLUSTERPORTS 255.255.255.0 192.168.44.11",
			},
			changes: []string{
				"VIPADEFine MOVEable IMMEDIATE CLUSTERPORTS 255.255.255.0 192.168.44.11",
				"- VIPADEFine MOVEable IMMEDIATE 255.255.255.0 192.168.44.11",
			},
		},
		"a new address and one as it was": {
			text:    "VIPADEF /24 192.168.44.12 192.168.44.13",
			without: []string{"VIPADEFine MOVEable IMMEDIATE 255.255.255.0 192.168.44.10 192.168.44.11 192.168.44.12"},
			with: []string{
				"VIPADEFine MOVEable IMMEDIATE 255.255.255.0 192.168.44.10 192.168.44.11",
				"VIPADEFine MOVEable IMMEDIATE 255.255.255.0 192.168.44.12 192.168.44.13",
			},
			changes: []string{"VIPADEFine MOVEable IMMEDIATE 255.255.255.0 192.168.44.12 192.168.44.13"},
		},
		"rank of both": {
			text:    "VIPABACKUP 9 192.168.44.31 192.168.44.30",
			without: []string{"VIPABackup 7 192.168.44.30 192.168.44.31"},
			with:    []string{"VIPABackup 9 192.168.44.31 192.168.44.30"},
			changes: []string{"VIPABackup 9 192.168.44.31 192.168.44.30", "- VIPABackup 7 192.168.44.31", "- VIPABackup 7 192.168.44.30"},
		},
		"distribution of an address in force": {
			text:    "VIPADIST DVB1 PORT 60 CLUSTERPORTS DESTIP ALL",
			with:    []string{"VIPADISTribute 192.168.44.11 PORT 60 CLUSTERPORTS DESTIP ALL"},
			changes: []string{"VIPADISTribute 192.168.44.11 PORT 60 CLUSTERPORTS DESTIP ALL"},
		},
		"other targets": {
			text:    "VIPADIST DVA1 PORT 60 DESTIP XCF1",
			without: []string{"VIPADISTribute 192.168.44.10 PORT 60 DESTIP 10.1.0.1, 10.1.0.2"},
			with:    []string{"VIPADISTribute 192.168.44.10 PORT 60 DESTIP 10.1.0.1"},
			changes: []string{"VIPADISTribute 192.168.44.10 PORT 60 DESTIP 10.1.0.1", "- VIPADISTribute 192.168.44.10 PORT 60 DESTIP 10.1.0.1, 10.1.0.2"},
		},
		"the same range, named by another of its addresses": {
			text:    "VIPARANGE CLUSTERPORTS /28 192.168.44.70",
			without: []string{"VIPARange MOVEable NONDISRUPTIVE 255.255.255.240 192.168.44.64"},
			with:    []string{"VIPARange MOVEable NONDISRUPTIVE CLUSTERPORTS 255.255.255.240 192.168.44.70"},
			changes: []string{
				"VIPARange MOVEable NONDISRUPTIVE CLUSTERPORTS 255.255.255.240 192.168.44.70",
				"- VIPARange MOVEable NONDISRUPTIVE 255.255.255.240 192.168.44.64",
			},
		},
		"applications as written": {
			text:    "SOURCEIPA DVA1 app*\nSOURCEIPA DVA1 APPB",
			without: []string{"SOURCEIPA 192.168.44.11 APP*"},
			with:    []string{"SOURCEIPA 192.168.44.10 APP*", "SOURCEIPA 192.168.44.10 APPB"},
			changes: []string{"SOURCEIPA 192.168.44.10 APP*", "- SOURCEIPA 192.168.44.11 APP*", "SOURCEIPA 192.168.44.10 APPB"},
		},
		"a source of the other family": {
			text:    "SOURCEIPA 2001:DB8:44::10 APPA",
			with:    []string{"SOURCEIPA 2001:db8:44::10 APPA"},
			changes: []string{"SOURCEIPA 2001:db8:44::10 APPA"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			current, err := Parse("in force", []byte(block(inForce)), figure9)
			if err != nil {
				t.Fatal(err)
			}
			before := current.String()
			got, err := Obey(current, "more", []byte(block(test.text)), figure9)
			if err != nil {
				t.Fatal(err)
			}
			want := lines(before)
			for _, line := range test.without {
				if _, there := want[line]; !there {
					t.Errorf("%q is not in force before", line)
				}
				delete(want, line)
			}
			for _, line := range test.with {
				want[line] = true
			}
			if diff := cmp.Diff(want, lines(got.Profile.String())); diff != "" {
				t.Errorf("in force (-want +got):\n%s", diff)
			}
			if strings.Contains(fmt.Sprintf("%#v", got.Profile), "in force") {
				t.Errorf("places of what was in force are left: %#v", got.Profile)
			}
			var changes []string
			for _, c := range got.Changes {
				changes = append(changes, c.Statement.String())
				for _, old := range c.Replaces {
					changes = append(changes, "- "+old.String())
				}
				if file := c.Statement.Position().File; file != "more" {
					t.Errorf("%s is of file %q, want the text's", c.Statement, file)
				}
			}
			if diff := cmp.Diff(test.changes, changes); diff != "" {
				t.Errorf("changes (-want +got):\n%s", diff)
			}
			if current.String() != before {
				t.Errorf("what was in force has changed to\n%s", current)
			}
		})
	}
}

// lines are the statements of a canonical form.
func lines(text string) map[string]bool {
	all := map[string]bool{}
	for line := range strings.Lines(text) {
		all[strings.TrimSpace(line)] = true
	}
	return all
}

// Errors are at places of the text, whatever comes first in the merged definitions.
func TestObeyRefuses(t *testing.T) {
	current, err := Parse("in force", []byte(block(inForce)), figure9)
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]string{
		"VIPADEF /99 DVA1":                                    `more:2:9: found "/99", expected a mask of length 1 to 32 for 192.168.44.10`,
		"VIPADEF /24 DVA1 DVA1":                               `more:2:18: found 192.168.44.10 again, expected each DVIPA in one VIPADEFine or VIPABackup; it is in line 2 already`,
		"VIPADEF /24 192.168.44.9 192.168.45.9":               `more:2:26: found 192.168.45.9, expected an address of 192.168.44.0/24 like 192.168.44.9 before it: the addresses of one VIPADEFine are of one subnet (T15)`,
		"VIPAB 7 DVA1":                                        `more:2:9: found 192.168.44.10 again, expected each DVIPA in one VIPADEFine or VIPABackup; it is in force already`,
		"VIPADEF /24 192.168.44.30":                           `more:2:13: found 192.168.44.30 again, expected each DVIPA in one VIPADEFine or VIPABackup; it is in force already`,
		"VIPADIST 192.168.44.99 DESTIP ALL":                   `more:2:10: found 192.168.44.99, expected an address of a VIPADEFine or VIPABackup of this profile (I14)`,
		"VIPADIST DVB1 DESTIP ALL\nVIPADIST DVB1 DESTIP XCF1": `more:3:10: found a second VIPADISTribute for 192.168.44.11, expected only that in line 2`,
		"VIPADEF /24 XCF2":                                    `more:2:13: found 10.1.0.2, which is a target of the VIPADISTribute in force for 192.168.44.10, expected a DVIPA`,
		"VIPADIST DVB1 DESTIP DVA1":                           `more:2:22: found the DVIPA 192.168.44.10, expected the XCF address of a stack`,
		"VIPARANGE /30 192.168.44.72":                         `more:2:1: found the range 192.168.44.72/30, expected one apart from 192.168.44.64/28 in force`,
		"VIPARANGE /24 192.168.44.0":                          `more:2:1: found the range 192.168.44.0/24, expected one apart from 192.168.44.64/28 in force`,
		"SOURCEIPA DVA1 APPC SOURCEIPA DVB1 APPC":             `more:2:21: found a second source address for APPC, expected only that in line 2`,
	} {
		got, err := Obey(current, "more", []byte(block(text)), figure9)
		if err == nil || err.Error() != want {
			t.Errorf("%s: got %v\nwant %s", text, err, want)
		}
		if got != nil {
			t.Errorf("%s: an answer beside the error", text)
		}
	}
}

// What holds of any definitions and any text: the text added to nothing is the text; added
// twice it says nothing new; nothing is lost that it does not speak of; and the result is a
// profile whose canonical form says the same.
func TestObeyOfRandomProfiles(t *testing.T) {
	refused := 0
	const rounds = 500
	for seed := range uint64(rounds) {
		random := rand.New(rand.NewPCG(seed, 15))
		current, added := (&writer{Rand: random}).profile(), (&writer{Rand: random}).profile()
		inForce, err := Parse("in force", []byte(current), nil)
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		alone, err := Obey(&Profile{}, "added", []byte(added), nil)
		if err != nil {
			t.Fatalf("seed %d: %v\n%s", seed, err, added)
		}
		if want, err := Parse("added", []byte(added), nil); err != nil || cmp.Diff(want, alone.Profile, withoutPositions) != "" {
			t.Fatalf("seed %d: added to nothing (error %v)\n%s\nwant\n%s", seed, err, alone.Profile, want)
		}
		got, err := Obey(inForce, "added", []byte(added), nil)
		if err != nil {
			if !strings.HasPrefix(err.Error(), "added:") {
				t.Fatalf("seed %d: an error that is not of the text: %v", seed, err)
			}
			refused++
			continue
		}
		again, err := Parse("printed", []byte(got.Profile.String()), nil)
		if err != nil {
			t.Fatalf("seed %d: %v\n%s", seed, err, got.Profile)
		}
		if diff := cmp.Diff(got.Profile, again, withoutPositions); diff != "" {
			t.Fatalf("seed %d: printed and parsed (-want +got):\n%s", seed, diff)
		}
		twice, err := Obey(got.Profile, "added", []byte(added), nil)
		if err != nil {
			t.Fatalf("seed %d: added again: %v", seed, err)
		}
		if diff := cmp.Diff(got.Profile, twice.Profile, withoutPositions); diff != "" || len(twice.Changes) != 0 {
			t.Fatalf("seed %d: added again, %d changes (-want +got):\n%s", seed, len(twice.Changes), diff)
		}
		want := map[subject]string{}
		for _, p := range []*Profile{inForce, alone.Profile} {
			for _, one := range sayings(p) {
				want[one.subject] = one.Statement.String()
			}
		}
		for _, one := range sayings(got.Profile) {
			if want[one.subject] != one.Statement.String() {
				t.Fatalf("seed %d: found %s, want %s", seed, one.Statement, want[one.subject])
			}
			delete(want, one.subject)
		}
		if len(want) != 0 {
			t.Fatalf("seed %d: lost %v", seed, want)
		}
	}
	if refused < rounds/10 || refused > rounds*9/10 {
		t.Errorf("%d of %d texts are refused: both ends must be tried", refused, rounds)
	}
}
