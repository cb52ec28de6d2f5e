package requirements

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"

	"github.com/plexlab-dev/plexlab/harness/impl"
)

// figureFile is figNN.yaml. Status, Reason and Capability stand for those of its items that have none.
type figureFile struct {
	Figure int      `yaml:"figure"`
	Title  string   `yaml:"title"`
	Start  string   `yaml:"start"`
	Status Status   `yaml:"status"`
	Reason string   `yaml:"reason"`
	Blocks []record `yaml:"blocks"`
	Edges  []record `yaml:"edges"`

	Capability impl.Capability `yaml:"capability"`
}

// listFile is interpretations.yaml, statements.yaml, profile.yaml or twice.yaml.
type listFile struct {
	Status     Status     `yaml:"status"`
	Observable Observable `yaml:"observable"` // of pairs

	Capability impl.Capability `yaml:"capability"`

	Interpretations []record `yaml:"interpretations"`
	Statements      []record `yaml:"statements"`
	Forms           []record `yaml:"forms"`

	Pairs []pairRecord `yaml:"pairs"`
}

type record struct {
	ID         string     `yaml:"id"`
	About      string     `yaml:"about"`
	Text       string     `yaml:"text"`
	Quote      string     `yaml:"quote"`
	Observable Observable `yaml:"observable"`
	Status     Status     `yaml:"status"`
	Reason     string     `yaml:"reason"`
	Later      string     `yaml:"later"`

	Capability impl.Capability `yaml:"capability"`
}

// edgeForm takes an edge apart; an outcome is one word.
var edgeForm = regexp.MustCompile(`^(\d+)(?:-([A-Za-z]+))?->(\d+|end)$`)

// load reads every YAML file at the root of files. Unknown keys, and whatever makes a requirement
// incomplete, are errors that name file and id.
func load(files fs.FS) (*catalogue, error) {
	names, err := fs.Glob(files, "*.yaml")
	if err != nil {
		return nil, fmt.Errorf("list requirements: %w", err)
	}
	c := &catalogue{byID: map[string]int{}}
	for _, name := range names {
		if err := c.loadFile(files, name); err != nil {
			return nil, fmt.Errorf("load requirements from %s: %w", name, err)
		}
	}
	return c, nil
}

func (c *catalogue) loadFile(files fs.FS, name string) error {
	text, err := fs.ReadFile(files, name)
	if err != nil {
		return err
	}
	if strings.HasPrefix(name, "fig") {
		var f figureFile
		if err := decode(text, &f); err != nil {
			return err
		}
		if want := fmt.Sprintf("fig%02d.yaml", f.Figure); name != want {
			return fmt.Errorf("figure %d belongs into %s", f.Figure, want)
		}
		return c.addChart(f)
	}
	var f listFile
	if err := decode(text, &f); err != nil {
		return err
	}
	stem := strings.TrimSuffix(path.Base(name), ".yaml")
	return errors.Join(
		c.addList(Interpretation, stem, record{Status: f.Status, Capability: f.Capability}, f.Interpretations),
		c.addList(Statement, stem, record{Status: f.Status, Capability: f.Capability}, f.Statements),
		c.addList(Form, stem, record{Status: f.Status, Capability: f.Capability}, f.Forms),
		c.addPairs(record{Status: f.Status, Capability: f.Capability, Observable: f.Observable}, f.Pairs),
	)
}

func decode(text []byte, into any) error {
	return yaml.NewDecoder(bytes.NewReader(text), yaml.Strict()).Decode(into)
}

func (c *catalogue) addChart(f figureFile) error {
	chart := Chart{Figure: f.Figure, Title: f.Title, Start: f.Start}
	quotes := map[string]string{}
	defaults := record{Status: f.Status, Reason: f.Reason, Capability: f.Capability}
	for _, rec := range f.Blocks {
		if _, err := strconv.Atoi(rec.ID); err != nil {
			return fmt.Errorf("block %q is not a number", rec.ID)
		}
		quotes[rec.ID] = rec.Quote
		r := rec.requirement(Block, defaults)
		r.ID, r.Figure, r.From = blockID(f.Figure, rec.ID), f.Figure, rec.ID
		r.Citation = cite(fmt.Sprintf("Figure %d, block %s", f.Figure, rec.ID), rec.Quote)
		if err := c.add(r); err != nil {
			return err
		}
		chart.Blocks = append(chart.Blocks, r)
	}
	for _, rec := range f.Edges {
		parts := edgeForm.FindStringSubmatch(rec.ID)
		if parts == nil {
			return fmt.Errorf("edge %q is not of the form 142-no->152, 144->146 or 150->end", rec.ID)
		}
		// An edge is cited by the block it leaves, unless words of its own are given.
		if rec.Quote == "" {
			rec.Quote = quotes[parts[1]]
		}
		r := rec.requirement(Edge, defaults)
		r.ID, r.Figure = blockID(f.Figure, rec.ID), f.Figure
		r.From, r.Outcome, r.To = parts[1], parts[2], parts[3]
		r.Citation = cite(fmt.Sprintf("Figure %d, block %s", f.Figure, r.From), rec.Quote)
		if err := c.add(r); err != nil {
			return err
		}
		chart.Edges = append(chart.Edges, r)
	}
	c.charts = append(c.charts, chart)
	return chart.check()
}

func (c *catalogue) addList(kind Kind, place string, defaults record, records []record) error {
	for _, rec := range records {
		r := rec.requirement(kind, defaults)
		if rec.About != "" {
			place = rec.About
		}
		r.ID, r.Citation = rec.ID, cite(place, rec.Quote)
		if err := c.add(r); err != nil {
			return err
		}
	}
	return nil
}

// requirement takes from defaults what the record does not say.
func (rec record) requirement(kind Kind, defaults record) Requirement {
	r := Requirement{
		Kind: kind, Text: strings.TrimSpace(rec.Text), Observable: rec.Observable,
		Status: rec.Status, Reason: rec.Reason, Later: rec.Later,
		Capability: cmp.Or(rec.Capability, defaults.Capability),
	}
	if r.Status == "" {
		r.Status, r.Reason = defaults.Status, cmp.Or(r.Reason, defaults.Reason)
	}
	return r
}

func cite(place, quote string) string {
	if quote == "" {
		return ""
	}
	return fmt.Sprintf("%s: “%s”", place, quote)
}
