package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/plexlab-dev/plexlab/harness/report"
	"github.com/plexlab-dev/plexlab/harness/verdict"
)

// newTree is a tree of sources with two mutants and one that is equivalent, and a suite that passes the reference,
// fails for the stated reason with "killed", and finds of "other" what is given.
func newTree(t *testing.T, other verdict.Declaration) string {
	t.Helper()
	t.Setenv("SUDO_UID", "") // the builder is who runs this
	root := t.TempDir()
	for name, text := range map[string]string{
		"go.mod":               "module tree\n\ngo 1.24\n",
		"nodes/stackd/main.go": "package main\n\nfunc main() { println(1) }\n",
		"fixtures/implementations/reference.yaml": "name: r\nversion: 1\nstart: ['{{.Dir}}/../../out/bin/stackd']\n",
		"fixtures/mutants/all.yaml": `
suite: fig12
mutants:
  - {id: killed, wrong: w, for: [I1], file: nodes/stackd/main.go, find: "1", replace: "2", spec: spec, reason: it is two}
  - {id: other, wrong: w, for: [I1], file: nodes/stackd/main.go, find: "1", replace: "3", spec: spec, reason: it is three}
  - {id: equal, wrong: w, for: [I1], file: nodes/stackd/main.go, find: "1", replace: "1+0", equivalent: the sum is the same}
`,
		"out/suites/fig12.test": `#!/bin/sh
case $PLEXLAB_IMPLEMENTATION in
*/fixtures/*) found=reference ;;
*/killed/*) found=killed ;;
*) found=other ;;
esac
exec cp "$0.$found/suites/fig12.json" "$PLEXLAB_RESULTS/suites/"
`,
	} {
		path := filepath.Join(root, name)
		check(t, os.MkdirAll(filepath.Dir(path), 0o755))
		check(t, os.WriteFile(path, []byte(text), 0o755))
	}
	for found, d := range map[string]verdict.Declaration{
		"reference": {Verdict: verdict.Pass}, "killed": {Verdict: verdict.Fail, Reason: "it is two"}, "other": other,
	} {
		dir := filepath.Join(root, "out", "suites", "fig12.test."+found)
		check(t, report.Prepare(dir))
		check(t, report.WriteSuite(dir, "fig12", finding(d)))
	}
	return root
}

func TestMutantsEndsWithTheStatusOfWhatWasFound(t *testing.T) {
	three := verdict.Declaration{Verdict: verdict.Fail, Reason: "it is three"}
	for _, test := range []struct {
		name   string
		other  verdict.Declaration
		only   string
		status int
		says   string
	}{
		{"all killed", three, "", exitDone, "2 killed, 0 survived, 1 equivalent, 0 undecided"},
		{"one survives", verdict.Declaration{Verdict: verdict.Pass}, "", exitFailed, "1 killed, 1 survived"},
		{"one fails for another reason", verdict.Declaration{Verdict: verdict.Fail, Reason: "it is late"}, "", exitFailed, "1 killed, 1 survived"},
		{"one is undecided", verdict.Declaration{Verdict: verdict.EngineError}, "", exitFailed, "1 undecided"},
		{"nothing but an equivalent one", three, "equal", exitFailed, "0 killed, 0 survived, 1 equivalent"},
		{"none of that name", three, "^no$", exitUsage, ""},
		{"a pattern that is none", three, "(", exitUsage, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			root := newTree(t, test.other)
			status, out, errors := invoke(t, "mutants", "--tree", root, "--only", test.only)
			if status != test.status || !strings.Contains(out, test.says) {
				t.Errorf("want %d and %q, got %d:\n%s%s", test.status, test.says, status, out, errors)
			}
			if test.says == "" {
				return
			}
			text, err := os.ReadFile(filepath.Join(root, "out", "mutants", "summary.json"))
			check(t, err)
			var summary struct{ Killed, Survived, Undecided int }
			check(t, json.Unmarshal(text, &summary))
			if good := summary.Killed > 0 && summary.Survived+summary.Undecided == 0; good != (status == exitDone) {
				t.Errorf("status %d, and summary.json says %+v", status, summary)
			}
		})
	}
}
