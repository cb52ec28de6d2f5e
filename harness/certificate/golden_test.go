package certificate

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/onsi/ginkgo/v2/types"

	"github.com/plexlab-dev/plexlab/harness/capture"
	"github.com/plexlab-dev/plexlab/harness/impl"
	"github.com/plexlab-dev/plexlab/harness/report"
	"github.com/plexlab-dev/plexlab/harness/verdict"
)

var update = flag.Bool("update", false, "write the golden files instead of comparing with them")

var (
	failed = verdict.Declaration{
		Verdict: verdict.Fail, Expected: "RST from the DVIPA", Actual: "ACK at MVS2", Reason: "expected RST from the DVIPA\nactual   ACK at MVS2",
	}
	broken  = verdict.Declaration{Verdict: verdict.EngineError, Reason: "open packet socket: EPERM"}
	vacuous = verdict.Declaration{Verdict: verdict.Vacuous, Reason: "stimulus not seen to arrive: SYN to 192.0.2.1:80"}
	skipped = verdict.Declaration{Verdict: verdict.Skip, Reason: "kernel has no nf_tables"}
)

// What a certification can come to, and how it is told: testdata/NAME.txt holds the text.
var certifications = []struct {
	name   string
	repeat int
	want   Outcome
	level  Level
	// arrange changes a scenario in which everything passed.
	arrange func(s *scenario)
}{
	{"certified", 1, Certified, Full, func(*scenario) {}},
	{"certified twice", 2, Certified, Full, func(*scenario) {}},
	{"black box", 1, Certified, Full, func(s *scenario) { s.manifest = manifest(everything, false) }},
	{"black box of an implementation with traces", 1, Certified, Full, func(s *scenario) { s.terms.BlackBox = true }},
	{"core alone is declared", 1, Certified, Full, func(s *scenario) {
		s.manifest = manifest("[core]", false)
		s.undeclared("clusterports", "backup", "takeover", "ipv6", "advertising", "outbound")
	}},
	{"core alone is chosen", 1, Certified, Full, func(s *scenario) {
		s.terms.Chosen = []impl.Capability{impl.Core}
		s.unchosen("clusterports", "backup", "takeover", "ipv6", "advertising", "outbound")
	}},
	{"a capability that is declared fails", 1, Failed, "", func(s *scenario) {
		s.end(0, "all", "T43", types.SpecStateFailed, failed)
	}},
	{"IPv6 fails", 1, Failed, "", func(s *scenario) {
		s.end(0, "ipv6", "T4", types.SpecStateFailed, failed)
	}},
	{"more time, with a reason", 1, Certified, Deviating, func(s *scenario) {
		s.manifest = manifest(everything, true, "deviations:", "  - {tolerance: limit, value: 5s, reason: tables of a mainframe}")
		s.given["limit"] = 5 * time.Second
	}},
	{"an interpretation chosen otherwise", 1, Certified, Deviating, func(s *scenario) {
		s.manifest = manifest(everything, true, "deviations:", "  - {interpretation: I7, reason: never its own target}")
		s.end(0, "all", "I7", types.SpecStateFailed, failed)
	}},
	{"an interpretation that fails without a reason", 1, Failed, "", func(s *scenario) {
		s.end(0, "all", "I7", types.SpecStateFailed, failed)
	}},
	{"a deviation excuses nothing else", 1, Failed, "", func(s *scenario) {
		s.manifest = manifest(everything, true, "deviations:", "  - {interpretation: I7, reason: never its own target}")
		s.end(0, "all", "I2", types.SpecStateFailed, failed)
	}},
	{"a deviation does not excuse a stack that ends", 1, Failed, "", func(s *scenario) {
		s.manifest = manifest(everything, true, "deviations:", "  - {interpretation: I7, reason: never its own target}")
		s.end(0, "all", "I7", types.SpecStateFailed, failed)
		s.each("all", "I7", func(r *types.SpecReport) {
			r.ReportEntries = append(r.ReportEntries, types.ReportEntry{
				Name: report.EndedEntry, Value: types.WrapEntryValue("MVS1 ended: exit status 3"),
			})
		})
	}},
	{"a deviation does not excuse a panic", 1, EngineError, "", func(s *scenario) {
		s.manifest = manifest(everything, true, "deviations:", "  - {interpretation: I7, reason: never its own target}")
		s.each("all", "I7", func(r *types.SpecReport) {
			r.State, r.Failure = types.SpecStatePanicked, types.Failure{Message: "Test Panicked", ForwardedPanic: "index out of range"}
		})
	}},
	{"a deviation where another spec proves the rest", 1, Certified, Deviating, func(s *scenario) {
		s.manifest = manifest(everything, true, "deviations:", "  - {interpretation: I7, reason: never its own target}")
		s.end(0, "all", "T4 and I7", types.SpecStateFailed, failed)
	}},
	{"a deviation leaves another requirement unverified", 1, Failed, "", func(s *scenario) {
		s.manifest = manifest(everything, true, "deviations:", "  - {interpretation: I7, reason: never its own target}")
		s.end(0, "all", "T8 and I7", types.SpecStateFailed, failed)
		s.end(0, "all", "T8", types.SpecStateSkipped, skipped)
		s.end(0, "ipv6", "T8", types.SpecStateSkipped, skipped)
	}},
	{"a run is there twice", 2, EngineError, "", func(s *scenario) { s.runs[1] = s.runs[0] }},
	{"flipped", 2, Flipped, "", func(s *scenario) {
		s.end(2, "all", "T4", types.SpecStateFailed, failed)
	}},
	{"a spec is missing when run again", 2, Flipped, "", func(s *scenario) {
		s.runs[1]["ipv6"] = s.runs[1]["ipv6"][1:]
	}},
	{"engine error", 1, EngineError, "", func(s *scenario) { s.end(0, "all", "T4", types.SpecStateFailed, broken) }},
	{"lab not built", 1, EngineError, "", func(s *scenario) {
		for suite := range s.runs[0] {
			setup := types.SpecReport{LeafNodeType: types.NodeTypeSynchronizedBeforeSuite}
			end(&setup, types.SpecStateFailed, verdict.Declaration{
				Verdict: verdict.EngineError, Reason: "build the lab of figure9: create network namespace: operation not permitted",
			})
			s.runs[0][suite] = []types.SpecReport{setup}
		}
	}},
	{"stack died in setup", 1, Failed, "", func(s *scenario) {
		s.end(0, "all", "T4", types.SpecStateFailed, verdict.Declaration{
			Verdict: verdict.Fail, Reason: "expected MVS1 ready within 5s\nactual   stack MVS1 ended: exit status 1; its log is empty",
		})
	}},
	{"evidence disk full", 1, EngineError, "", func(s *scenario) {
		s.end(0, "all", "T4", types.SpecStateFailed, verdict.Declaration{
			Verdict: verdict.EngineError, Reason: "capture packets: write capture file: no space left on device",
		})
	}},
	{"suite crashed", 1, EngineError, "", func(s *scenario) { s.terms.Suites = append(s.terms.Suites, "fig13") }},
	{"vacuous", 1, Vacuous, "", func(s *scenario) { s.end(0, "all", "T4", types.SpecStateFailed, vacuous) }},
	{"nothing ran", 1, NothingRun, "", func(s *scenario) { s.runs[0] = map[string][]types.SpecReport{"all": {}, "ipv6": {}} }},
	{"all skipped", 1, NothingRun, "", func(s *scenario) {
		for _, specs := range s.runs[0] {
			for i := range specs {
				end(&specs[i], types.SpecStateSkipped, skipped)
			}
		}
	}},
	{"one skipped", 1, Incomplete, "", func(s *scenario) { s.end(0, "all", "I2", types.SpecStateSkipped, skipped) }},
	{"specs were chosen", 1, Incomplete, "", func(s *scenario) { s.terms.Focus = "T4|I2" }},
	{"a spec is left out", 1, Incomplete, "", func(s *scenario) { s.drop("ipv6", "T4") }},
	{"a spec is said to verify more", 1, Incomplete, "", func(s *scenario) {
		s.each("all", "T4", func(r *types.SpecReport) { r.LeafNodeLabels = append(r.LeafNodeLabels, "T26") })
	}},
	{"a spec that nobody published", 1, Incomplete, "", func(s *scenario) {
		s.runs[0]["all"] = append(s.runs[0]["all"], also(s.runs[0]["all"], "T4", "I9"))
	}},
	{"a spec is there twice", 1, Incomplete, "", func(s *scenario) {
		s.runs[0]["all"] = append(s.runs[0]["all"], s.runs[0]["all"][3])
	}},
	{"a suite is left out", 1, Incomplete, "", func(s *scenario) {
		s.terms.Suites = []string{"all"}
		delete(s.runs[0], "ipv6")
	}},
	{"requirement without spec", 1, Incomplete, "", func(s *scenario) { s.drop("all", "I2"); s.drop("ipv6", "I2") }},
	{"a spec needs more than is declared", 1, Incomplete, "", func(s *scenario) {
		s.manifest = manifest("[core, clusterports, ipv6]", false)
		s.need("T43", "outbound")
		s.undeclared("backup", "takeover", "advertising", "outbound", "selection")
	}},
	{"declared, and said to be unimplemented", 1, Incomplete, "", func(s *scenario) {
		s.end(0, "all", "T43", types.SpecStateSkipped, verdict.Declaration{Verdict: verdict.Unimplemented, Capability: "clusterports", Reason: "no"})
	}},
	{"uncovered", 1, Uncovered, "", func(s *scenario) { s.uncovered = []string{"fig12/142-no->152"} }},
	{"packets speak against the verdict", 1, EngineError, "", func(s *scenario) {
		s.judgements[0].Role = capture.Expected
	}},
	{"packets were made up", 1, EngineError, "", func(s *scenario) {
		s.judgements[0].Role, s.judgements[0].Seen = capture.Expected, 0
	}},
	{"packets are those of another spec", 1, EngineError, "", func(s *scenario) { s.shared = true }},
	{"a packet was waited for too long", 1, EngineError, "", func(s *scenario) {
		s.judgements[0].Role, s.judgements[0].LimitNS = capture.Stimulus, int64(4*time.Second)
	}},
}

// unchosen ends every spec that needs a capability as suites end those of other profiles.
func (s *scenario) unchosen(capabilities ...string) {
	for _, run := range s.runs {
		for _, specs := range run {
			for i := range specs {
				for _, c := range capabilities {
					for _, entry := range specs[i].ReportEntries {
						if entry.Name == report.NeedsEntry && entry.StringRepresentation() == c {
							end(&specs[i], types.SpecStateSkipped, verdict.Declaration{Verdict: verdict.Skip, Reason: "profile " + c + " was not chosen"})
						}
					}
				}
			}
		}
	}
}

// drop takes the specs of a requirement out of a suite, which need not have one.
func (s *scenario) drop(suite, id string) {
	for _, run := range s.runs {
		var left []types.SpecReport
		for _, r := range run[suite] {
			if r.LeafNodeText != "does "+id {
				left = append(left, r)
			}
		}
		run[suite] = left
	}
}

func TestCertifications(t *testing.T) {
	for _, test := range certifications {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := newScenario(t, test.repeat)
			test.arrange(s)
			c := s.issue()
			if c.Outcome() != test.want || c.Level != test.level {
				t.Errorf("want %s at level %q, got %s at level %q", test.want.Name, test.level, c.Verdict, c.Level)
			}
			golden := filepath.Join("testdata", strings.NewReplacer(" ", "_", ",", "").Replace(test.name)+".txt")
			if *update {
				must(t, os.MkdirAll("testdata", 0o755))
				must(t, os.WriteFile(golden, []byte(c.Text()), 0o644))
			}
			want, err := os.ReadFile(golden)
			must(t, err)
			if diff := cmp.Diff(string(want), c.Text()); diff != "" {
				t.Errorf("%s: -want +got (accept with -update):\n%s", golden, diff)
			}
			verified, err := Verify(s.dir, nil)
			if err != nil || verified.Verdict != c.Verdict {
				t.Errorf("verify: %v", err)
			}
		})
	}
}

func TestOutcomesHaveCodesOfTheirOwn(t *testing.T) {
	seen := map[int]string{}
	for _, o := range outcomes {
		seen[o.Code] += o.Name
		if (o.Code == 0) != (o == Certified) || o.Code > 1 && o.Code < 10 {
			t.Errorf("%s: code %d", o.Name, o.Code)
		}
	}
	for _, r := range []Reason{BadSignature, WrongKey, Changed, Misplaced, Unpublished, Loosened, Contradicted} {
		seen[r.Code] += r.Name
		if r.Code < 20 || r.Code > 125 {
			t.Errorf("%s: code %d", r.Name, r.Code)
		}
	}
	if want := len(outcomes) + 7; len(seen) != want {
		t.Errorf("%d codes for %d outcomes and reasons: %v", len(seen), want, seen)
	}
	if o := (&Certificate{Verdict: "FINE"}).Outcome(); o != EngineError {
		t.Errorf("an outcome that is none: %+v", o)
	}
}

func TestRunsAreToldApart(t *testing.T) {
	run := func(hour int, seconds ...float64) *report.Report {
		r := &report.Report{Started: began.Add(time.Duration(hour) * time.Hour)}
		for _, s := range seconds {
			r.Specs = append(r.Specs, report.Spec{Seconds: s})
		}
		return r
	}
	for _, test := range []struct {
		name          string
		first, second *report.Report
		same          bool
	}{
		{"two runs", run(0, 1, 2), run(1, 1, 2.1), false},
		{"the same start", run(0, 1, 2), run(0, 1, 2.1), true},
		{"the same specs", run(0, 1, 2), run(1, 1, 2), true},
		{"nothing ran", run(0), run(0), false},
	} {
		j := &judging{Certificate: &Certificate{}, runs: []*report.Report{test.first, test.second}}
		if j.tellApart(); (len(j.problems) > 0) != test.same {
			t.Errorf("%s: %q", test.name, j.problems)
		}
	}
}
