// Package certificate says what the runs of the suites against one implementation come to, as a
// statement that a certifier signs and that anybody can check without a network, a laboratory or the
// implementation.
//
// The directory of a certificate:
//
//	certificate.json     the signed statement, a DSSE envelope
//	certifier.pub        the certifier's public key, for those who have it from nowhere else
//	implementation.yaml  the manifest, as it was
//	run-1, run-2, ...    the runs, each as package report has it, with the evidence of every spec
//
// The statement (in-toto Statement v1) has the manifest, the program and the files that the manifest names as subjects and a Certificate
// as predicate. Everything that a Certificate says of the runs follows from the files, and Verify lets it
// follow once more.
package certificate

import (
	"fmt"
	"time"

	"github.com/plexlab-dev/plexlab/harness/impl"
	"github.com/plexlab-dev/plexlab/harness/report"
	"github.com/plexlab-dev/plexlab/harness/report/page"
	"github.com/plexlab-dev/plexlab/harness/tolerance"
	"github.com/plexlab-dev/plexlab/harness/verdict"
)

// The files of a certificate's directory.
const (
	EnvelopeFile = "certificate.json"
	KeyFile      = "certifier.pub"
	ManifestFile = "implementation.yaml"
)

// PredicateType is the type of the predicate in the statement.
const PredicateType = "https://plexlab.dev/certificate/v1"

// A Certificate is the predicate of the statement.
type Certificate struct {
	Terms
	Implementation Implementation `json:"implementation"`
	// Verdict is the name of an Outcome, Reasons what it rests on where it is not Certified.
	Verdict string   `json:"verdict"`
	Reasons []string `json:"reasons,omitempty"`
	Level   Level    `json:"level"`
	// WhiteBox: traces were taken into account, and every edge that is due had to be covered.
	WhiteBox bool      `json:"white_box"`
	Profiles []Profile `json:"profiles"`
	// Deviations are those that the manifest declares.
	Deviations []impl.Deviation `json:"deviations,omitempty"`
	// Tolerances are all that are published, with what the suites really gave.
	Tolerances []Tolerance `json:"tolerances"`
	Runs       []Run       `json:"runs"`
	// Excused are the specs that failed and do not count, each for a deviation.
	Excused []Excuse `json:"excused,omitempty"`
	// Flips are specs whose verdicts differ between runs.
	Flips []string `json:"flips,omitempty"`
	// Requirements are all that are published, in their order.
	Requirements []Requirement `json:"requirements"`
	// Coverage is that of the first run, by figure.
	Coverage map[string]Coverage `json:"coverage"`
	Packets  Packets             `json:"packets"`
	// Evidence are all files of the directory but the envelope and the key.
	Evidence []File `json:"evidence"`
}

// Terms are what a certification was asked to do and where: all of a Certificate that no file tells.
type Terms struct {
	// SuiteCommit is the commit of the suites, Kernel the release of the machine's kernel.
	SuiteCommit string `json:"suite_commit"`
	Kernel      string `json:"kernel"`
	// Chosen are the profiles that were chosen; empty for all that the manifest declares.
	Chosen []impl.Capability `json:"chosen,omitempty"`
	// BlackBox: traces were left aside though the implementation offers them.
	BlackBox bool `json:"black_box"`
	// Suites that were started in each run.
	Suites []string `json:"suites"`
	// Focus is a regular expression of the specs that were asked for; empty for all. With one, nothing is certified.
	Focus string `json:"focus,omitempty"`
	// Repeat is how many runs there were, at least 1, Seed that of the order of specs in each of them.
	Repeat int   `json:"repeat"`
	Seed   int64 `json:"seed"`
	// Manifest is where the manifest lay, for the commands of the report that run a spec again.
	Manifest string `json:"manifest,omitempty"`
	// Program is what the manifest starts a stack with, Files its other programs and what else it says that the implementation
	// consists of.
	Program File   `json:"program"`
	Files   []File `json:"files,omitempty"`
}

// Profiles are the names of those that were chosen.
func (t *Terms) Profiles() []string {
	names := make([]string, len(t.Chosen))
	for i, profile := range t.Chosen {
		names[i] = string(profile)
	}
	return names
}

// Page says how the page of each run names the commands that run a spec again.
func (t *Terms) Page() page.Options {
	return page.Options{Manifest: t.Manifest, Certified: true, Profiles: t.Profiles()}
}

// Implementation is what was certified.
type Implementation struct {
	Name         string            `json:"name"`
	Version      string            `json:"version"`
	Capabilities []impl.Capability `json:"capabilities"`
	Variant      impl.Variant      `json:"variant"`
}

// A Level says on whose terms an implementation was certified. The zero value is none.
type Level string

// The levels.
const (
	// Full: on the terms that everybody has.
	Full Level = "full"
	// Deviating: on terms of its own, which the certificate names.
	Deviating Level = "with deviations"
)

// A Profile is what became of one capability.
type Profile struct {
	Name     impl.Capability `json:"name"`
	Declared bool            `json:"declared"`
	Chosen   bool            `json:"chosen"`
	// Verdict is the worst of its requirements and specs that decide; UNIMPLEMENTED where it is not
	// declared.
	Verdict verdict.Verdict `json:"verdict"`
	// Due are the requirements of the capability that are due, Verified those with PASS, Unobserved those that nothing but a
	// trace shows, where there was none; Share is what Due is of all that are due, from 0 to 1.
	Due        int     `json:"due"`
	Verified   int     `json:"verified"`
	Unobserved int     `json:"unobserved"`
	Share      float64 `json:"share"`
	// Specs are those that need the capability, SpecShare what they are of all specs, from 0 to 1, Passed those with PASS in every run.
	Specs     int     `json:"specs"`
	SpecShare float64 `json:"spec_share"`
	Passed    int     `json:"passed"`
}

// A Tolerance is one of package tolerance with what was given.
type Tolerance struct {
	tolerance.Tolerance
	// Given is in nanoseconds as JSON.
	Given time.Duration `json:"given_ns"`
}

// A Run is one run of the suites.
type Run struct {
	Started time.Time      `json:"started"`
	Seconds float64        `json:"seconds"`
	Summary report.Summary `json:"summary"`
	// Seeds are those of the suites, by name.
	Seeds map[string]int64 `json:"seeds"`
}

// An Excuse is of a spec that failed because the implementation chose an interpretation otherwise, as it declares.
type Excuse struct {
	Run int `json:"run"`
	// Spec is its suite, its name and its place.
	Spec string `json:"spec"`
	// Interpretations are those of the spec that the implementation deviates from.
	Interpretations []string `json:"interpretations"`
	// Reason is what the spec failed for.
	Reason string `json:"reason"`
}

// A Requirement is the verdict on one requirement.
type Requirement struct {
	ID         string          `json:"id"`
	Capability impl.Capability `json:"capability"`
	Verdict    verdict.Verdict `json:"verdict"`
	// Specs are how many decided it.
	Specs int `json:"specs"`
}

// The verdicts on requirements that those of specs do not cover.
const (
	// NotDue: nobody is held to the requirement yet, Informative: nobody ever will be.
	NotDue      verdict.Verdict = "NOT_DUE"
	Informative verdict.Verdict = "INFORMATIVE"
	// NotChosen: the implementation declares the capability, and its profile was not chosen.
	NotChosen verdict.Verdict = "NOT_CHOSEN"
	// Unobserved: nothing but a trace shows it, and there was none.
	Unobserved verdict.Verdict = "UNOBSERVED"
	// Deviates: the implementation chose otherwise, as it declares; of a profile, that some of its specs are excused by that.
	Deviates verdict.Verdict = "DEVIATES"
)

// Coverage is how much of a flowchart was taken, by traces and counters, and how much was verified.
type Coverage struct {
	Edges  report.Share `json:"edges"`
	Blocks report.Share `json:"blocks"`
	// Uncovered are edges that are due and were not taken, in a white-box run.
	Uncovered []string `json:"uncovered,omitempty"`
}

// Packets say how much of the packet verdicts follows from the evidence.
type Packets struct {
	// Specs that left packets.
	Specs int `json:"specs"`
	// Again is how many judgements were derived from the packets again, Opaque how many were made by a
	// function of a spec and cannot be.
	Again  int `json:"again"`
	Opaque int `json:"opaque"`
	// Passed are the specs that passed, Derived those of them with at least one judgement that was derived again. All others rest on
	// what a verifier cannot judge again: messages, the port file, what clients and servers saw.
	Passed  int `json:"passed"`
	Derived int `json:"derived"`
}

// A File is one of the directory, or of the implementation.
type File struct {
	// Path is relative to the directory, or to that of the implementation's manifest, with slashes; of a program its name.
	Path   string `json:"path"`
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"`
}

// An Outcome is what a certification comes to.
type Outcome struct {
	Name string
	// Code is the exit status of a program that reports it; those of package report say the same there.
	Code int
	// Meaning is for people.
	Meaning string
}

// The outcomes, the most severe first. A certification comes to the first that applies.
var (
	Flipped = Outcome{"FLIPPED", 16,
		"not certifiable: the same run twice gave different verdicts"}
	Failed = Outcome{report.Failed.Name, report.Failed.Code,
		"not certified: the implementation does not do what it declares"}
	EngineError = Outcome{report.EngineError.Name, report.EngineError.Code,
		"not certifiable: the kit or the machine broke; this says nothing about the implementation"}
	Vacuous = Outcome{report.Vacuous.Name, report.Vacuous.Code,
		"not certifiable: a stimulus never arrived; what followed proves nothing"}
	NothingRun = Outcome{report.NothingRun.Name, report.NothingRun.Code,
		"not certifiable: not one spec was run"}
	Incomplete = Outcome{report.Incomplete.Name, report.Incomplete.Code,
		"not certifiable: a requirement that is due was not verified, or a spec was left out"}
	Uncovered = Outcome{report.Uncovered.Name, report.Uncovered.Code,
		"not certifiable: everything passed, but edges that are due were not taken"}
	Certified = Outcome{"CERTIFIED", 0,
		"certified: everything that the implementation declares was run and passed"}
)

var outcomes = []Outcome{Flipped, Failed, EngineError, Vacuous, NothingRun, Incomplete, Uncovered, Certified}

// Meaning is that of the outcome; a certificate that excuses something does not say that everything passed.
func (c *Certificate) Meaning() string {
	outcome := c.Outcome()
	if outcome == Certified && len(c.Excused) > 0 {
		return fmt.Sprintf("certified with deviations: specs that failed and are excused: %d; all else that the implementation declares was run and passed",
			len(c.Excused))
	}
	return outcome.Meaning
}

// Outcome is that of the certificate's verdict; EngineError for a name that is none.
func (c *Certificate) Outcome() Outcome {
	for _, o := range outcomes {
		if o.Name == c.Verdict {
			return o
		}
	}
	return EngineError
}
