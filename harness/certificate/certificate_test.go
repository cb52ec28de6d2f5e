package certificate

import (
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
	"github.com/onsi/ginkgo/v2/types"

	"github.com/plexlab-dev/plexlab/harness/capture"
	"github.com/plexlab-dev/plexlab/harness/evidence"
	"github.com/plexlab-dev/plexlab/harness/impl"
	"github.com/plexlab-dev/plexlab/harness/report"
	"github.com/plexlab-dev/plexlab/harness/report/page"
	"github.com/plexlab-dev/plexlab/harness/segment"
	"github.com/plexlab-dev/plexlab/harness/tolerance"
	"github.com/plexlab-dev/plexlab/harness/verdict"
)

// A scenario is a directory of runs as suites leave them: two suites, one with a spec for each
// requirement, the other with the same once more under IPv6.
type scenario struct {
	t        *testing.T
	dir      string
	manifest string
	terms    Terms
	// specs of each run, by suite.
	runs []map[string][]types.SpecReport
	// edges are not covered.
	uncovered []string
	given     map[string]time.Duration
	// shared: a second spec says that the packets of the first are its own.
	shared bool
	// judgements are what each spec was decided by.
	judgements []capture.Judgement
}

const everything = "[core, clusterports, backup, takeover, ipv6, advertising, outbound, selection]"

// newScenario is one in which everything that is due has passed.
func newScenario(t *testing.T, repeat int) *scenario {
	s := &scenario{
		t: t, manifest: manifest(everything, true),
		terms: Terms{
			SuiteCommit: "0123456789ab", Kernel: "6.18.0", Suites: []string{"all", "ipv6"}, Repeat: repeat, Seed: 42, Manifest: "/home/theirs/theirs.yaml",
			Program: File{Path: "stackd", Bytes: 3, SHA256: strings.Repeat("ab", 32)},
		},
		given: map[string]time.Duration{},
		judgements: []capture.Judgement{{
			Role: capture.Unwanted, On: "MVS2/xcf0", Words: "any > any with RST",
			Pattern: &segment.Pattern{Has: segment.RST}, Seen: -1,
		}},
	}
	if t != nil { // else nobody writes it
		s.dir = filepath.Join(t.TempDir(), "certificate")
	}
	for _, tolerance := range tolerance.All() {
		s.given[tolerance.Name] = tolerance.Standard
	}
	for n := range repeat {
		run := map[string][]types.SpecReport{"all": nil, "ipv6": nil}
		for _, p := range published() {
			if p.Status != statusNow || kind(p.ID) == "block" {
				continue
			}
			run["all"] = append(run["all"], spec(p, ""))
			if p.Capability == impl.Core && p.Observable == "packets" {
				run["ipv6"] = append(run["ipv6"], spec(p, impl.IPv6))
			}
		}
		for _, id := range []string{"T4", "T8"} {
			run["all"] = append(run["all"], also(run["all"], id, "I7"))
		}
		for _, specs := range run {
			for i := range specs {
				specs[i].RunTime += time.Duration(n) * time.Millisecond
			}
		}
		s.runs = append(s.runs, run)
	}
	return s
}

// The scenarios have suites of their own; the first spec of each leaves packets.
func init() {
	publishedSpecs = sync.OnceValue(func() []PublishedSpec {
		var all []PublishedSpec
		for suite, specs := range newScenario(nil, 1).runs[0] {
			for i, s := range specs {
				p := PublishedSpec{Suite: suite, Name: s.LeafNodeText, Packets: i == 0}
				for _, l := range s.LeafNodeLabels {
					id := strings.ReplaceAll(l, ":", "/")
					p.Requirements = append(append(p.Requirements, id), blocks(id)...)
				}
				all = append(all, p)
			}
		}
		return all
	})
}

// also is the spec of a requirement that verifies another one too.
func also(specs []types.SpecReport, id, other string) types.SpecReport {
	s := specs[slices.IndexFunc(specs, func(r types.SpecReport) bool { return r.LeafNodeText == "does "+id })]
	s.LeafNodeText, s.LeafNodeLabels = "does "+id+" and "+other, []string{id, other}
	return s
}

func manifest(capabilities string, traces bool, more ...string) string {
	text := "name: theirs\nversion: \"2\"\nstart: [stackd]\ncapabilities: " + capabilities + "\n"
	if traces {
		text += "traces: true\n"
	}
	return text + strings.Join(more, "\n") + "\n"
}

func kind(id string) string {
	switch {
	case strings.Contains(id, "->"):
		return "edge"
	case strings.HasPrefix(id, "fig"):
		return "block"
	}
	return "statement"
}

var edgeOf = regexp.MustCompile(`^(fig\d\d)/(\d+)(?:-\w+)?->(\w+)$`)

// blocks are those that an edge joins.
func blocks(id string) []string {
	parts := edgeOf.FindStringSubmatch(id)
	switch {
	case parts == nil:
		return nil
	case parts[3] == "end":
		return []string{parts[1] + "/" + parts[2]}
	}
	return []string{parts[1] + "/" + parts[2], parts[1] + "/" + parts[3]}
}

func catalogue() []report.Requirement {
	var all []report.Requirement
	for _, p := range published() {
		figure := 0
		if kind(p.ID) != "statement" {
			figure = int(p.ID[3]-'0')*10 + int(p.ID[4]-'0')
		}
		all = append(all, report.Requirement{
			ID: p.ID, Label: label(p.ID), Kind: kind(p.ID), Figure: figure, Blocks: blocks(p.ID),
			Capability: string(p.Capability), Text: "text of " + p.ID, Observable: p.Observable, Status: p.Status,
		})
	}
	return all
}

func label(id string) string { return strings.ReplaceAll(id, "/", ":") }

var began = time.Date(2001, 8, 20, 12, 0, 0, 0, time.UTC)

func spec(p Published, also impl.Capability) types.SpecReport {
	s := types.SpecReport{
		LeafNodeText: "does " + p.ID, LeafNodeType: types.NodeTypeIt, State: types.SpecStatePassed,
		LeafNodeLocation: types.CodeLocation{FileName: "/src/all_test.go", LineNumber: 27},
		LeafNodeLabels:   []string{label(p.ID)}, RunTime: time.Second, NumAttempts: 1,
	}
	s.ReportEntries = append(s.ReportEntries, types.ReportEntry{Name: report.NeedsEntry, Value: types.WrapEntryValue(string(p.Capability))})
	if also != "" {
		s.ReportEntries = append(s.ReportEntries, types.ReportEntry{Name: report.NeedsEntry, Value: types.WrapEntryValue(string(also))})
	}
	return s
}

// end gives the spec of a requirement an end of its own, in one run or, with 0, in all.
func (s *scenario) end(run int, suite, id string, state types.SpecState, d verdict.Declaration) {
	s.t.Helper()
	found := false
	for n, r := range s.runs {
		for i := range r[suite] {
			if run != 0 && run != n+1 || r[suite][i].LeafNodeText != "does "+id {
				continue
			}
			found = true
			end(&r[suite][i], state, d)
		}
	}
	if !found {
		s.t.Fatalf("no spec of %s in suite %s", id, suite)
	}
}

// each changes the spec of a requirement in every run.
func (s *scenario) each(suite, id string, change func(r *types.SpecReport)) {
	for _, run := range s.runs {
		for i := range run[suite] {
			if run[suite][i].LeafNodeText == "does "+id {
				change(&run[suite][i])
			}
		}
	}
}

func end(r *types.SpecReport, state types.SpecState, d verdict.Declaration) {
	r.State, r.Failure = state, types.Failure{Message: d.String()}
	if d.Verdict != verdict.Skip {
		r.ReportEntries = append(r.ReportEntries, types.ReportEntry{Name: verdict.EntryName, Value: types.WrapEntryValue(d)})
	} else {
		r.Failure.Message = d.Reason
	}
}

// need has the spec of a requirement need one more capability.
func (s *scenario) need(id, capability string) {
	for _, run := range s.runs {
		for _, specs := range run {
			for i := range specs {
				if specs[i].LeafNodeText == "does "+id {
					specs[i].ReportEntries = append(specs[i].ReportEntries,
						types.ReportEntry{Name: report.NeedsEntry, Value: types.WrapEntryValue(capability)})
				}
			}
		}
	}
}

// undeclared ends every spec that needs a capability as suites end them.
func (s *scenario) undeclared(capabilities ...string) {
	for _, run := range s.runs {
		for _, specs := range run {
			for i := range specs {
				for _, entry := range specs[i].ReportEntries {
					for _, c := range capabilities {
						if entry.Name == report.NeedsEntry && entry.StringRepresentation() == c {
							end(&specs[i], types.SpecStateSkipped, verdict.Declaration{
								Verdict: verdict.Unimplemented, Capability: c, Reason: "the implementation does not declare capability " + c,
							})
						}
					}
				}
			}
		}
	}
}

// write leaves the directory of the runs.
func (s *scenario) write() {
	s.t.Helper()
	must(s.t, os.MkdirAll(s.dir, 0o755))
	must(s.t, os.WriteFile(filepath.Join(s.dir, ManifestFile), []byte(s.manifest), 0o644))
	for n, run := range s.runs {
		dir := filepath.Join(s.dir, RunDirectory(n+1))
		must(s.t, report.Prepare(dir))
		must(s.t, report.WriteCatalogue(dir, catalogue()))
		for suite, specs := range run {
			if len(specs) > 0 && specs[0].State == types.SpecStatePassed {
				s.keepPackets(dir, suite, &specs[0])
				if s.shared {
					specs[1].ReportEntries = append(specs[1].ReportEntries, specs[0].ReportEntries[len(specs[0].ReportEntries)-1])
				}
			}
			must(s.t, report.WriteTolerances(dir, suite, s.given))
			must(s.t, report.WriteSuite(dir, suite, types.Report{
				SuiteSucceeded: true, StartTime: began.Add(time.Duration(n) * time.Hour), EndTime: began.Add(time.Duration(n)*time.Hour + time.Minute), RunTime: time.Minute,
				SuiteConfig: types.SuiteConfig{RandomSeed: s.terms.Seed, ParallelTotal: 2}, SpecReports: specs,
			}))
		}
		edges := map[string]uint64{}
		for _, p := range published() {
			if kind(p.ID) == "edge" {
				edges[p.ID] = 1
			}
		}
		for _, id := range s.uncovered {
			delete(edges, id)
		}
		if strings.Contains(s.manifest, "traces: true") && !s.terms.BlackBox {
			must(s.t, report.AddCoverage(dir, "all", edges))
		}
		s.report(dir)
	}
}

// report makes the reports of a run.
func (s *scenario) report(dir string) {
	s.t.Helper()
	implementation, err := impl.Read(filepath.Join(s.dir, ManifestFile))
	must(s.t, err)
	_, err = report.Write(dir, Inputs(s.terms, implementation), io.Discard)
	must(s.t, err)
	must(s.t, page.Write(dir, s.terms.Page()))
}

// keepPackets leaves evidence of a spec: a capture of one interface on which nothing passed.
func (s *scenario) keepPackets(run, suite string, r *types.SpecReport) {
	s.t.Helper()
	place := filepath.Join(run, "evidence", suite, "first")
	must(s.t, os.MkdirAll(place, 0o755))
	file, err := os.Create(filepath.Join(place, evidence.PacketsFile))
	must(s.t, err)
	defer file.Close()
	w, err := pcapgo.NewNgWriterInterface(file, pcapgo.NgInterface{
		Name: "MVS2/xcf0", LinkType: layers.LinkTypeEthernet, TimestampResolution: 9,
	}, pcapgo.DefaultNgWriterOptions)
	must(s.t, err)
	must(s.t, w.WriteInterfaceStats(0, pcapgo.NgInterfaceStatistics{PacketsReceived: pcapgo.NgNoValue64, LastUpdate: began}))
	must(s.t, w.Flush())
	must(s.t, evidence.WriteJudgements(place, s.judgements))
	r.ReportEntries = append(r.ReportEntries, types.ReportEntry{Name: report.EvidenceEntry, Value: types.WrapEntryValue(place)})
}

// issue makes the certificate of the scenario.
func (s *scenario) issue() *Certificate {
	s.t.Helper()
	s.write()
	c, err := Issue(s.dir, s.terms, key(s.t))
	must(s.t, err)
	return c
}

// key is the certifier's of a test.
func key(t *testing.T) *Key {
	t.Helper()
	k, _, err := SigningKey(filepath.Join(t.TempDir(), "certifier.pem"))
	must(t, err)
	return k
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
