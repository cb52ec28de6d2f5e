package report

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
)

// Check is an error where the reports that Write left in dir are not those of r, which Read made of the other files there. Of what
// went wrong with the run the reports tell in the words of where dir was; how much that is has to be the same.
func (r *Report) Check(dir string) error {
	written, err := Open(dir)
	if err != nil {
		return err
	}
	if len(written.Problems) != len(r.Problems) {
		return fmt.Errorf("%s tells of %d problems, and its run has %d", reportFile, len(written.Problems), len(r.Problems))
	}
	again := *r
	again.Problems = slices.Clone(written.Problems)
	text, err := encodeJSON(again)
	if err != nil {
		return err
	}
	junit, err := again.junit()
	if err != nil {
		return err
	}
	return errors.Join(CheckFile(dir, reportFile, text), CheckFile(dir, junitFile, junit))
}

// CheckFile is an error where a file of dir is not the text that its run comes to.
func CheckFile(dir, name string, text []byte) error {
	written, err := os.ReadFile(filepath.Join(dir, name))
	if err == nil && !bytes.Equal(written, text) {
		err = fmt.Errorf("%s is not what the results of its run come to", name)
	}
	return err
}
