package page

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/plexlab-dev/plexlab/harness/report"
)

// Where the results of a spec that is run again go: those that the page shows stay.
const (
	againDir          = "out/again"
	againCertificates = "again"
)

// again is the command that runs a spec once more, and keeps its packets whatever it comes to. Setup is
// run with everything that it sets up.
func again(s report.Spec, seed int64, whiteBox bool, o Options) string {
	focus := ""
	if !s.Setup {
		focus = quote(regexp.QuoteMeta(s.Name) + "$")
	}
	if o.Certified {
		return certifyAgain(s.Suite, focus, seed, whiteBox, o)
	}
	words := []string{"sudo", "SUITES=" + s.Suite, fmt.Sprintf("SEED=%d", seed)}
	if focus != "" {
		words = append(words, "FOCUS="+focus)
	}
	if o.Manifest != "" {
		words = append(words, "IMPLEMENTATION="+quote(o.Manifest))
	}
	if !whiteBox {
		words = append(words, "PLEXLAB_BLACK_BOX=1")
	}
	return strings.Join(append(words, "PLEXLAB_EVIDENCE=all", "RESULTS="+againDir, "scripts/conformance"), " ")
}

// againIn says where the command can be given.
func againIn(o Options) string {
	if o.Certified {
		return "where plexlab and its suites are"
	}
	return "in the source tree of plexlab"
}

// certifyAgain is the command for whoever has no source tree. Its certificate certifies nothing.
func certifyAgain(suite, focus string, seed int64, whiteBox bool, o Options) string {
	words := []string{"plexlab certify --implementation", quote(o.Manifest), "--only", suite, fmt.Sprintf("--seed %d", seed)}
	if focus != "" {
		words = append(words, "--focus", focus)
	}
	if len(o.Profiles) > 0 {
		words = append(words, "--profile", strings.Join(o.Profiles, ","))
	}
	if !whiteBox {
		words = append(words, "--black-box")
	}
	return strings.Join(append(words, "--output", againCertificates), " ")
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
