package report

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
)

// Write makes the reports of the run in dir and prints the one for a person to terminal. What is
// missing or damaged in dir is part of the outcome. The error is not nil where a report could not
// be written; the outcome is at least EngineError then.
func Write(dir string, in Inputs, terminal io.Writer) (Outcome, error) {
	r, outcome := Read(dir, in)
	if err := r.write(dir, terminal); err != nil {
		if outcome != Failed {
			outcome = EngineError
		}
		return outcome, fmt.Errorf("write reports: %w", err)
	}
	return outcome, nil
}

// Read is Write without writing: what the files of the run in dir come to.
func Read(dir string, in Inputs) (*Report, Outcome) {
	r := &Report{
		SuiteCommit: in.SuiteCommit, Kernel: in.Kernel, Implementation: in.Implementation, WhiteBox: in.WhiteBox,
	}
	var catalogue []Requirement
	ok, err := readJSON(filepath.Join(dir, catalogueFile), &catalogue)
	if err != nil {
		r.problem("requirements: %v", err)
	}
	r.readSuites(dir, in, catalogue)
	if !ok && err == nil && len(r.Suites) > 0 {
		r.problem("no suite left the requirements in %s", filepath.Join(dir, catalogueFile))
	}
	r.readTolerances(dir)
	r.conclude(catalogue)
	r.readCoverage(dir, catalogue)
	r.Summary.Failed += len(r.Problems) + len(r.UnknownEdges)

	outcome := r.decide(in.WhiteBox)
	r.Outcome, r.ExitCode = outcome.Name, outcome.Code
	return r, outcome
}

func (r *Report) write(dir string, terminal io.Writer) error {
	junit, err := r.junit()
	if err == nil {
		err = writeFile(filepath.Join(dir, junitFile), junit)
	}
	return errors.Join(err,
		writeJSON(filepath.Join(dir, reportFile), r),
		r.terminal(terminal))
}
