package page

import (
	"encoding/xml"
	"errors"
	"flag"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/plexlab-dev/plexlab/harness/capture"
	"github.com/plexlab-dev/plexlab/harness/report"
	"github.com/plexlab-dev/plexlab/harness/verdict"
)

var update = flag.Bool("update", false, "write the golden file instead of comparing with it")

// render makes the page of a run and returns its text.
func render(t *testing.T, dir string) string {
	t.Helper()
	must(t, Write(dir, Options{Manifest: "/their place/stack.yaml"}))
	text, err := os.ReadFile(filepath.Join(dir, report.PageFile))
	must(t, err)
	return string(text)
}

func TestPageOfASmallReport(t *testing.T) {
	dir := write(t, small())
	got := render(t, dir)
	if again := render(t, dir); again != got {
		t.Error("the same run makes another page")
	}
	// Style and script are compared with by eye.
	got = regexp.MustCompile(`(?s)<(style|script)>.*?</(style|script)>`).ReplaceAllString(got, "<$1/>")
	got = regexp.MustCompile(`sha256-(?:[^&]|&#43;)*`).ReplaceAllString(got, "sha256")
	compare(t, filepath.Join("testdata", "small.html"), got)
}

func compare(t *testing.T, golden, got string) {
	t.Helper()
	if *update {
		must(t, os.MkdirAll(filepath.Dir(golden), 0o755))
		must(t, os.WriteFile(golden, []byte(got), 0o644))
	}
	want, err := os.ReadFile(golden)
	must(t, err)
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s: -want +got (accept with -update):\n%s", golden, diff)
	}
}

var (
	headerOf  = regexp.MustCompile(`(?ms)^<title>.*?</title>|<header id="summary">.*?</header>`)
	verdictOf = regexp.MustCompile(`<p class="verdict (\w+)"><b aria-hidden="true">(.)</b><span><strong>(\w+)</strong>`)
)

// TestWhatARunComesToLooksLikeIt holds the head of the page of every run that package report holds the reports of.
func TestWhatARunComesToLooksLikeIt(t *testing.T) {
	reports, err := filepath.Glob("../testdata/*/report.json")
	must(t, err)
	outcomes := map[string]bool{}
	for _, golden := range reports {
		text, err := os.ReadFile(golden)
		must(t, err)
		dir, name := t.TempDir(), filepath.Base(filepath.Dir(golden))
		must(t, os.WriteFile(filepath.Join(dir, "report.json"), text, 0o644))
		got := render(t, dir)
		compare(t, filepath.Join("testdata", "heads", name+".html"), strings.Join(headerOf.FindAllString(got, -1), "\n")+"\n")
		found := verdictOf.FindStringSubmatch(got)
		if found == nil {
			t.Errorf("%s: no verdict on the page", name)
			continue
		}
		outcomes[found[3]] = true
		pass := marks[verdict.Pass]
		if passed := found[3] == report.Passed.Name; (found[1] == pass.Class) != passed || (found[2] == pass.Sign) != passed {
			t.Errorf("%s: %s has class %s and sign %s", name, found[3], found[1], found[2])
		}
	}
	for _, o := range []report.Outcome{
		report.Failed, report.EngineError, report.Vacuous, report.NothingRun, report.Unimplemented, report.Incomplete, report.Uncovered, report.Passed,
	} {
		if !outcomes[o.Name] {
			t.Errorf("no run comes to %s", o.Name)
		}
	}
}

func TestThePageSaysOnWhatTerms(t *testing.T) {
	r := small()
	r.Implementation.Terms = []string{"interpretation I7, because: never its own target", "interpretation I9, because: none"}
	got := render(t, write(t, r))
	const want = "<dt>Terms</dt><dd>its own, level with deviations: " +
		"interpretation I7, because: never its own target; interpretation I9, because: none</dd>"
	if !strings.Contains(got, want) {
		t.Errorf("no %q on the page", want)
	}
}

func TestThePageSaysHowToHaveAllPackets(t *testing.T) {
	const command = `<pre class="command" tabindex="0">sudo PLEXLAB_EVIDENCE=all make conformance</pre>`
	r := small()
	if strings.Contains(render(t, write(t, r)), command) {
		t.Error("it tells so though they were kept")
	}
	r.Specs[0].Evidence = nil
	got := render(t, write(t, r))
	for _, want := range []string{command, "Its packets were not kept, for it passed. The command below runs it again and keeps them."} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q on the page", want)
		}
	}
}

var (
	idOf   = regexp.MustCompile(`\bid="([^"]*)"`)
	hrefOf = regexp.MustCompile(`\bhref="#([^"]*)"`)
)

func TestEveryLinkLeadsToOnePlace(t *testing.T) {
	text := render(t, write(t, small()))
	var ids []string
	for _, found := range idOf.FindAllStringSubmatch(text, -1) {
		if slices.Contains(ids, found[1]) {
			t.Errorf("id %s is there twice", found[1])
		}
		ids = append(ids, found[1])
	}
	for _, found := range hrefOf.FindAllStringSubmatch(text, -1) {
		if !slices.Contains(ids, found[1]) {
			t.Errorf("a link leads to #%s, which is nowhere", found[1])
		}
	}
}

func TestDrawingsAreWellFormed(t *testing.T) {
	text := render(t, write(t, small()))
	drawings := regexp.MustCompile(`(?s)<svg.*?</svg>`).FindAllString(text, -1)
	if len(drawings) < 4 {
		t.Errorf("want the markers, a flowchart and two sequences at least, got %d drawings", len(drawings))
	}
	for _, drawing := range drawings {
		decoder := xml.NewDecoder(strings.NewReader(drawing))
		for {
			if _, err := decoder.Token(); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Errorf("%v in:\n%s", err, drawing)
				break
			}
		}
	}
}

func TestVerdictsAreToldWithoutColour(t *testing.T) {
	signs, words := map[string]bool{}, map[string]bool{}
	for _, v := range append(slices.Clone(verdict.All), "") {
		m := markOf(v)
		if m.Sign == "" || m.Word == "" || signs[m.Sign] || words[m.Word] {
			t.Errorf("%q: sign %q and word %q are not its own", v, m.Sign, m.Word)
		}
		signs[m.Sign], words[m.Word] = true, true
	}
	if markOf("UNHEARD-OF") != markOf(verdict.EngineError) {
		t.Error("a verdict that there is not must look like a fault of the kit")
	}
}

func TestTheCommandRunsOneSpec(t *testing.T) {
	s := report.Spec{Suite: "fig12", Name: "block 142: MVS1's (own) TCP"}
	for _, test := range []struct {
		setup, whiteBox bool
		manifest, want  string
	}{
		{false, true, "", `sudo SUITES=fig12 SEED=42 FOCUS='block 142: MVS1'\''s \(own\) TCP$' PLEXLAB_EVIDENCE=all RESULTS=out/again scripts/conformance`},
		{true, true, "", `sudo SUITES=fig12 SEED=42 PLEXLAB_EVIDENCE=all RESULTS=out/again scripts/conformance`},
		{true, false, "/a b/c.yaml", `sudo SUITES=fig12 SEED=42 IMPLEMENTATION='/a b/c.yaml' PLEXLAB_BLACK_BOX=1 PLEXLAB_EVIDENCE=all RESULTS=out/again scripts/conformance`},
	} {
		s.Setup = test.setup
		if got := again(s, 42, test.whiteBox, Options{Manifest: test.manifest}); got != test.want {
			t.Errorf("want %s\ngot  %s", test.want, got)
		}
	}
}

func TestTheCommandOfACertificateNeedsNoSourceTree(t *testing.T) {
	s := report.Spec{Suite: "fig12", Name: "block 142: MVS1's (own) TCP"}
	o := Options{Manifest: "/a b/c.yaml", Certified: true}
	want := `plexlab certify --implementation '/a b/c.yaml' --only fig12 --seed 42 --focus 'block 142: MVS1'\''s \(own\) TCP$' --output again`
	if got := again(s, 42, true, o); got != want {
		t.Errorf("want %s\ngot  %s", want, got)
	}
	s.Setup, o.Profiles = true, []string{"core", "ipv6"}
	want = `plexlab certify --implementation '/a b/c.yaml' --only fig12 --seed 42 --profile core,ipv6 --black-box --output again`
	if got := again(s, 42, false, o); got != want {
		t.Errorf("want %s\ngot  %s", want, got)
	}
}

func TestAPageThatCannotBeMade(t *testing.T) {
	if err := Write(t.TempDir(), Options{}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without report.json: %v", err)
	}
}

func TestASequenceShowsWhatDecidedFirst(t *testing.T) {
	dir := write(t, small())
	read := func(spec string) *sequence {
		s, err := newSequence(filepath.Join(dir, "evidence", "fig12", spec))
		must(t, err)
		return s
	}
	const left = 3
	record, judgements := many(mostSteps + left)
	judgements[len(judgements)-1].Role = capture.Unwanted
	keep(t, dir, "many", record, judgements...)
	s := read("many")
	if got := s.Steps[mostSteps-1]; len(s.Steps) != mostSteps || s.Left != left || got.Word != "unwanted, seen" {
		t.Errorf("%d steps, %d left, the last %+v", len(s.Steps), s.Left, got)
	}
	if s.Lines[0].Name != outside || s.Lines[1].Name != "MVS1" {
		t.Errorf("lifelines %v", s.Lines)
	}
	s = read("stays")
	if got := s.Steps[1]; got.Class != "fail" || got.from != "MVS1" || got.to != "MVS2" || got.Word != "unwanted, seen" {
		t.Errorf("the packet that was unwanted: %+v", got)
	}
	if got := s.Steps[2]; got.Class != "fail" || got.Seen() || got.Word != "expected, not seen within 3s" {
		t.Errorf("the packet that did not come: %+v", got)
	}
}

func TestEvidenceThatDoesNotFit(t *testing.T) {
	dir := write(t, small())
	record, judgements := many(1)
	judgements[0].Seen, judgements[0].Until = 7, 8
	keep(t, dir, "reaches", record, judgements...)
	if text := render(t, dir); !strings.Contains(text, "Its packets cannot be shown: judgements.json does not fit packets.pcapng") {
		t.Error("the page says nothing of evidence that does not fit")
	}
}
