package mutant

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/plexlab-dev/plexlab/harness/verdict"
)

// Summary is summary.json: what a run of mutants came to.
type Summary struct {
	// Only is the regular expression by which mutants were chosen, empty for all, and Of how many there are.
	Only string `json:"only"`
	Of   int    `json:"of"`
	// Complete: the run was not interrupted, nor ended by an error; else what it did not come to is undecided.
	Complete bool `json:"complete"`
	// How many mutants came to each outcome.
	Killed     int `json:"killed"`
	Survived   int `json:"survived"`
	Equivalent int `json:"equivalent"`
	Undecided  int `json:"undecided"`
	// Seconds is how long the run took, building included.
	Seconds float64 `json:"seconds"`
	Mutants []Row   `json:"mutants"`
}

// Row is one mutant.
type Row struct {
	ID      string   `json:"id"`
	Wrong   string   `json:"wrong"`
	For     []string `json:"for"`
	File    string   `json:"file"`
	Suite   string   `json:"suite,omitempty"`
	Spec    string   `json:"spec,omitempty"`
	Outcome Outcome  `json:"outcome"`
	// Reason is why it is equivalent, or why it was not killed.
	Reason  string  `json:"reason,omitempty"`
	Seconds float64 `json:"seconds"`
}

// row is that of a mutant by what its spec found of it, and of the reference.
func row(m Mutant, t trial, reference verdict.Declaration) Row {
	r := Row{ID: m.ID, Wrong: m.Wrong, For: m.For, File: m.File, Suite: m.Suite, Spec: m.Spec, Seconds: t.seconds}
	if m.Equivalent != "" {
		r.Suite = ""
	}
	switch {
	case !t.ended:
		r.Outcome, r.Reason = Undecided, "the run ended before it was decided"
	case m.Equivalent != "":
		r.Outcome, r.Reason = Equivalent, m.Equivalent
	default:
		r.Outcome, r.Reason = judge(m, t.verdict, reference)
	}
	return r
}

func (s *Summary) add(r Row) {
	s.Mutants = append(s.Mutants, r)
	switch r.Outcome {
	case Killed:
		s.Killed++
	case Survived:
		s.Survived++
	case Equivalent:
		s.Equivalent++
	default:
		s.Undecided++
	}
}

// Good: every mutant that was chosen was killed or is equivalent, and there is one that was killed.
func (s *Summary) Good() bool { return s.Complete && s.Survived+s.Undecided == 0 && s.Killed > 0 }

// JSON is the summary as summary.json has it.
func (s *Summary) JSON() ([]byte, error) {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false) // ids hold ->
	if err := encoder.Encode(s); err != nil {
		return nil, fmt.Errorf("summary of mutants: %w", err)
	}
	return text.Bytes(), nil
}

// Print writes a table for a person, and a last line of numbers.
func (s *Summary) Print(to io.Writer) error {
	table := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "MUTANT\tFOR\tSUITE\tOUTCOME\tSECONDS")
	for _, r := range s.Mutants {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%.1f\n", r.ID, strings.Join(r.For, " "), r.Suite, r.Outcome, r.Seconds)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	for _, r := range s.Mutants {
		if r.Reason != "" {
			fmt.Fprintf(to, "\n%s: %s: %s\n  %s\n", r.Outcome, r.ID, r.Wrong, shortened(r.Reason))
		}
	}
	_, err := fmt.Fprintf(to, "\n%d of %d mutants: %d killed, %d survived, %d equivalent, %d undecided: %s of those that are not equivalent killed, in %.0f s\n",
		len(s.Mutants), s.Of, s.Killed, s.Survived, s.Equivalent, s.Undecided, s.share(), s.Seconds)
	return err
}

// longest is how much of a reason a person reads; summary.json has the rest.
const longest = 600

func shortened(reason string) string {
	if len(reason) <= longest {
		return reason
	}
	return reason[:longest] + " ..."
}

// share is that of the killed; below 100 % it is never rounded up to it.
func (s *Summary) share() string {
	all := len(s.Mutants) - s.Equivalent
	if all == 0 {
		return "none"
	}
	return fmt.Sprintf("%d %%", 100*s.Killed/all)
}
