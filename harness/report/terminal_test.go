package report

import (
	"strings"
	"testing"
)

func TestLongListsAreShortened(t *testing.T) {
	ids := strings.Fields(strings.Repeat("fig12/140 ", 20))
	if got := first(ids); len(got) != 20 {
		t.Errorf("20 ids became %d lines", len(got))
	}
	got := first(append(ids, "fig12/150", "fig12/152"))
	if last := got[len(got)-1]; len(got) != 21 || last != "and 2 more, see report.json" {
		t.Errorf("22 ids became %d lines, the last one %q", len(got), last)
	}
}
