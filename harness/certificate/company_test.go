package certificate

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/plexlab-dev/plexlab/harness/impl"
)

// What the specs of each requirement need, those left out that need more than another one. make test compares a run of all suites
// itself (plexlab company).
func recordedNeeds(t *testing.T) map[string][][]string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", "needs.json"))
	if err != nil {
		t.Fatal(err)
	}
	var needs map[string][][]string
	if err := json.Unmarshal(text, &needs); err != nil {
		t.Fatal(err)
	}
	return needs
}

func TestEveryProfileCanBeCertifiedInItsCompany(t *testing.T) {
	if err := CheckCompany(recordedNeeds(t)); err != nil {
		t.Error(err)
	}
}

func TestACompanyThatDoesNotFitIsFound(t *testing.T) {
	for _, test := range []struct {
		name, id string
		specs    [][]string
		says     string
	}{
		{"a requirement without specs", "T63", nil, "profile backup with [core]: every spec of T63 needs something else"},
		{"one that needs more", "T14", [][]string{{"advertising", "outbound"}}, "profile advertising with [core backup takeover]: every spec of T14"},
		{"none that needs more", "T63", [][]string{{"backup"}}, "profile backup can be certified without [core]"},
	} {
		needs := recordedNeeds(t)
		needs[test.id] = test.specs
		if err := CheckCompany(needs); err == nil || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: want %q, got %v", test.name, test.says, err)
		}
	}
}

func TestCompanyIsListedWithItsOwn(t *testing.T) {
	want := []impl.Capability{impl.Core, impl.Backup, impl.Takeover}
	if got := impl.Company(impl.Advertising); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
