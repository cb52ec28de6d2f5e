package certificate

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/plexlab-dev/plexlab/harness/impl"
	"github.com/plexlab-dev/plexlab/harness/report"
	"github.com/plexlab-dev/plexlab/harness/tolerance"
	"github.com/plexlab-dev/plexlab/harness/verdict"
)

// judge says what runs come to. problems are faults of the evidence.
func judge(terms Terms, manifest *impl.Manifest, runs []*report.Report, problems []string) *Certificate {
	j := &judging{
		Certificate: &Certificate{
			Terms: terms,
			Implementation: Implementation{
				Name: manifest.Name, Version: manifest.Version,
				Capabilities: manifest.Capabilities, Variant: manifest.Variant,
			},
			WhiteBox:   manifest.Traces && !terms.BlackBox,
			Deviations: manifest.Deviations,
			Coverage:   map[string]Coverage{},
		},
		manifest: manifest, runs: runs, problems: problems,
	}
	if len(runs) > 0 {
		j.first = runs[0]
	} else {
		j.first = &report.Report{}
	}
	j.describe()
	j.tellApart()
	j.compare()
	for _, p := range published() {
		j.Requirements = append(j.Requirements, j.requirement(p))
	}
	j.profiles()
	j.cover()
	j.decide()
	return j.Certificate
}

// judging is a certificate that comes to be.
type judging struct {
	*Certificate
	manifest *impl.Manifest
	runs     []*report.Report
	first    *report.Report
	problems []string
	// unproven are the requirements of which nothing is known but that specs failed which are excused for another's sake.
	unproven []string
}

func (j *judging) describe() {
	for _, r := range j.runs {
		seeds := map[string]int64{}
		for _, s := range r.Suites {
			seeds[s.Name] = s.Seed
		}
		j.Runs = append(j.Runs, Run{Started: r.Started.UTC(), Seconds: r.Seconds, Summary: r.Summary, Seeds: seeds})
		j.problems = append(j.problems, r.Problems...)
	}
	for _, t := range tolerance.All() {
		j.Tolerances = append(j.Tolerances, Tolerance{Tolerance: t, Given: j.given(t)})
	}
}

// given is the loosest that any suite says it gave; where none does, what the manifest asks for.
func (j *judging) given(t tolerance.Tolerance) time.Duration {
	loosest, found := j.manifest.Allowed(t), false
	for _, r := range j.runs {
		for _, suite := range r.Tolerances {
			said, ok := suite[t.Name]
			if ok && (!found || t.Loosest(said, loosest) == said) {
				loosest, found = said, true
			}
		}
	}
	return loosest
}

// tellApart finds runs that are one: no two start at the same time, and no two take as long in every spec.
func (j *judging) tellApart() {
	for i, r := range j.runs {
		for k, other := range j.runs[:i] {
			if len(r.Specs) > 0 && (r.Started.Equal(other.Started) || slices.Equal(seconds(r), seconds(other))) {
				j.problems = append(j.problems, fmt.Sprintf("run %d is run %d once more: they started at the same time, or every spec took as long", i+1, k+1))
			}
		}
	}
}

func seconds(r *report.Report) []float64 {
	var all []float64
	for _, s := range r.Specs {
		all = append(all, s.Seconds)
	}
	return all
}

// compare finds specs whose verdicts differ between runs.
func (j *judging) compare() {
	first := verdicts(j.first)
	for i, r := range j.runs[min(1, len(j.runs)):] {
		other := verdicts(r)
		for _, name := range slices.Sorted(maps.Keys(first)) {
			if other[name] != first[name] {
				j.Flips = append(j.Flips, fmt.Sprintf("%s: %s in run 1, %s in run %d", name, first[name], absent(other[name]), i+2))
			}
			delete(other, name)
		}
		for _, name := range slices.Sorted(maps.Keys(other)) {
			j.Flips = append(j.Flips, fmt.Sprintf("%s: %s in run 1, %s in run %d", name, absent(""), other[name], i+2))
		}
	}
}

func verdicts(r *report.Report) map[string]verdict.Verdict {
	all := map[string]verdict.Verdict{}
	for _, s := range r.Specs {
		all[s.Suite+": "+s.Name] = s.Verdict
	}
	return all
}

func absent(v verdict.Verdict) verdict.Verdict {
	if v == "" {
		return "not there"
	}
	return v
}

// isChosen: the profile of the capability is what the certification is about.
func (j *judging) isChosen(c impl.Capability) bool {
	return j.manifest.Has(c) && (len(j.Chosen) == 0 || slices.Contains(j.Chosen, c))
}

// tracesNeeded is what a spec needs that nothing but a trace decides.
const tracesNeeded = "traces"

// concerns says whether a spec can decide anything: it needs nothing that is not chosen.
func (j *judging) concerns(s report.Spec) bool {
	return !slices.ContainsFunc(s.Needs, j.isUnmet)
}

// isUnmet: a spec needs what is not there or not chosen.
func (j *judging) isUnmet(need string) bool {
	if need == tracesNeeded {
		return !j.WhiteBox
	}
	return !j.isChosen(impl.Capability(need))
}

func (j *judging) requirement(p Published) Requirement {
	r := Requirement{ID: p.ID, Capability: p.Capability}
	var decided []verdict.Verdict
	excused := false
	for _, i := range j.first.Requirements[p.ID].Specs {
		s := j.first.Specs[i]
		switch {
		case !j.concerns(s):
		case j.excused(s):
			excused = true
		default:
			decided = append(decided, s.Verdict)
		}
	}
	r.Specs = len(decided)
	worst := verdict.Worst(decided...)
	switch {
	case p.Status == statusInformative:
		r.Verdict = Informative
	case p.Status != statusNow:
		r.Verdict = NotDue
	case !j.manifest.Has(p.Capability):
		r.Verdict = verdict.Unimplemented
	case !j.isChosen(p.Capability):
		r.Verdict = NotChosen
	case worst.Severity() > verdict.Unimplemented.Severity():
		r.Verdict = worst
	case excused && j.manifest.Deviates(p.ID) != nil:
		r.Verdict = Deviates
	case excused && !slices.Contains(decided, verdict.Pass):
		r.Verdict = verdict.Fail
		j.unproven = append(j.unproven, p.ID)
	case p.Observable == observableTrace && !j.WhiteBox:
		r.Verdict = Unobserved
	default:
		r.Verdict = worst
	}
	return r
}

func (j *judging) profiles() {
	due := 0
	for _, p := range published() {
		if p.Status == statusNow {
			due++
		}
	}
	for _, c := range impl.Capabilities() {
		p := Profile{Name: c, Declared: j.manifest.Has(c), Chosen: j.isChosen(c), Verdict: verdict.Pass}
		excused := false
		for i, r := range j.Requirements {
			if r.Capability != c || published()[i].Status != statusNow {
				continue
			}
			p.Due++
			switch r.Verdict {
			case verdict.Pass:
				p.Verified++
			case Unobserved:
				p.Unobserved++
			case Deviates:
			default:
				p.Verdict = verdict.Worst(p.Verdict, r.Verdict)
			}
		}
		p.Share = float64(p.Due) / float64(max(due, 1))
		for _, s := range j.first.Specs {
			if !slices.Contains(s.Needs, string(c)) {
				continue
			}
			p.Specs++
			if s.Verdict == verdict.Pass {
				p.Passed++
			} else if j.excused(s) {
				excused = true
			} else if j.concerns(s) {
				p.Verdict = verdict.Worst(p.Verdict, s.Verdict)
			}
		}
		p.SpecShare = float64(p.Specs) / float64(max(len(j.first.Specs), 1))
		switch {
		case !p.Declared:
			p.Verdict = verdict.Unimplemented
		case !p.Chosen:
			p.Verdict = NotChosen
		case p.Due+p.Specs == 0:
			p.Verdict = NotDue
		case p.Verdict == verdict.Pass && excused:
			p.Verdict = Deviates
		}
		j.Profiles = append(j.Profiles, p)
	}
}

// cover takes over the coverage, with what is due of the profiles that are chosen.
func (j *judging) cover() {
	ours := map[string]bool{}
	for _, r := range j.Requirements {
		ours[r.ID] = j.isChosen(r.Capability)
	}
	for name, figure := range j.first.Coverage {
		c := Coverage{Edges: figure.Edges, Blocks: figure.Blocks}
		for _, edge := range figure.Uncovered {
			if j.WhiteBox && ours[edge] {
				c.Uncovered = append(c.Uncovered, edge)
			}
		}
		j.Coverage[name] = c
	}
}

// unmet says what the specs of a requirement need besides what is certified; empty if there is nothing or no spec.
func (j *judging) unmet(id string) string {
	var unmet []string
	for _, i := range j.first.Requirements[id].Specs {
		for _, need := range j.first.Specs[i].Needs {
			if j.isUnmet(need) {
				unmet = append(unmet, need)
			}
		}
	}
	if len(unmet) == 0 {
		return ""
	}
	slices.Sort(unmet)
	return "; its specs need what is not certified: " + strings.Join(slices.Compact(unmet), ", ")
}

// decide reaches the verdict: the first outcome that has reasons, else Certified.
func (j *judging) decide() {
	reasons := map[Outcome][]string{Flipped: j.Flips, EngineError: j.problems}
	add := func(o Outcome, format string, args ...any) {
		reasons[o] = append(reasons[o], fmt.Sprintf(format, args...))
	}
	passed := 0
	for i, r := range j.runs {
		for _, edge := range r.UnknownEdges {
			add(Failed, "run %d: the trace names edge %s, which no flowchart has", i+1, edge)
		}
		for _, s := range r.Specs {
			headline, _, _ := strings.Cut(s.Reason, "\n")
			about := fmt.Sprintf("run %d: %s: %s", i+1, specWords(s), headline)
			switch {
			case s.Verdict == verdict.Pass:
				passed++
			case j.excused(s):
				j.Excused = append(j.Excused, j.excuse(i+1, s))
			case s.Verdict == verdict.Fail:
				add(Failed, "%s", about)
			case s.Verdict == verdict.Vacuous:
				add(Vacuous, "%s", about)
			case s.Verdict.Severity() == verdict.EngineError.Severity():
				add(EngineError, "%s", about)
			}
		}
	}
	for _, id := range j.unproven {
		add(Failed, "%s: no spec of it passed; that those which failed are excused for another requirement does not excuse it", id)
	}
	if passed == 0 {
		add(NothingRun, "no spec passed")
	}
	reasons[Incomplete] = j.leftOut()
	if j.Focus != "" {
		add(Incomplete, "only specs that match %q were asked for", j.Focus)
	}
	for _, r := range j.Requirements {
		if r.Verdict == verdict.Skip || r.Verdict == verdict.Unimplemented && j.manifest.Has(r.Capability) {
			add(Incomplete, "%s: no spec of it ran%s", r.ID, j.unmet(r.ID))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(j.Coverage)) {
		for _, edge := range j.Coverage[name].Uncovered {
			add(Uncovered, "%s was not taken", edge)
		}
	}
	outcome := Certified
	for _, o := range outcomes {
		if len(reasons[o]) > 0 {
			outcome = o
			break
		}
	}
	j.Verdict, j.Reasons = outcome.Name, reasons[outcome]
	if outcome != Certified {
		return
	}
	j.Level = Full
	if len(j.Deviations) > 0 {
		j.Level = Deviating
	}
}
