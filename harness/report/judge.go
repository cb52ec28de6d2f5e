package report

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/onsi/ginkgo/v2/types"

	"github.com/plexlab-dev/plexlab/harness/verdict"
)

// addSuite takes over the report of one suite.
func (r *Report) addSuite(name string, g types.Report, byLabel map[string]Requirement) {
	suite := Suite{
		Name: name, Seed: g.SuiteConfig.RandomSeed, Seconds: g.RunTime.Seconds(),
		Processes: max(g.SuiteConfig.ParallelTotal, 1),
	}
	if r.Started.IsZero() || g.StartTime.Before(r.Started) {
		r.Started = g.StartTime
	}
	if g.SuiteConfig.DryRun {
		r.problem("suite %s was a dry run, nothing in it happened", name)
		return
	}
	blamed := false
	for _, spec := range g.SpecReports {
		isSpec := spec.LeafNodeType == types.NodeTypeIt
		judged, err := verdict.Of(spec)
		if err != nil {
			judged = verdict.Declaration{Verdict: verdict.EngineError, Reason: err.Error()}
		}
		if !isSpec && judged.Verdict == verdict.Pass {
			continue
		}
		blamed = blamed || judged.Verdict.Severity() > verdict.Unimplemented.Severity()
		if isSpec {
			suite.Specs++
		}
		r.Specs = append(r.Specs, Spec{
			Suite: name, Name: nameOf(spec), Setup: !isSpec, Declaration: judged,
			Seconds:      spec.RunTime.Seconds(),
			Location:     fmt.Sprintf("%s:%d", filepath.Base(spec.FileName()), spec.LineNumber()),
			Requirements: covered(spec, byLabel), Needs: needs(spec), Bare: slices.Contains(spec.Labels(), BareLabel), Ended: ended(spec), Evidence: evidence(spec),
		})
	}
	// Ginkgo can say that a suite failed without blaming one of its specs: it was interrupted, say.
	if !g.SuiteSucceeded && !blamed {
		reasons := strings.Join(g.SpecialSuiteFailureReasons, "; ")
		if reasons == "" {
			reasons = "no spec is to blame"
		}
		r.problem("suite %s failed: %s", name, reasons)
	}
	r.Suites = append(r.Suites, suite)
}

func (r *Report) problem(format string, args ...any) {
	r.Problems = append(r.Problems, fmt.Sprintf(format, args...))
}

func nameOf(spec types.SpecReport) string {
	if text := spec.FullText(); text != "" {
		return text
	}
	return fmt.Sprintf("[%s]", spec.LeafNodeType)
}

// covered are the ids that the labels of a spec name, each edge followed by its blocks.
func covered(spec types.SpecReport, byLabel map[string]Requirement) []string {
	var ids []string
	for _, label := range spec.Labels() {
		requirement, ok := byLabel[label]
		if !ok {
			continue
		}
		for _, id := range append([]string{requirement.ID}, requirement.Blocks...) {
			if !slices.Contains(ids, id) {
				ids = append(ids, id)
			}
		}
	}
	return ids
}

// Names of report entries. One of NeedsEntry names a capability, or "traces", which a spec needs; one of EndedEntry a stack that
// ended by itself; one of EvidenceEntry the directory of what it kept.
const (
	NeedsEntry    = "needs"
	EndedEntry    = "ended"
	EvidenceEntry = "evidence"
)

// BareLabel is the label of specs that leave no packets.
const BareLabel = "no-packets"

func needs(spec types.SpecReport) []string { return entries(spec, NeedsEntry) }

func ended(spec types.SpecReport) []string { return entries(spec, EndedEntry) }

// entries are the texts of all entries of a name, in order, each once.
func entries(spec types.SpecReport, name string) []string {
	var all []string
	for _, entry := range spec.ReportEntries {
		if entry.Name == name {
			all = append(all, entry.StringRepresentation())
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

func evidence(spec types.SpecReport) map[string]string {
	kept := map[string]string{}
	for _, entry := range spec.ReportEntries {
		if entry.Name != verdict.EntryName && entry.Name != NeedsEntry && entry.Name != EndedEntry {
			kept[entry.Name] = entry.StringRepresentation()
		}
	}
	if len(kept) == 0 {
		return nil
	}
	return kept
}

// conclude fills in what follows from all specs together.
func (r *Report) conclude(catalogue []Requirement) {
	specs := map[string][]int{}
	r.Summary.Verdicts = map[verdict.Verdict]int{}
	for i, spec := range r.Specs {
		for _, id := range spec.Requirements {
			specs[id] = append(specs[id], i)
		}
		r.Summary.Verdicts[spec.Verdict]++
		switch spec.Verdict {
		case verdict.Pass:
			r.Summary.Passed++
		case verdict.Skip, verdict.Unimplemented:
			r.Summary.Skipped++
		default:
			r.Summary.Failed++
		}
	}
	r.Requirements = map[string]Result{}
	for _, requirement := range catalogue {
		result := Result{Requirement: requirement, Specs: specs[requirement.ID]}
		if requirement.due() || len(result.Specs) > 0 {
			var verdicts []verdict.Verdict
			for _, i := range result.Specs {
				verdicts = append(verdicts, r.Specs[i].Verdict)
			}
			result.Verdict = verdict.Worst(verdicts...)
		}
		r.Requirements[requirement.ID] = result
	}
}

// readSuites reads what the suites left, in order of their names.
func (r *Report) readSuites(dir string, in Inputs, catalogue []Requirement) {
	byLabel := labelled(catalogue)
	files, _ := filepath.Glob(filepath.Join(dir, suitesDir, "*.json")) // the pattern is well-formed
	names := slices.Clone(in.Suites)
	for _, file := range files {
		names = append(names, strings.TrimSuffix(filepath.Base(file), ".json"))
	}
	slices.Sort(names)
	var ended time.Time
	for _, name := range slices.Compact(names) {
		var reports []types.Report
		ok, err := readJSON(filepath.Join(dir, suitesDir, name+".json"), &reports)
		switch {
		case err != nil:
			r.problem("suite %s: %v", name, err)
			continue
		case !ok:
			r.problem("suite %s left no report: it did not start, or ended before its time", name)
			continue
		}
		for _, g := range reports {
			if g.StartTime.Before(in.Started) {
				r.problem("suite %s: its report is of an earlier run, started %s", name, g.StartTime.Format(time.RFC3339))
				continue
			}
			r.addSuite(name, g, byLabel)
			if g.EndTime.After(ended) {
				ended = g.EndTime
			}
		}
	}
	if !r.Started.IsZero() {
		r.Seconds = ended.Sub(r.Started).Seconds()
	}
}
