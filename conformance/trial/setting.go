package trial

import (
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/onsi/ginkgo/v2"

	"github.com/plexlab-dev/plexlab/harness/impl"
	"github.com/plexlab-dev/plexlab/harness/report"
	"github.com/plexlab-dev/plexlab/harness/verdict"
)

// What a run is told by its environment. Without it a suite tests the reference, in every profile,
// with its traces, and keeps the evidence of failures.

// implementationPath is the manifest of what is certified: PLEXLAB_IMPLEMENTATION, or the
// reference's.
func implementationPath() string {
	return setting("PLEXLAB_IMPLEMENTATION", "fixtures", "implementations", "reference.yaml")
}

// otherPath is the manifest of the implementation beside the one that is certified, in mixed plexes:
// PLEXLAB_OTHER, or the reference's, and beside the reference that of the stack in Python.
func otherPath(certified *impl.Manifest) string {
	other := "reference.yaml"
	if certified.Name == referenceName {
		other = "python.yaml"
	}
	return setting("PLEXLAB_OTHER", "fixtures", "implementations", other)
}

// referenceName is that of the reference in its manifest.
const referenceName = "plexlab reference"

// programPath is the plexlab command, whose process every lab is: PLEXLAB, or the one that
// `make build` makes.
func programPath() string { return setting("PLEXLAB", "out", "bin", "plexlab") }

// puppetPath is the program that does with sockets what a spec says; it lies beside plexlab.
func puppetPath() string { return filepath.Join(filepath.Dir(programPath()), "puppet") }

// resultsPath is the directory of reports and evidence: PLEXLAB_RESULTS, or out/conformance.
func resultsPath() string { return setting("PLEXLAB_RESULTS", "out", "conformance") }

func evidencePath() string { return filepath.Join(resultsPath(), "evidence") }

// profiles are the capabilities that the run is about: PLEXLAB_PROFILES, separated by commas; empty for
// all.
func profiles() []string {
	return strings.FieldsFunc(os.Getenv("PLEXLAB_PROFILES"), func(r rune) bool { return r == ',' })
}

// blackBox: PLEXLAB_BLACK_BOX is set, and traces are not asked for though the implementation offers them.
func blackBox() bool { return os.Getenv("PLEXLAB_BLACK_BOX") != "" }

// keepAll: PLEXLAB_EVIDENCE is "all", and the evidence of specs that passed is kept too.
func keepAll() bool { return os.Getenv("PLEXLAB_EVIDENCE") == "all" }

// tellProgress tells whoever started the run of each spec, in the file PLEXLAB_PROGRESS. Nothing is
// decided by it: what cannot be written is left out.
func tellProgress(spec ginkgo.SpecReport) {
	path := os.Getenv("PLEXLAB_PROGRESS")
	if path == "" {
		return
	}
	judged, err := verdict.Of(spec)
	if err != nil {
		judged.Verdict = verdict.EngineError
	}
	_ = report.AddProgress(path, report.Progress{Suite: suite, Spec: spec.FullText(), Verdict: judged.Verdict})
}

// strictly is a limit of a wait, or PLEXLAB_LIMIT, a duration, where that is stricter. It makes specs that fail do so
// sooner, and loosens nothing.
func strictly(limit time.Duration) time.Duration {
	text := os.Getenv("PLEXLAB_LIMIT")
	if text == "" {
		return limit
	}
	strict, err := time.ParseDuration(text)
	verdict.Engine(err, "read PLEXLAB_LIMIT")
	return min(limit, strict)
}

func setting(variable string, otherwise ...string) string {
	if value := os.Getenv(variable); value != "" {
		return value
	}
	return filepath.Join(append([]string{root()}, otherwise...)...)
}

// root is the directory of the module: suites run in directories below it.
func root() string {
	dir, err := os.Getwd()
	verdict.Engine(err, "find the tree")
	for at := dir; ; at = filepath.Dir(at) {
		if _, err := os.Stat(filepath.Join(at, "go.mod")); err == nil {
			return at
		} else if at == filepath.Dir(at) {
			verdict.Engine(err, "find the tree above %s", dir)
		}
	}
}
