package requirements

import (
	"fmt"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/plexlab-dev/plexlab/nodes/profile"
)

var creations = []string{"VIPADEFine", "VIPABackup", "bind"}

// The table has every pair of what creates a DVIPA, on one stack and on two.
func TestEveryPairIsThere(t *testing.T) {
	for _, first := range creations {
		for _, second := range creations {
			for _, stack := range []string{"same", "other"} {
				if id := fmt.Sprintf("twice/%s-%s-%s", first, second, stack); !exists(id) {
					t.Errorf("there is no %s", id)
				}
			}
		}
	}
}

// What the table refuses is no profile, in one text and one after the other.
func TestTwoStatementsOfOneStackAreNoProfile(t *testing.T) {
	statements := map[string]string{"VIPADEFine": "VIPADEFINE 255.255.255.0 192.0.2.1", "VIPABackup": "VIPABACKUP 100 192.0.2.1"}
	for first, one := range statements {
		for second, other := range statements {
			text := fmt.Sprintf("VIPADYNAMIC %s %s ENDVIPADYNAMIC", one, other)
			if _, err := profile.Parse("profile", []byte(text), nil); err == nil {
				t.Errorf("%s, then %s: %q is a profile", first, second, text)
			}
		}
	}
}

func TestLoadRefusesPairs(t *testing.T) {
	interpretations := fstest.MapFile{Data: []byte("status: now\ncapability: core\ninterpretations:\n  - {id: I1, text: t, quote: q, observable: trace}")}
	for name, test := range map[string]struct{ item, want string }{
		"form":                    {"id: twice/VIPARange-bind-same, by: I1, owner: first, text: t", "form"},
		"owned by another":        {"id: twice/VIPADEFine-bind-other-owned, by: I1, owner: first, bind: fails, text: t", "no such case"},
		"target without a bind":   {"id: twice/bind-VIPADEFine-other-target, by: I1, owner: first, text: t", "no such case"},
		"owner":                   {"id: twice/bind-VIPADEFine-other, by: I1, owner: third, text: t", "owner"},
		"refused on two stacks":   {"id: twice/VIPADEFine-VIPABackup-other, by: I1, owner: refused, text: t", "refused"},
		"allowed on one":          {"id: twice/VIPADEFine-VIPABackup-same, by: I1, owner: first, text: t", "refused"},
		"bind without outcome":    {"id: twice/bind-bind-same, by: I1, owner: first, text: t", "bind"},
		"outcome without a bind":  {"id: twice/bind-VIPADEFine-same, by: I1, owner: first, bind: fails, text: t", "bind"},
		"no interpretation":       {"id: twice/bind-VIPADEFine-same, by: I2, owner: first, text: t", "I2"},
		"no interpretation named": {"id: twice/bind-VIPADEFine-same, owner: first, text: t", "interpretation"},
		"text missing":            {"id: twice/bind-VIPADEFine-same, by: I1, owner: first", "text"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := load(fstest.MapFS{"interpretations.yaml": &interpretations, "twice.yaml": {
				Data: []byte("status: now\ncapability: core\nobservable: messages\npairs:\n  - {" + test.item + "}"),
			}})
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("want an error that says %q, got %v", test.want, err)
			}
		})
	}
}
