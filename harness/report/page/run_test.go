package page

import (
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"

	"github.com/plexlab-dev/plexlab/harness/capture"
	"github.com/plexlab-dev/plexlab/harness/evidence"
	"github.com/plexlab-dev/plexlab/harness/report"
	"github.com/plexlab-dev/plexlab/harness/segment"
	"github.com/plexlab-dev/plexlab/harness/verdict"
)

var began = time.Date(2001, 8, 20, 12, 0, 0, 0, time.UTC)

// small is a report with every verdict, a flowchart that is drawn in part, one that has no drawing, and
// words that are no markup.
func small() *report.Report {
	required := func(id, kind string, figure int, status string, v verdict.Verdict, specs ...int) report.Result {
		return report.Result{
			Requirement: report.Requirement{
				ID: id, Label: id, Kind: kind, Figure: figure, Capability: "core", Text: "What <" + id + "> demands of a stack.",
				Citation: "Figure: “words & more”", Observable: "packets", Status: status,
			},
			Verdict: v, Specs: specs,
		}
	}
	all := []report.Result{
		required("fig12/140", "block", 12, "now", verdict.Fail, 0, 1),
		required("fig12/142", "block", 12, "now", verdict.Fail, 0, 1),
		required("fig12/152", "block", 12, "now", verdict.Vacuous, 2),
		required("fig12/140-no->142", "edge", 12, "now", verdict.Pass, 0),
		required("fig12/142-no->152", "edge", 12, "now", verdict.Fail, 0, 1),
		required("fig12/152->end", "edge", 12, "now", verdict.Vacuous, 2),
		required("fig99/1->end", "edge", 99, "not-yet", ""),
		required("I2", "interpretation", 0, "now", verdict.Unimplemented, 3),
		required("I10", "interpretation", 0, "now", verdict.EngineError, 4),
		required("T4", "statement", 0, "now", verdict.Skip),
		required("T36", "statement", 0, "informative", ""),
	}
	all[0].Covered, all[1].Covered, all[3].Covered = true, true, true
	all[0].Text = "The connection routing table is asked for the 4-tuple of the packet."
	all[6].Reason, all[5].Later = "takeover", "with IPv6"
	r := &report.Report{
		SuiteCommit: "0123456789ab", Kernel: "6.18.0",
		Implementation: report.Implementation{Name: "their <stack>", Version: "1.2"}, WhiteBox: true,
		Started: began, Seconds: 12.5,
		Suites:       []report.Suite{{Name: "fig12", Specs: 5, Seed: 42, Seconds: 12.5, Processes: 2}},
		Requirements: map[string]report.Result{},
		Coverage: map[string]report.FigureCoverage{
			"fig12": {
				Edges: report.Share{Covered: 1, Total: 3, Due: 3, Verified: 1}, Blocks: report.Share{Covered: 2, Total: 3, Due: 3},
				Uncovered: []string{"fig12/142-no->152", "fig12/152->end"}, Passed: map[string]uint64{"fig12/140-no->142": 7},
			},
			"fig99": {Edges: report.Share{Total: 1}},
		},
		UnknownEdges: []string{"fig12/142-maybe->152"},
		Problems:     []string{"suite fig13 left no report"},
		Summary:      report.Summary{Verdicts: map[verdict.Verdict]int{}},
	}
	for _, result := range all {
		r.Requirements[result.ID] = result
	}
	spec := func(name string, d verdict.Declaration, evidence string, ids ...string) {
		s := report.Spec{Suite: "fig12", Name: name, Declaration: d, Seconds: 1.25, Location: "block142_test.go:27", Requirements: ids}
		if evidence != "" {
			s.Evidence = map[string]string{report.EvidenceEntry: "/elsewhere/evidence/fig12/" + evidence}
		}
		r.Specs = append(r.Specs, s)
		r.Summary.Verdicts[d.Verdict]++
	}
	spec("block 142: a SYN reaches its target", verdict.Declaration{Verdict: verdict.Pass}, "reaches",
		"fig12/140", "fig12/142", "fig12/140-no->142", "fig12/142-no->152")
	spec("block 142: a segment stays with MVS1's TCP", verdict.Declaration{
		Verdict: verdict.Fail, Expected: "RST from the DVIPA", Actual: "ACK at MVS2 <script>alert(1)</script>",
		Reason: "what MVS1 answers: <*capture.UnexpectedError | 0x1>",
	}, "stays", "fig12/140", "fig12/142", "fig12/142-no->152")
	spec("block 152: proves nothing", verdict.Declaration{
		Verdict: verdict.Vacuous, Reason: "stimulus not seen to arrive:\n  SYN to 192.168.44.10:80",
	}, "gone", "fig12/152", "fig12/152->end")
	spec("interpretation 2", verdict.Declaration{
		Verdict: verdict.Unimplemented, Capability: "takeover", Reason: "the implementation does not declare capability takeover",
	}, "", "I2")
	spec("interpretation 10", verdict.Declaration{Verdict: verdict.EngineError, Reason: "open packet socket: EPERM"}, "", "I10")
	r.Specs[4].Setup = true
	r.Outcome, r.ExitCode = report.Failed.Name, report.Failed.Code
	r.Summary.Passed, r.Summary.Failed, r.Summary.Skipped = 1, 5, 1
	return r
}

// write leaves a report in a directory of its own, and the evidence of two specs.
func write(t *testing.T, r *report.Report) (dir string) {
	t.Helper()
	dir = t.TempDir()
	text, err := json.Marshal(r)
	must(t, err)
	must(t, os.WriteFile(filepath.Join(dir, "report.json"), text, 0o644))
	reaches := segment.NewSYN(client, dvipa)
	pattern := segment.Pattern{Src: client, Dst: dvipa, Has: segment.SYN}
	ask := func(role capture.Role, on string, seen, until int) capture.Judgement {
		return capture.Judgement{
			Role: role, On: on, Direction: "received", Until: until, Seen: seen, Words: pattern.String(), Pattern: &pattern, LimitNS: int64(3 * time.Second),
		}
	}
	counted := ask(capture.Counted, "", -1, 3)
	counted.Count = 2
	record := []passed{
		{"MVS1/ext0", false, clientCard, mvs1Card, reaches},
		{"MVS1/xcf0", true, mvs1XCF, mvs2XCF, reaches},
		{"MVS2/xcf0", false, mvs1XCF, mvs2XCF, reaches},
	}
	keep(t, dir, "reaches", record, ask(capture.Stimulus, "MVS1/ext0", 0, 1), ask(capture.Attempt, "MVS3/xcf0", -1, 2),
		ask(capture.Attempt, "MVS2/xcf0", 2, 3), ask(capture.Expected, "MVS2/xcf0", 2, 3), ask(capture.Unwanted, "MVS3/xcf0", -1, 3), counted)
	keep(t, dir, "stays", record, ask(capture.Stimulus, "MVS1/ext0", 0, 1), ask(capture.Unwanted, "MVS2/xcf0", 2, 3),
		ask(capture.Expected, "MVS1/ext0", -1, 3))
	return dir
}

var (
	client     = netip.MustParseAddrPort("192.168.44.77:20001")
	dvipa      = netip.MustParseAddrPort("192.168.44.10:80")
	clientCard = net.HardwareAddr{2, 0, 0, 0, 0, 77}
	mvs1Card   = net.HardwareAddr{2, 0, 0, 0, 0, 1}
	mvs1XCF    = net.HardwareAddr{2, 0, 0, 0, 1, 1}
	mvs2XCF    = net.HardwareAddr{2, 0, 0, 0, 1, 2}
)

// passed is a packet on an interface.
type passed struct {
	on       string
	outgoing bool
	src, dst net.HardwareAddr
	segment  segment.Segment
}

// keep writes the evidence of a spec whose packets passed a millisecond after one another.
func keep(t *testing.T, dir, name string, record []passed, judgements ...capture.Judgement) {
	t.Helper()
	place := filepath.Join(dir, "evidence", "fig12", name)
	must(t, os.MkdirAll(place, 0o755))
	must(t, evidence.WriteJudgements(place, judgements))
	file, err := os.Create(filepath.Join(place, evidence.PacketsFile))
	must(t, err)
	defer file.Close()
	var writer *pcapgo.NgWriter
	names := []string{"MVS1/ext0", "MVS1/xcf0", "MVS2/xcf0", "MVS3/xcf0"}
	for i, name := range names {
		about := pcapgo.NgInterface{Name: name, LinkType: layers.LinkTypeEthernet, TimestampResolution: 9}
		if i == 0 {
			writer, err = pcapgo.NewNgWriterInterface(file, about, pcapgo.DefaultNgWriterOptions)
		} else {
			_, err = writer.AddInterface(about)
		}
		must(t, err)
	}
	for i, p := range record {
		packet, err := p.segment.Packet()
		must(t, err)
		frame, err := segment.Frame(p.src, p.dst, packet)
		must(t, err)
		direction := pcapgo.NgEpbFlagDirectionInbound
		if p.outgoing {
			direction = pcapgo.NgEpbFlagDirectionOutbound
		}
		must(t, writer.WritePacketWithOptions(gopacket.CaptureInfo{
			Timestamp: began.Add(time.Duration(i) * time.Millisecond), CaptureLength: len(frame), Length: len(frame),
			InterfaceIndex: slices.Index(names, p.on),
		}, frame, pcapgo.NgPacketOptions{Flags: &pcapgo.NgEpbFlags{Direction: direction}}))
	}
	for i := range names {
		must(t, writer.WriteInterfaceStats(i, pcapgo.NgInterfaceStatistics{PacketsReceived: pcapgo.NgNoValue64}))
	}
	must(t, writer.Flush())
}

// large is as big as the report of a run of all suites, which shows five packets a spec.
func large(t *testing.T) (dir string) {
	t.Helper()
	const specs, requirements, packets = 400, 300, 5
	r := small()
	for i := range requirements {
		id := fmt.Sprintf("T%d", 1000+i)
		r.Requirements[id] = report.Result{
			Requirement: report.Requirement{ID: id, Kind: "statement", Text: "One of many.", Citation: "words", Observable: "packets", Status: "now"},
			Verdict:     verdict.Pass,
		}
	}
	for i := range specs {
		one := r.Specs[0]
		one.Name = fmt.Sprintf("spec %d of many, with a name as long as most of them have one", i)
		for n := range 4 {
			id := fmt.Sprintf("T%d", 1000+(i*4+n)%requirements)
			result := r.Requirements[id]
			result.Specs = append(result.Specs, len(r.Specs))
			r.Requirements[id], one.Requirements = result, append(one.Requirements, id)
		}
		r.Specs = append(r.Specs, one)
	}
	dir = write(t, r)
	record, judgements := many(packets)
	keep(t, dir, "reaches", record, judgements...)
	return dir
}

// many are so many packets, each looked for and seen.
func many(packets int) (record []passed, judgements []capture.Judgement) {
	for i := range packets {
		from := netip.AddrPortFrom(client.Addr(), uint16(20000+i))
		record = append(record, passed{"MVS1/ext0", false, clientCard, mvs1Card, segment.NewSYN(from, dvipa)})
		judgements = append(judgements, capture.Judgement{
			Role: capture.Attempt, On: "MVS1/ext0", Direction: "received", Seen: i, Until: i + 1, Words: from.String() + " > " + dvipa.String() + " with SYN",
		})
	}
	return record, judgements
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
