package requirements

import (
	"errors"
	"fmt"
	"regexp"
	"slices"

	"github.com/plexlab-dev/plexlab/harness/impl"
)

var idForms = map[Kind]*regexp.Regexp{
	Block:          regexp.MustCompile(`^fig\d\d/\d+$`),
	Edge:           regexp.MustCompile(`^fig\d\d/\d+(-[A-Za-z]+)?->(\d+|end)$`),
	Interpretation: regexp.MustCompile(`^I[1-9]\d*$`),
	Statement:      regexp.MustCompile(`^T[1-9]\d*(-[a-z]+)?$`),
	Form:           regexp.MustCompile(`^profile/[A-Za-z]+(-[A-Za-z]+)*$`),
	Pair:           pairForm,
}

func (r Requirement) check() error {
	switch {
	case !idForms[r.Kind].MatchString(r.ID):
		return fmt.Errorf("not the form of the id of a %s", r.Kind)
	case !slices.Contains(impl.Capabilities(), r.Capability):
		return fmt.Errorf("capability %q is not one of %v", r.Capability, impl.Capabilities())
	case r.Text == "":
		return errors.New("text is missing")
	case r.Citation == "":
		return errors.New("quote is missing")
	case !slices.Contains([]Observable{Packets, Messages, PortFile, Trace, None}, r.Observable):
		return fmt.Errorf("observable %q is not packets, messages, port-file, trace or none", r.Observable)
	case !slices.Contains([]Status{Now, NotYet, Informative}, r.Status):
		return fmt.Errorf("status %q is not now, not-yet or informative", r.Status)
	case (r.Status == NotYet) != (r.Reason != ""):
		return errors.New("a reason belongs to status not-yet and to no other")
	case (r.Status == Informative) != (r.Observable == None):
		return errors.New("observable none belongs to status informative and to no other")
	case r.Later != "" && r.Status != Now:
		return errors.New("later belongs to status now")
	}
	return nil
}

// check finds edges that lead nowhere, blocks that no way from Start reaches, and blocks that no
// edge leaves.
func (chart Chart) check() error {
	ways := map[string][]string{}
	for _, b := range chart.Blocks {
		ways[b.From] = nil
	}
	if _, ok := ways[chart.Start]; !ok {
		return fmt.Errorf("start %q is not a block", chart.Start)
	}
	for _, e := range chart.Edges {
		for _, block := range []string{e.From, e.To} {
			if _, ok := ways[block]; !ok && block != End {
				return fmt.Errorf("edge %s: there is no block %s", e.ID, block)
			}
		}
		ways[e.From] = append(ways[e.From], e.To)
	}
	reached := map[string]bool{chart.Start: true}
	for next := []string{chart.Start}; len(next) > 0; next = next[1:] {
		for _, to := range ways[next[0]] {
			if !reached[to] {
				reached[to] = true
				next = append(next, to)
			}
		}
	}
	for _, b := range chart.Blocks {
		if !reached[b.From] {
			return fmt.Errorf("block %s is not reached from %s", b.ID, chart.Start)
		}
		if len(ways[b.From]) == 0 {
			return fmt.Errorf("no edge leaves block %s", b.ID)
		}
	}
	return nil
}
