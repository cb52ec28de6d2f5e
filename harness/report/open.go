package report

import (
	"fmt"
	"io/fs"
	"path/filepath"
)

// Open reads the report.json that Write left in dir.
func Open(dir string) (*Report, error) {
	path := filepath.Join(dir, reportFile)
	var r Report
	ok, err := readJSON(path, &r)
	if err == nil && !ok {
		err = fmt.Errorf("read %s: %w", path, fs.ErrNotExist)
	}
	if err != nil {
		return nil, err
	}
	return &r, nil
}

// Meaning is the outcome in words.
func (r *Report) Meaning() string { return meaning(r.Outcome) }

// WritePage writes the page into dir whole or not at all.
func WritePage(dir string, text []byte) error { return writeFile(filepath.Join(dir, PageFile), text) }
