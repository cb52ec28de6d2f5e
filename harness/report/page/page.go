// Package page makes the report for a person's browser: one HTML file that needs nothing but itself.
// It shows the outcome of a run, every flowchart with the verdicts of its edges, every requirement with
// its passage, and every spec with the packets that decided it. All of it is readable without script.
package page

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"sync"

	"github.com/plexlab-dev/plexlab/harness/report"
)

//go:embed page.html
var markup string

//go:embed page.css
var style string

//go:embed page.js
var script string

// page is parsed when there is a page to write, not whenever the program starts.
var page = sync.OnceValue(func() *template.Template { return template.Must(template.New("page").Parse(markup)) })

// Options are what report.json does not tell.
type Options struct {
	// Manifest is the path of the implementation's manifest, for the commands that run a spec again;
	// without one they run the reference.
	Manifest string
	// Certified: the run was one of plexlab certify, about Profiles, all that are declared if there are none.
	Certified bool
	Profiles  []string
}

// Write makes the page of the run in dir, of its report.json and the evidence beside it, and leaves it
// there as report.PageFile. The same files make the same page. Evidence that is missing or damaged is
// said on the page; the error is of report.json or of the page itself.
func Write(dir string, o Options) error {
	text, err := compose(dir, o)
	if err != nil {
		return err
	}
	return report.WritePage(dir, text)
}

// Check is an error where the page that Write left in dir is not the one of the files there.
func Check(dir string, o Options) error {
	text, err := compose(dir, o)
	if err != nil {
		return err
	}
	return report.CheckFile(dir, report.PageFile, text)
}

func compose(dir string, o Options) ([]byte, error) {
	r, err := report.Open(dir)
	if err != nil {
		return nil, fmt.Errorf("make the report page: %w", err)
	}
	var text bytes.Buffer
	if err := page().Execute(&text, newDocument(dir, r, o)); err != nil {
		return nil, fmt.Errorf("make the report page: %w", err)
	}
	return text.Bytes(), nil
}

// frame is what the page brings along instead of loading it.
type frame struct {
	Style  template.CSS
	Script template.JS
	// Policy forbids the browser everything else (Content Security Policy, level 3).
	Policy string
}

func newFrame() frame {
	return frame{
		Style: template.CSS(style), Script: template.JS(script),
		Policy: fmt.Sprintf("default-src 'none'; img-src data:; style-src '%s'; script-src '%s'", hash(style), hash(script)),
	}
}

func hash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}
