package mutant

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
)

const wellFormed = `
suite: fig13
mutants:
  - id: a
    wrong: it does nothing
    for: [fig13/160-other->end]
    file: nodes/a/a.go
    find: "one\n"
    replace: ""
    spec: a spec
    reason: a reason
  - id: b
    wrong: it does it twice
    for: [I9, field/port-leak]
    file: nodes/a/a.go
    find: two
    replace: three
    suite: fig11
    equivalent: nobody can see it
`

func TestLoad(t *testing.T) {
	got, err := Load(fstest.MapFS{"fig13.yaml": {Data: []byte(wellFormed)}, "README.md": {}})
	must(t, err)
	want := []Mutant{
		{
			ID: "a", Wrong: "it does nothing", For: []string{"fig13/160-other->end"}, File: "nodes/a/a.go",
			Find: "one\n", Suite: "fig13", Spec: "a spec", Reason: "a reason",
		},
		{
			ID: "b", Wrong: "it does it twice", For: []string{"I9", "field/port-leak"}, File: "nodes/a/a.go",
			Find: "two", Replace: "three", Suite: "fig11", Equivalent: "nobody can see it",
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestLoadRefuses(t *testing.T) {
	for name, test := range map[string]struct{ from, to, want string }{
		"an id twice":              {"id: b", "id: a", `fig13.yaml: mutant "a": the id is used twice`},
		"an id that leaves":        {"id: a", "id: ../a", "small letters"},
		"nothing wrong":            {"wrong: it does nothing", `wrong: ""`, "say in wrong"},
		"nothing that it is for":   {"for: [fig13/160-other->end]", "for: []", "say in wrong"},
		"a file of the kit":        {"nodes/a/a.go", "harness/a.go", "no Go source below nodes"},
		"a file that leaves":       {"nodes/a/a.go", "nodes/../harness/a.go", "no Go source below nodes"},
		"a test":                   {"nodes/a/a.go", "nodes/a/a_test.go", "no Go source below nodes"},
		"nothing to find":          {`"one\n"`, `""`, "replace must be something else"},
		"nothing that changes":     {"replace: three", "replace: two", "replace must be something else"},
		"no reason":                {"reason: a reason", "", "name suite and spec"},
		"a spec though equivalent": {"equivalent:", "spec: c\n    equivalent:", "neither spec nor reason"},
		"an unknown key":           {"reason:", "because:", "unknown field"},
	} {
		t.Run(name, func(t *testing.T) {
			text := strings.Replace(wellFormed, test.from, test.to, 1)
			if _, err := Load(fstest.MapFS{"fig13.yaml": {Data: []byte(text)}}); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
	if _, err := Load(fstest.MapFS{}); err == nil {
		t.Error("no mutant is no error")
	}
}

func TestAnEditAppliesExactlyOnce(t *testing.T) {
	tree := fstest.MapFS{"nodes/a/a.go": {Data: []byte("one\ntwo\none\n")}}
	for _, test := range []struct {
		find, want string
		lines      []int
	}{
		{"two\n", "one\none\n", nil},
		{"one\n", "", []int{1, 3}},
		{"four", "", nil},
	} {
		got, err := Mutant{ID: "m", File: "nodes/a/a.go", Find: test.find}.Edited(tree)
		var refused *ErrNotOnce
		switch applies := test.want != ""; {
		case applies && (err != nil || string(got) != test.want):
			t.Errorf("%q: got %q, %v", test.find, got, err)
		case !applies && (!errors.As(err, &refused) || !slices.Equal(refused.Lines, test.lines)):
			t.Errorf("%q: got %v, want that it stands at lines %v", test.find, err, test.lines)
		}
	}
	if _, err := (Mutant{ID: "m", File: "nodes/a/b.go", Find: "one"}).Edited(tree); err == nil || !strings.Contains(err.Error(), "mutant m") {
		t.Errorf("a file that is not there: %v", err)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
