package tolerance

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

func TestTheTableIsSound(t *testing.T) {
	seen := map[string]bool{}
	for _, tolerance := range All() {
		if found, ok := ByName(tolerance.Name); !ok || found != tolerance || seen[tolerance.Name] {
			t.Errorf("%s is not the only one of its name", tolerance.Name)
		}
		seen[tolerance.Name] = true
		if tolerance.Text == "" || tolerance.Standard <= 0 || tolerance.Kind != AtMost && tolerance.Kind != AtLeast {
			t.Errorf("%+v is not complete", tolerance)
		}
		if err := tolerance.Check(tolerance.Standard); err != nil || tolerance.Looser(tolerance.Standard) {
			t.Errorf("%s: its standard is loose: %v", tolerance.Name, err)
		}
	}
	if _, ok := ByName("patience"); ok {
		t.Error("there is no patience")
	}
}

func TestBounds(t *testing.T) {
	for _, test := range []struct {
		tolerance Tolerance
		value     time.Duration
		looser    bool
		refused   string
	}{
		{Limit, 2 * time.Second, false, ""},
		{Limit, 10 * time.Second, true, ""},
		{Limit, 10*time.Second + 1, true, "limit is 10.000000001s, and its published maximum is 10s"},
		{Quiet, time.Second, false, ""},
		{Quiet, 100 * time.Millisecond, true, "quiet is 100ms, and its published minimum is 150ms"},
	} {
		if test.looser != (test.tolerance.Loosest(test.value, test.tolerance.Standard) == test.value) {
			t.Errorf("%s: the looser of %s and the standard", test.tolerance.Name, test.value)
		}
		err := test.tolerance.Check(test.value)
		if test.tolerance.Looser(test.value) != test.looser || (err != nil) != (test.refused != "") ||
			err != nil && !strings.Contains(err.Error(), test.refused) {
			t.Errorf("%s of %s: %v", test.tolerance.Name, test.value, err)
		}
	}
}

// row is the line of a tolerance in the vendor's manual.
func (t Tolerance) row() string {
	return fmt.Sprintf("| `%s` | %s | %s | %s |", t.Name, t.Standard, t.Bound, t.Text)
}

// The vendor's manual says what may be asked for.
func TestTheManualHasTheTable(t *testing.T) {
	manual, err := os.ReadFile("../../nodes/contract/README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, tolerance := range All() {
		if !strings.Contains(string(manual), "\n"+tolerance.row()+"\n") {
			t.Errorf("nodes/contract/README.md has no line:\n%s", tolerance.row())
		}
	}
	if MaxInterpretations != 3 || !strings.Contains(string(manual), "At most three interpretations") {
		t.Errorf("nodes/contract/README.md does not say that %d interpretations may be chosen otherwise", MaxInterpretations)
	}
}
