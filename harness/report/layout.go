// Package report makes one report of what the suites of a run left in a directory: report.json for
// programs, junit.xml for other tools, and a coverage table with a last line of numbers for people.
//
// The directory of a run:
//
//	requirements.json        the catalogue, written by every suite alike
//	suites/NAME.json         Ginkgo's report of suite NAME, one types.Report in a list
//	coverage/NAME-*.json     how often each edge was passed, one file a contribution
//	tolerances/NAME.json     what suite NAME gave the implementation of each tolerance, in nanoseconds
//	report.json, junit.xml   what Write makes of them
//	report.html              what package page makes of report.json and the evidence beside it
package report

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"time"

	"github.com/onsi/ginkgo/v2/types"
)

const (
	catalogueFile = "requirements.json"
	suitesDir     = "suites"
	coverageDir   = "coverage"
	tolerancesDir = "tolerances"
	reportFile    = "report.json"
	junitFile     = "junit.xml"

	// PageFile is the report for a person's browser.
	PageFile = "report.html"
)

// suiteName keeps a name from leaving its directory.
var suiteName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_]*$`)

// Prepare makes dir ready for a run: what an earlier run left there under the names of the layout
// is removed, so that it cannot be taken for a result of this one. Other files stay.
func Prepare(dir string) error {
	for _, name := range []string{catalogueFile, suitesDir, coverageDir, tolerancesDir, reportFile, junitFile, PageFile} {
		if err := os.RemoveAll(filepath.Join(dir, name)); err != nil {
			return fmt.Errorf("prepare report directory: %w", err)
		}
	}
	for _, name := range []string{suitesDir, coverageDir} {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o755); err != nil {
			return fmt.Errorf("prepare report directory: %w", err)
		}
	}
	return nil
}

// WriteSuite leaves Ginkgo's report of a suite in dir. It is called in ReportAfterSuite, which has
// the reports of all parallel processes. name is made of letters, digits and _.
func WriteSuite(dir, name string, r types.Report) error {
	if !suiteName.MatchString(name) {
		return fmt.Errorf("write report of suite %q: not a name of letters, digits and _", name)
	}
	return writeJSON(filepath.Join(dir, suitesDir, name+".json"), []types.Report{r})
}

// WriteCatalogue leaves the requirements in dir. Every suite of a run writes the same.
func WriteCatalogue(dir string, requirements []Requirement) error {
	return writeJSON(filepath.Join(dir, catalogueFile), requirements)
}

// WriteTolerances leaves in dir what a suite gave the implementation of each tolerance, by name.
func WriteTolerances(dir, suite string, allowed map[string]time.Duration) error {
	if !suiteName.MatchString(suite) {
		return fmt.Errorf("write tolerances of suite %q: not a name of letters, digits and _", suite)
	}
	return writeJSON(filepath.Join(dir, tolerancesDir, suite+".json"), allowed)
}

// AddCoverage adds to dir how often edges were passed, by their ids, in one stack or data path
// that suite looked at. Contributions of any number of processes add up.
func AddCoverage(dir, suite string, edges map[string]uint64) error {
	if !suiteName.MatchString(suite) {
		return fmt.Errorf("add coverage of suite %q: not a name of letters, digits and _", suite)
	}
	place := filepath.Join(dir, coverageDir)
	if err := os.MkdirAll(place, 0o755); err != nil {
		return fmt.Errorf("add coverage of suite %s: %w", suite, err)
	}
	file, err := os.CreateTemp(place, suite+"-*.part")
	if err != nil {
		return fmt.Errorf("add coverage of suite %s: %w", suite, err)
	}
	// The name that CreateTemp made is unique; without its last part it counts.
	final := file.Name()[:len(file.Name())-len(".part")] + ".json"
	return errors.Join(
		file.Close(), os.Remove(file.Name()),
		writeJSON(final, Coverage{Suite: suite, Edges: edges}),
	)
}

// writeJSON writes a file whole or not at all.
func writeJSON(path string, value any) error {
	text, err := encodeJSON(value)
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return writeFile(path, text)
}

func encodeJSON(value any) ([]byte, error) {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false) // ids hold ->
	err := encoder.Encode(value)
	return text.Bytes(), err
}

func writeFile(path string, text []byte) (err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	file, err := os.CreateTemp(filepath.Dir(path), ".*")
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	_, err = file.Write(text)
	err = errors.Join(err, file.Chmod(0o644), file.Close())
	if err == nil {
		err = os.Rename(file.Name(), path)
	}
	if err != nil {
		os.Remove(file.Name())
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}

// readJSON reads a file; ok is false where there is none.
func readJSON(path string, value any) (ok bool, err error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if err := json.Unmarshal(text, value); err != nil {
		return false, fmt.Errorf("read %s: %w", path, err)
	}
	return true, nil
}
