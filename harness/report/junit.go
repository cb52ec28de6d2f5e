package report

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"strings"

	"github.com/onsi/ginkgo/v2/reporters"

	"github.com/plexlab-dev/plexlab/harness/verdict"
)

// junit is the report in the form of junit.xml. FAIL is a failure; ENGINE_ERROR, VACUOUS and what
// went wrong with the run are errors; SKIP and UNIMPLEMENTED are skipped.
func (r *Report) junit() ([]byte, error) {
	all := reporters.JUnitTestSuites{Time: r.Seconds}
	for _, suite := range r.Suites {
		all.TestSuites = append(all.TestSuites, r.junitSuite(suite))
	}
	if len(r.Problems) > 0 || len(r.UnknownEdges) > 0 {
		all.TestSuites = append(all.TestSuites, r.junitRun())
	}
	for _, suite := range all.TestSuites {
		all.Tests += suite.Tests
		all.Disabled += suite.Skipped
		all.Errors += suite.Errors
		all.Failures += suite.Failures
	}
	text := bytes.NewBufferString(xml.Header)
	encoder := xml.NewEncoder(text)
	encoder.Indent("", "  ")
	if err := encoder.Encode(all); err != nil {
		return nil, fmt.Errorf("write JUnit report: %w", err)
	}
	text.WriteByte('\n')
	return text.Bytes(), nil
}

func (r *Report) junitSuite(s Suite) reporters.JUnitTestSuite {
	suite := reporters.JUnitTestSuite{
		Name: s.Name, Package: s.Name, Time: s.Seconds, Timestamp: r.Started.UTC().Format("2006-01-02T15:04:05"),
		Properties: reporters.JUnitProperties{Properties: []reporters.JUnitProperty{
			{Name: "seed", Value: fmt.Sprint(s.Seed)},
			{Name: "processes", Value: fmt.Sprint(s.Processes)},
		}},
	}
	for _, spec := range r.Specs {
		if spec.Suite == s.Name {
			addCase(&suite, spec)
		}
	}
	return suite
}

// junitRun is a suite that stands for the run as a whole.
func (r *Report) junitRun() reporters.JUnitTestSuite {
	suite := reporters.JUnitTestSuite{Name: "run", Package: "run"}
	for _, problem := range r.Problems {
		addCase(&suite, Spec{Suite: "run", Name: "run is sound", Declaration: verdict.Declaration{
			Verdict: verdict.EngineError, Reason: problem,
		}})
	}
	for _, edge := range r.UnknownEdges {
		addCase(&suite, Spec{Suite: "run", Name: "trace names edges of the flowcharts", Declaration: verdict.Declaration{
			Verdict: verdict.Fail, Reason: "no flowchart has edge " + edge,
		}})
	}
	return suite
}

func addCase(suite *reporters.JUnitTestSuite, spec Spec) {
	test := reporters.JUnitTestCase{
		Name: spec.Name, Classname: suite.Name, Status: string(spec.Verdict), Time: spec.Seconds,
	}
	headline, _, _ := strings.Cut(spec.Account(), "\n")
	suite.Tests++
	switch spec.Verdict {
	case verdict.Pass:
	case verdict.Skip, verdict.Unimplemented:
		suite.Skipped++
		test.Skipped = &reporters.JUnitSkipped{Message: headline}
	case verdict.Fail:
		suite.Failures++
		test.Failure = &reporters.JUnitFailure{Message: headline, Type: string(spec.Verdict), Description: explain(spec)}
	default:
		suite.Errors++
		test.Error = &reporters.JUnitError{Message: headline, Type: string(spec.Verdict), Description: explain(spec)}
	}
	if len(spec.Requirements) > 0 {
		test.Properties = &reporters.JUnitProperties{Properties: []reporters.JUnitProperty{
			{Name: "requirements", Value: strings.Join(spec.Requirements, " ")},
		}}
	}
	suite.TestCases = append(suite.TestCases, test)
}

func explain(spec Spec) string {
	if spec.Location == "" {
		return spec.Account()
	}
	return spec.Location + ": " + spec.Account()
}
