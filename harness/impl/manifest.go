// Package impl says how an implementation of a stack is started: the manifest that a vendor
// writes, and the commands that come of it. The harness knows nothing else about an
// implementation, the reference included.
package impl

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"

	"github.com/plexlab-dev/plexlab/harness/tolerance"
	"github.com/plexlab-dev/plexlab/nodes/profile"
)

// A Manifest describes one implementation. Read checks every field before anybody sees it, so
// that whoever holds a Manifest may rely on what the fields say. New fields are optional: a
// manifest that is valid today stays so.
type Manifest struct {
	// Name of the implementation, for reports: any text without control characters, not empty.
	Name string `yaml:"name" json:"name"`
	// Version as the vendor counts; the control API may tell a finer one. Not empty.
	Version string `yaml:"version" json:"version"`
	// Start is the command of a stack: one template for each argument, the first one the program: a name is looked for in
	// PATH, a relative path with a slash is one below Dir.
	// It is run in the stack's network namespace, in a session of its own, with standard output and error
	// going to the stack's log. It stays in the foreground: when it ends, the stack has failed,
	// and on SIGTERM it ends within 0.3 seconds or is killed. Fields: see Parameters.
	Start []string `yaml:"start" json:"start"`
	// Launch is the command that runs an application on a stack; the application's own command is
	// appended to it. It ends when the application does, with the same status. Empty: applications
	// are run as they are, and the stack finds their sockets by looking.
	Launch []string `yaml:"launch" json:"launch,omitempty"`
	// Claim is the command of a claimer (nodes/contract/claimer): a program that takes and gives back
	// ports in the port file as one stack, outside any laboratory, to be measured and killed. Empty: what needs it
	// is not measured.
	Claim []string `yaml:"claim" json:"claim,omitempty"`
	// Files are those that the implementation consists of beside the programs, for one in an interpreted language: patterns of
	// path.Match below Dir. A certificate names and hashes them.
	Files []string `yaml:"files" json:"files,omitempty"`
	// ReadyTimeout bounds the time from the start until GET /v1/ready answers that the stack is ready
	// and has settled with all others: more than 0, at most 5 minutes; absent, DefaultReadyTimeout.
	ReadyTimeout time.Duration `yaml:"ready_timeout" json:"ready_timeout"`
	// Capabilities that the implementation declares and is held to. What it does not declare
	// is reported as not implemented. One that contains others declares them too. Empty: nothing but membership.
	Capabilities []Capability `yaml:"capabilities" json:"capabilities,omitempty"`
	// Variant is the reading of Figure 5 that the implementation follows unless Parameters say
	// otherwise; absent, SpecifiedAddressBypass.
	Variant Variant `yaml:"variant" json:"variant"`
	// Traces: GET /v1/trace is offered, so that covered edges can be measured.
	Traces bool `yaml:"traces" json:"traces"`
	// Deviations are what it asks to be judged by otherwise than everybody. Empty: nothing.
	Deviations []Deviation `yaml:"deviations" json:"deviations,omitempty"`

	// Dir is the directory of the manifest, absolute; commands refer to it as {{.Dir}}.
	Dir string `yaml:"-" json:"dir"`
}

// A Capability is a part of the specification that an implementation may have.
type Capability string

// The capabilities.
const (
	Core         Capability = "core"         // Figures 5 to 8 and 10 to 13
	ClusterPorts Capability = "clusterports" // Figures 5, 6, 14 and 15 with cluster-wide ports
	Backup       Capability = "backup"       // VIPABackup: takes DVIPAs over as a backup, and gives them back
	Takeover     Capability = "takeover"     // backup, and all that can happen to an owner meanwhile
	IPv6         Capability = "ipv6"         // all it does, for IPv6 too
	Advertising  Capability = "advertising"  // a routing protocol tells the network (Figure 10, 104)
	Outbound     Capability = "outbound"     // SOURCEIPA, and cluster-wide ports beyond the flowcharts: see package ports
	Selection    Capability = "selection"    // weights by the load of systems, and of a policy agent (T30)
)

// Capabilities lists all of them.
func Capabilities() []Capability {
	return []Capability{Core, ClusterPorts, Backup, Takeover, IPv6, Advertising, Outbound, Selection}
}

// contained are the capabilities that another one contains.
var contained = map[Capability][]Capability{Takeover: {Backup}}

// WithContained lists capabilities with those that they contain, each once, in the order of Capabilities.
func WithContained(declared []Capability) []Capability {
	var all []Capability
	for _, c := range Capabilities() {
		if slices.ContainsFunc(declared, func(d Capability) bool { return c == d || slices.Contains(contained[d], c) }) {
			all = append(all, c)
		}
	}
	return all
}

// company are the capabilities that another one is certified together with, because its specs need them. A run of all suites is
// held against it: see certificate.CheckCompany.
var company = map[Capability][]Capability{
	ClusterPorts: {Core},
	Backup:       {Core},
	Takeover:     {Core},
	IPv6:         {Core},
	Advertising:  {Takeover},
	Outbound:     {ClusterPorts},
	Selection:    {Takeover},
}

// Company lists the capabilities that c is certified together with, c left out, in the order of Capabilities.
func Company(c Capability) []Capability {
	all := slices.Clone(company[c])
	for _, with := range company[c] {
		all = append(all, Company(with)...)
	}
	return WithContained(all)
}

// A Variant is a reading of Figure 5, each a conformance profile of its own.
type Variant string

// The variants.
const (
	// SpecifiedAddressBypass: a socket bound to the DVIPA itself goes 502-no->514, whatever the
	// enumeration of ports says.
	SpecifiedAddressBypass Variant = "specified-address-bypass"
	// EnumeratedOnly: every socket goes through 508 and 512.
	EnumeratedOnly Variant = "enumerated-only"
)

// DefaultReadyTimeout is that of a manifest without one.
const DefaultReadyTimeout = 10 * time.Second

// An Error is a mistake in a manifest, with its place.
type Error struct {
	File         string
	Line, Column int // from 1; 0 where the mistake has no place of its own
	Problem      string
}

// Error is FILE:LINE:COLUMN: problem.
func (e *Error) Error() string {
	if e.Line == 0 {
		return e.File + ": " + e.Problem
	}
	return fmt.Sprintf("%s:%d:%d: %s", e.File, e.Line, e.Column, e.Problem)
}

// Read reads and checks the manifest at path. Unknown keys are mistakes. It does not look
// whether the programs exist: they may be built later.
func Read(path string) (*Manifest, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read implementation manifest: %w", err)
	}
	absolute, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("read implementation manifest %s: %w", path, err)
	}
	return Parse(path, text, filepath.Dir(absolute))
}

// Parse is Read for text that is at hand; name stands for the file in errors.
func Parse(name string, text []byte, dir string) (*Manifest, error) {
	file, err := parser.ParseBytes(text, 0)
	if err != nil {
		return nil, placed(name, err)
	}
	manifest := &Manifest{ReadyTimeout: DefaultReadyTimeout, Variant: SpecifiedAddressBypass, Dir: dir}
	if err := yaml.UnmarshalWithOptions(text, manifest, yaml.Strict()); err != nil {
		found := placed(name, err)
		// Only an error of time.ParseDuration comes without its place.
		if line, column := position(file, "$.ready_timeout"); found.Line == 0 || found.Line == line && found.Column == column {
			found.Line, found.Column, found.Problem = line, column, "ready_timeout: expected a time such as 10s or 500ms"
		}
		return nil, found
	}
	if at, problem := manifest.check(); problem != "" {
		found := &Error{File: name, Problem: problem}
		found.Line, found.Column = position(file, at)
		return nil, found
	}
	manifest.Capabilities = WithContained(manifest.Capabilities)
	return manifest, nil
}

// check returns the path of the first mistake, in the notation of YAML path, and what it is.
func (m *Manifest) check() (at, problem string) {
	switch {
	case strings.TrimSpace(m.Name) == "":
		return "$.name", "name is missing"
	case strings.ContainsFunc(m.Name+m.Version, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return "$.name", "name and version are texts without control characters"
	case strings.TrimSpace(m.Version) == "":
		return "$.version", "version is missing"
	case len(m.Start) == 0:
		return "$.start", "start is missing: the command of a stack, a list of arguments"
	case m.ReadyTimeout <= 0 || m.ReadyTimeout > tolerance.Ready.Bound:
		return "$.ready_timeout", fmt.Sprintf("ready_timeout %s: expected more than 0 and at most %s", m.ReadyTimeout, tolerance.Ready.Bound)
	case m.Variant != SpecifiedAddressBypass && m.Variant != EnumeratedOnly:
		return "$.variant", fmt.Sprintf("variant %q: expected %s or %s", m.Variant, SpecifiedAddressBypass, EnumeratedOnly)
	}
	for i, capability := range m.Capabilities {
		at := fmt.Sprintf("$.capabilities[%d]", i)
		if !slices.Contains(Capabilities(), capability) {
			return at, fmt.Sprintf("capability %q: expected one of %v", capability, Capabilities())
		}
		if slices.Contains(m.Capabilities[:i], capability) {
			return at, fmt.Sprintf("capability %q is declared twice", capability)
		}
	}
	for _, command := range m.commands() {
		if i, err := tryCommand(command.templates); err != nil {
			return fmt.Sprintf("$.%s[%d]", command.name, i), err.Error()
		}
	}
	for i, pattern := range m.Files {
		if _, err := path.Match(pattern, ""); err != nil || !fs.ValidPath(pattern) {
			return fmt.Sprintf("$.files[%d]", i), fmt.Sprintf("files %q: expected a pattern such as src/*.py, below the directory of the manifest", pattern)
		}
	}
	return m.checkDeviations()
}

// Has reports whether the implementation declares a capability.
func (m *Manifest) Has(capability Capability) bool {
	return slices.Contains(m.Capabilities, capability)
}

// features are what profiles can ask of an implementation, by the capability that promises it.
var features = map[Capability]profile.Features{
	Core:         profile.Weights,
	ClusterPorts: profile.ClusterPorts | profile.Ranges,
	Outbound:     profile.SourceIPAs,
	IPv6:         profile.IPv6,
}

// Features are what the implementation acts upon in a profile, by its capabilities.
func (m *Manifest) Features() profile.Features {
	var all profile.Features
	for _, c := range m.Capabilities {
		all |= features[c]
	}
	return all
}

// placed turns an error of the YAML library into one with file, line and column.
func placed(name string, err error) *Error {
	found := &Error{File: name, Problem: err.Error()}
	var yamlError yaml.Error
	if errors.As(err, &yamlError) {
		found.Problem = yamlError.GetMessage()
		if token := yamlError.GetToken(); token != nil && token.Position != nil {
			found.Line, found.Column = token.Position.Line, token.Position.Column
		}
	}
	return found
}

// position finds the line and column of a YAML path, zeros where the file does not have it.
func position(file *ast.File, at string) (line, column int) {
	path, err := yaml.PathString(at)
	if err != nil {
		return 0, 0
	}
	node, err := path.FilterFile(file)
	if err != nil || node == nil || node.GetToken() == nil {
		return 0, 0
	}
	start := node.GetToken().Position
	return start.Line, start.Column
}
