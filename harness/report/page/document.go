package page

import (
	"cmp"
	"fmt"
	"maps"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/plexlab-dev/plexlab/harness/report"
	"github.com/plexlab-dev/plexlab/harness/verdict"
)

// A document is all that the page shows.
type document struct {
	frame
	Report  *report.Report
	Outcome mark
	Facts   []fact
	Counts  []count
	Figures []figure
	Groups  []group
	Suites  []suite
	// Amiss are the specs that a person has to look at, the worst first.
	Amiss []spec
	// KeepAll is how to have the packets of specs that passed as well; empty where any were kept.
	KeepAll string
	// Unverified are the requirements that are due and that no spec verified.
	Unverified []link
}

// HasAmiss says whether there is anything to look at.
func (d document) HasAmiss() bool {
	return len(d.Amiss)+len(d.Unverified)+len(d.Report.Problems)+len(d.Report.UnknownEdges) > 0
}

// Classes are those of all marks.
func (document) Classes() []string {
	classes := []string{notDue.Class}
	for _, v := range verdict.All {
		classes = append(classes, markOf(v).Class)
	}
	return classes
}

type fact struct{ Name, Value string }

// A count is how many specs and requirements have a verdict.
type count struct {
	Mark                mark
	Specs, Requirements int
}

// A group is requirements under one heading.
type group struct {
	Anchor, Title string
	Requirements  []requirement
}

type requirement struct {
	report.Result
	Anchor string
	Mark   mark
	Open   bool
	// Coverage says whether a block or an edge was passed.
	Coverage string
	Specs    []link
}

// A link leads to a spec.
type link struct {
	Anchor, Name string
	Mark         mark
}

type suite struct {
	report.Suite
	Anchor string
	Specs  []spec
}

type spec struct {
	report.Spec
	Anchor string
	Mark   mark
	Open   bool
	// Again is the command that runs it again, AgainIn where.
	Again, AgainIn string
	// Kept is the directory of the evidence, relative to the page; empty where none was kept.
	Kept     string
	Sequence *sequence
	// Silence says why there is no sequence.
	Silence      string
	Requirements []link
}

func newDocument(dir string, r *report.Report, o Options) document {
	d := document{frame: newFrame(), Report: r, Outcome: outcomeMark(r), Facts: facts(r)}
	d.Counts = counts(r)
	specs := newSpecs(dir, r, o)
	d.Suites = bySuite(r, specs)
	for _, s := range specs {
		if isAmiss(s.Verdict) {
			d.Amiss = append(d.Amiss, s)
		}
	}
	if passed := passedOf(specs); len(passed) > 0 && !slices.ContainsFunc(passed, func(s spec) bool { return s.Kept != "" }) {
		d.KeepAll = keepAll
	}
	slices.SortStableFunc(d.Amiss, func(a, b spec) int { return b.Verdict.Severity() - a.Verdict.Severity() })
	for _, id := range slices.SortedFunc(maps.Keys(r.Requirements), compareIDs) {
		if result := r.Requirements[id]; result.Verdict == verdict.Skip && len(result.Specs) == 0 {
			d.Unverified = append(d.Unverified, link{Anchor: anchor(id), Name: id, Mark: markOf(result.Verdict)})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(r.Coverage)) {
		d.Figures = append(d.Figures, newFigure(name, r))
	}
	for _, kind := range []struct{ kind, title string }{
		{"interpretation", "Interpretations"}, {"statement", "Statements outside the flowcharts"}, {"form", "Forms of the profile language"},
		{"pair", "A DVIPA that is created twice"},
	} {
		if found := requirementsOf(r, kind.kind, 0); len(found) > 0 {
			d.Groups = append(d.Groups, group{Anchor: kind.kind, Title: kind.title, Requirements: found})
		}
	}
	return d
}

func passedOf(specs []spec) (passed []spec) {
	for _, s := range specs {
		if s.Verdict == verdict.Pass {
			passed = append(passed, s)
		}
	}
	return passed
}

// outcomeMark is how the outcome of the run looks, with the name of the outcome as its word.
func outcomeMark(r *report.Report) mark {
	v := verdict.Skip
	switch r.Outcome {
	case report.Passed.Name:
		v = verdict.Pass
	case report.Failed.Name:
		v = verdict.Fail
	case report.EngineError.Name:
		v = verdict.EngineError
	case report.Vacuous.Name:
		v = verdict.Vacuous
	case report.Unimplemented.Name:
		v = verdict.Unimplemented
	}
	m := markOf(v)
	m.Word = r.Outcome
	return m
}

func facts(r *report.Report) []fact {
	traces := "none: verdicts rest on packets, messages and the port file"
	if r.WhiteBox {
		traces = "offered, and coverage counted from them"
	}
	all := []fact{
		{"Implementation", strings.TrimSpace(r.Implementation.Name + " " + r.Implementation.Version)},
		{"Suites", r.SuiteCommit},
		{"Kernel", r.Kernel},
		{"Traces", traces},
		{"Terms", terms(r.Implementation)},
	}
	if !r.Started.IsZero() {
		all = append(all, fact{"Started", r.Started.UTC().Format("2 January 2006, 15:04:05 UTC")},
			fact{"Took", fmt.Sprintf("%.1f s", r.Seconds)})
	}
	return all
}

// terms are those that the implementation is judged on, which say of what level a certificate can be.
func terms(i report.Implementation) string {
	if len(i.Terms) == 0 {
		return "those that everybody has: level full"
	}
	return "its own, level with deviations: " + strings.Join(i.Terms, "; ")
}

func counts(r *report.Report) []count {
	requirements := map[verdict.Verdict]int{}
	for _, result := range r.Requirements {
		requirements[result.Verdict]++
	}
	var all []count
	for _, v := range append(slices.Clone(verdict.All), "") {
		c := count{Mark: markOf(v), Specs: r.Summary.Verdicts[v], Requirements: requirements[v]}
		if v == verdict.Pass || c.Specs+c.Requirements > 0 {
			all = append(all, c)
		}
	}
	return all
}

// newSpecs reads the evidence of all specs besides.
func newSpecs(dir string, r *report.Report, o Options) []spec {
	seeds := map[string]int64{}
	for _, s := range r.Suites {
		seeds[s.Name] = s.Seed
	}
	specs := make([]spec, len(r.Specs))
	var group errgroup.Group
	group.SetLimit(runtime.NumCPU())
	for i, s := range r.Specs {
		group.Go(func() error {
			specs[i] = spec{
				Spec: s, Anchor: specAnchor(i), Mark: markOf(s.Verdict), Open: isAmiss(s.Verdict),
				Again: again(s, seeds[s.Suite], r.WhiteBox, o), AgainIn: againIn(o),
			}
			specs[i].readEvidence(dir)
			for _, id := range s.Requirements {
				specs[i].Requirements = append(specs[i].Requirements, link{Anchor: anchor(id), Name: id, Mark: markOf(r.Requirements[id].Verdict)})
			}
			return nil
		})
	}
	_ = group.Wait() // nothing in it fails
	return specs
}

func (s *spec) readEvidence(dir string) {
	kept, ok := s.Evidence[report.EvidenceEntry]
	if !ok {
		switch s.Verdict {
		case verdict.Skip, verdict.Unimplemented:
			s.Silence = "It did not run."
		case verdict.Pass:
			s.Silence = "Its packets were not kept, for it passed. The command below runs it again and keeps them."
		default:
			s.Silence = "No packets of it were kept."
		}
		return
	}
	s.Kept = filepath.ToSlash(evidenceOf(s.Suite, kept))
	var err error
	s.Sequence, err = newSequence(filepath.Join(dir, evidenceOf(s.Suite, kept)))
	switch {
	case err != nil:
		s.Silence = "Its packets cannot be shown: " + strings.ReplaceAll(err.Error(), dir+string(filepath.Separator), "")
	case s.Sequence == nil:
		s.Silence = "No packet decided it: it went by messages, by the port file or by what the control API tells."
	}
}

func bySuite(r *report.Report, specs []spec) []suite {
	var suites []suite
	for _, s := range r.Suites {
		one := suite{Suite: s, Anchor: "suite-" + s.Name}
		for _, spec := range specs {
			if spec.Suite == s.Name {
				one.Specs = append(one.Specs, spec)
			}
		}
		suites = append(suites, one)
	}
	return suites
}

// requirementsOf are those of a kind, and of a figure where it is not 0, in order of their ids.
func requirementsOf(r *report.Report, kind string, figure int) []requirement {
	var found []requirement
	for _, result := range r.Requirements {
		if result.Kind == kind && result.Figure == figure {
			found = append(found, newRequirement(r, result))
		}
	}
	slices.SortFunc(found, func(a, b requirement) int { return compareIDs(a.ID, b.ID) })
	return found
}

func newRequirement(r *report.Report, result report.Result) requirement {
	q := requirement{
		Result: result, Anchor: anchor(result.ID), Mark: markOf(result.Verdict), Open: isAmiss(result.Verdict),
		Coverage: coverage(r, result),
	}
	order := slices.Clone(result.Specs)
	slices.SortStableFunc(order, func(a, b int) int {
		return r.Specs[b].Verdict.Severity() - r.Specs[a].Verdict.Severity()
	})
	for _, i := range order {
		q.Specs = append(q.Specs, link{Anchor: specAnchor(i), Name: r.Specs[i].Name, Mark: markOf(r.Specs[i].Verdict)})
	}
	return q
}

// coverage says whether a block or an edge was passed; nothing of other requirements.
func coverage(r *report.Report, result report.Result) string {
	if result.Figure == 0 {
		return ""
	}
	if passed := r.Coverage[figureName(result.Figure)].Passed[result.ID]; passed > 0 {
		return fmt.Sprintf("taken %d times", passed)
	}
	if result.Covered {
		return "passed"
	}
	if !r.WhiteBox {
		return "not observed: the run had no traces"
	}
	return "not passed"
}

func figureName(number int) string { return fmt.Sprintf("fig%02d", number) }

func specAnchor(index int) string { return fmt.Sprintf("spec-%d", index+1) }

var notInAnchor = regexp.MustCompile(`[^A-Za-z0-9]+`)

// anchor is a requirement's id as the name of a place in the page.
func anchor(id string) string { return "req-" + notInAnchor.ReplaceAllString(id, "-") }

var digits = regexp.MustCompile(`\d+`)

// compareIDs orders numbers within ids as numbers: I2 before I10.
func compareIDs(a, b string) int {
	pad := func(id string) string {
		return digits.ReplaceAllStringFunc(id, func(n string) string { return fmt.Sprintf("%6s", n) })
	}
	return cmp.Compare(pad(a), pad(b))
}

// Duration is how long a spec took.
func (s spec) Duration() string {
	return time.Duration(s.Seconds * float64(time.Second)).Round(time.Millisecond).String()
}
