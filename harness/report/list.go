package report

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/onsi/ginkgo/v2/types"
)

// List is every spec of the suites that left their results in dir, which may be those of a dry run.
func List(dir string) ([]Spec, error) {
	var catalogue []Requirement
	if _, err := readJSON(filepath.Join(dir, catalogueFile), &catalogue); err != nil {
		return nil, err
	}
	files, _ := filepath.Glob(filepath.Join(dir, suitesDir, "*.json")) // the pattern is well-formed
	all := &Report{}
	var failed []error
	for _, file := range files {
		var reports []types.Report
		_, err := readJSON(file, &reports)
		failed = append(failed, err)
		for _, g := range reports {
			g.SuiteConfig.DryRun = false
			all.addSuite(strings.TrimSuffix(filepath.Base(file), ".json"), g, labelled(catalogue))
		}
	}
	for _, p := range all.Problems {
		failed = append(failed, fmt.Errorf("list specs in %s: %s", dir, p))
	}
	return all.Specs, errors.Join(failed...)
}

// labelled are requirements by their labels.
func labelled(catalogue []Requirement) map[string]Requirement {
	byLabel := map[string]Requirement{}
	for _, requirement := range catalogue {
		byLabel[requirement.Label] = requirement
	}
	return byLabel
}
