package certificate

import (
	_ "embed"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/plexlab-dev/plexlab/harness/impl"
	"github.com/plexlab-dev/plexlab/harness/report"
)

// Published is a requirement that a certificate has to have a verdict on.
type Published struct {
	ID         string
	Capability impl.Capability
	Observable string
	Status     string
}

const (
	statusNow         = "now"
	statusInformative = "informative"
	observableTrace   = "trace"
)

// published.txt lists all requirements, one a line: id, capability, observable, status. It is what a
// verifier goes by, whatever the suites of a run say; a test of conformance/requirements holds the
// two together.
//
//go:embed published.txt
var publishedText string

var published = sync.OnceValue(func() []Published {
	var all []Published
	for line := range strings.Lines(publishedText) {
		fields := strings.Fields(line)
		all = append(all, Published{fields[0], impl.Capability(fields[1]), fields[2], fields[3]})
	}
	return all
})

// IsPublished says whether there is a requirement of that id.
func IsPublished(id string) bool {
	return slices.ContainsFunc(published(), func(p Published) bool { return p.ID == id })
}

// PublishedFile is the name of the file in this package's directory that Publish makes the text of.
const PublishedFile = "published.txt"

// Publish is the text of PublishedFile for a catalogue.
func Publish(catalogue []report.Requirement) string {
	var text strings.Builder
	for _, r := range catalogue {
		fmt.Fprintln(&text, r.ID, r.Capability, r.Observable, r.Status)
	}
	return text.String()
}
