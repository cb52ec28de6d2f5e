package page

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/plexlab-dev/plexlab/harness/report"
)

// againDir is where the results of a spec that is run again go: those that the page shows stay.
const againDir = "out/again"

// again is the command that runs a spec once more, and keeps its packets whatever it comes to. Setup is
// run with everything that it sets up.
func again(s report.Spec, seed int64, whiteBox bool, o Options) string {
	words := []string{"sudo", "SUITES=" + s.Suite, fmt.Sprintf("SEED=%d", seed)}
	if !s.Setup {
		words = append(words, "FOCUS="+quote(regexp.QuoteMeta(s.Name)+"$"))
	}
	if o.Manifest != "" {
		words = append(words, "IMPLEMENTATION="+quote(o.Manifest))
	}
	if !whiteBox {
		words = append(words, "PLEXLAB_BLACK_BOX=1")
	}
	return strings.Join(append(words, "PLEXLAB_EVIDENCE=all", "RESULTS="+againDir, "scripts/conformance"), " ")
}

// keepAll is the command that runs everything and keeps the packets of specs that pass, too.
const keepAll = "sudo PLEXLAB_EVIDENCE=all make conformance"

// plain is what a shell takes as it stands.
var plain = regexp.MustCompile(`^[A-Za-z0-9_./:=@%+-]+$`)

func quote(word string) string {
	if plain.MatchString(word) {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}
