package requirements

import (
	"fmt"
	"strings"
	"testing"
	"testing/fstest"
)

func TestEveryInterpretationAndStatementHasAnID(t *testing.T) {
	for _, index := range []struct {
		prefix      string
		first, last int
	}{{"I", 1, 41}, {"T", 1, 57}, {"T", 60, 63}} {
		for n := index.first; n <= index.last; n++ {
			if id := fmt.Sprint(index.prefix, n); !exists(id) {
				t.Errorf("there is no %s", id)
			}
		}
		if id := fmt.Sprint(index.prefix, index.last+1); exists(id) {
			t.Errorf("%s is not in the specification's index", id)
		}
	}
}

func TestInformativeRequirements(t *testing.T) {
	var got []string
	for _, r := range All() {
		if r.Status == Informative {
			got = append(got, r.ID)
		}
	}
	if want := "T34 T35-broadcast T36 T37"; strings.Join(got, " ") != want {
		t.Errorf("informative: want %s, got %v", want, got)
	}
}

func TestByIDIsExact(t *testing.T) {
	r, ok := ByID("fig12/142-no->152")
	if !ok || r.From != "142" || r.Outcome != "no" || r.To != "152" || r.Figure != 12 || r.Kind != Edge {
		t.Errorf("fig12/142-no->152: got %+v, %t", r, ok)
	}
	if !strings.HasPrefix(r.Citation, "Figure 12, block 142: “") {
		t.Errorf("citation %q", r.Citation)
	}
	for _, id := range []string{"", "FIG12/142", "fig12/142-no", "fig09/1", "i1"} {
		if exists(id) {
			t.Errorf("%q: want no such requirement", id)
		}
	}
}

func TestLoadRefuses(t *testing.T) {
	const block = "\n  - {id: '%s', text: t, quote: q, observable: trace}"
	one := fmt.Sprintf(block, "1")
	head := "figure: 5\ntitle: t\nstart: 1\nstatus: now\ncapability: core\nblocks:"
	list := func(item string) string { return "status: now\ncapability: core\nstatements:\n  - {" + item + "}" }
	for _, test := range []struct{ name, file, text, want string }{
		{"unknown key", "fig05.yaml", head + one + "\ncolour: red", "colour"},
		{"wrong file", "fig06.yaml", head + one, "fig05.yaml"},
		{"start missing", "fig05.yaml", strings.Replace(head, "start: 1", "start: 9", 1) + one, "start"},
		{"block twice", "fig05.yaml", head + one + one, "twice"},
		{"block not a number", "fig05.yaml", head + fmt.Sprintf(block, "x"), "not a number"},
		{"edge malformed", "fig05.yaml", head + one + "\nedges:\n  - {id: 1->, text: t, observable: trace}", "form"},
		{"edge to nowhere", "fig05.yaml", head + one + "\nedges:\n  - {id: 1->2, text: t, observable: trace}", "no block 2"},
		{
			"block unreached", "fig05.yaml",
			head + one + fmt.Sprintf(block, "2") + "\nedges:\n  - {id: 1->end, text: t, observable: trace}", "not reached",
		},
		{"dead end", "fig05.yaml", head + one + "\nedges: []", "no edge leaves"},
		{"id of another kind", "s.yaml", list("id: I1, text: t, quote: q, observable: trace"), "form of the id"},
		{"capability missing", "s.yaml", "status: now\nstatements:\n  - {id: T1, text: t, quote: q, observable: trace}", "capability"},
		{"capability unknown", "s.yaml", list("id: T1, text: t, quote: q, observable: trace, capability: flight"), "flight"},
		{"text missing", "s.yaml", list("id: T1, quote: q, observable: trace"), "text"},
		{"quote missing", "s.yaml", list("id: T1, text: t, observable: trace"), "quote"},
		{"observable unknown", "s.yaml", list("id: T1, text: t, quote: q, observable: smell"), "smell"},
		{"status unknown", "s.yaml", list("id: T1, text: t, quote: q, observable: trace, status: soon"), "soon"},
		{"reason missing", "s.yaml", list("id: T1, text: t, quote: q, observable: trace, status: not-yet"), "reason"},
		{"reason without need", "s.yaml", list("id: T1, text: t, quote: q, observable: trace, reason: r"), "reason"},
		{"nothing shows it", "s.yaml", list("id: T1, text: t, quote: q, observable: none"), "informative"},
		{
			"later of what is not due", "s.yaml",
			list("id: T1, text: t, quote: q, observable: trace, status: not-yet, reason: r, later: l"), "later",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := load(fstest.MapFS{test.file: {Data: []byte(test.text)}})
			if err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), test.file) {
				t.Errorf("want an error on %s that says %q, got %v", test.file, test.want, err)
			}
		})
	}
}

func exists(id string) bool {
	_, ok := ByID(id)
	return ok
}
