package topo

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"

	"github.com/plexlab-dev/plexlab/nodes/profile"
)

// Errors, Error and Position are those of the profile language: a topology file contains
// profiles, and all of its errors are told alike.
type (
	Errors   = profile.Errors
	Error    = profile.Error
	Position = profile.Position
)

const (
	// maxFile is how long a file may be, in bytes.
	maxFile = 1 << 20
	// maxDepth is how deep a file may be nested, and maxTokens how many words and signs of YAML it
	// may have (128 stacks need some 5000): the YAML parser's time grows with the square of both.
	maxDepth  = 24
	maxTokens = 40000
)

// A source is a topology file as it was read: its values, and the place of each.
type source struct {
	file  string
	lines []string
	// value is the file as JSON has it: maps, lists, strings, numbers, booleans, nil.
	value any
	// places and keys are those of the values and of the keys before them, by path.
	places, keys map[path]Position
	// blocks are the values that are literal blocks.
	blocks map[path]bool
	errs   Errors
}

// A path leads to a value as a JSON pointer does: /stacks/0/name.
type path string

// at is the path of a member or an element.
func (p path) at(steps ...any) path {
	escape := strings.NewReplacer("~", "~0", "/", "~1")
	for _, s := range steps {
		p += path("/" + escape.Replace(fmt.Sprint(s)))
	}
	return p
}

// parent is the path without its last step.
func (p path) parent() path { return p[:max(0, strings.LastIndexByte(string(p), '/'))] }

// newSource reads the file as YAML without what a topology has no use for: several documents,
// anchors, aliases, tags, keys that are not text.
func newSource(file string, data []byte) (*source, error) {
	s := &source{
		file: file, lines: strings.Split(string(data), "\n"),
		places: map[path]Position{}, keys: map[path]Position{}, blocks: map[path]bool{},
	}
	start := Position{File: file, Line: 1, Column: 1}
	switch {
	case len(data) > maxFile:
		return nil, Errors{{Pos: start, Message: fmt.Sprintf("found %d bytes, expected at most %d", len(data), maxFile)}}
	case !utf8.Valid(data):
		return nil, Errors{{Pos: start, Message: "found bytes that are not UTF-8, expected text"}}
	}
	tokens := lexer.Tokenize(string(data))
	if len(tokens) > maxTokens {
		at := s.position(tokens[maxTokens])
		return nil, Errors{{Pos: at, Message: fmt.Sprintf("found more than %d words and signs of YAML, expected a smaller file", maxTokens)}}
	}
	if at := tooDeep(tokens); at != nil {
		return nil, Errors{{Pos: s.position(at), Message: fmt.Sprintf("found nesting deeper than %d", maxDepth)}}
	}
	parsed, err := parser.Parse(tokens, 0)
	if err != nil {
		return nil, s.syntaxError(err)
	}
	s.places[""] = start
	var body ast.Node
	for _, d := range parsed.Docs {
		switch {
		case d.Body == nil:
		case body != nil:
			s.errs.Add(s.start(d.Body), "found a second document, expected one")
		default:
			body = d.Body
		}
	}
	if body != nil {
		s.value = s.read("", body)
	}
	if err := s.errs.Err(); err != nil {
		return nil, err
	}
	return s, nil
}

// syntaxError is what the YAML parser says, with its place.
func (s *source) syntaxError(err error) error {
	var located yaml.Error
	if !errors.As(err, &located) || located.GetToken() == nil {
		return Errors{{Pos: Position{File: s.file, Line: 1, Column: 1}, Message: err.Error()}}
	}
	return Errors{{Pos: s.position(located.GetToken()), Message: located.GetMessage()}}
}

func (s *source) position(t *token.Token) Position {
	return Position{File: s.file, Line: t.Position.Line, Column: max(1, t.Position.Column)}
}

// start is where a node begins: keys with values, at the first key and not at its colon.
func (s *source) start(n ast.Node) Position {
	switch m := n.(type) {
	case *ast.MappingNode:
		if len(m.Values) > 0 {
			return s.position(m.Values[0].Key.GetToken())
		}
	case *ast.MappingValueNode:
		return s.position(m.Key.GetToken())
	}
	return s.position(n.GetToken())
}

// tooDeep returns a token that is nested too deep, nil if none is. Blocks nest by indentation,
// so that only flows and entries of one line can be deep in a short text.
func tooDeep(tokens token.Tokens) *token.Token {
	flow, entries, line := 0, 0, 0
	for _, t := range tokens {
		if t.Position.Line != line {
			entries, line = 0, t.Position.Line
		}
		switch t.Type {
		case token.SequenceStartType, token.MappingStartType:
			flow++
		case token.SequenceEndType, token.MappingEndType:
			flow--
		case token.SequenceEntryType, token.MappingKeyType, token.TagType, token.AnchorType:
			entries++
		}
		if flow > maxDepth || entries > maxDepth || t.Position.IndentNum > 4*maxDepth {
			return t
		}
	}
	return nil
}

// read notes the places of a node and of all below it, and returns its value.
func (s *source) read(at path, n ast.Node) any {
	s.places[at] = s.start(n)
	switch n := n.(type) {
	case *ast.MappingNode:
		m := make(map[string]any, len(n.Values))
		for _, v := range n.Values {
			s.readMember(at, v, m)
		}
		return m
	case *ast.MappingValueNode:
		m := map[string]any{}
		s.readMember(at, n, m)
		return m
	case *ast.SequenceNode:
		list := make([]any, len(n.Values))
		for i, v := range n.Values {
			list[i] = s.read(at.at(i), v)
		}
		return list
	case *ast.LiteralNode:
		s.blocks[at] = true
		return n.Value.Value
	case *ast.StringNode:
		return n.Value
	case *ast.IntegerNode:
		return n.Value
	case *ast.BoolNode:
		return n.Value
	case *ast.NullNode:
		return nil
	case *ast.FloatNode:
		if !math.IsInf(n.Value, 0) && !math.IsNaN(n.Value) {
			return n.Value
		}
	}
	s.errs.Add(s.places[at], "found %s, expected text, a number, true, false, a list or keys with values", nodeKind(n))
	return nil
}

// readMember reads one key with its value into m.
func (s *source) readMember(at path, v *ast.MappingValueNode, m map[string]any) {
	key, ok := v.Key.(*ast.StringNode)
	if !ok {
		s.errs.Add(s.position(v.Key.GetToken()), "found %s, expected a key that is text", nodeKind(v.Key))
		return
	}
	p := at.at(key.Value)
	s.keys[p] = s.position(key.GetToken())
	if _, twice := m[key.Value]; twice {
		s.errs.Add(s.keys[p], "found the key %q a second time, expected it once", key.Value)
	}
	m[key.Value] = s.read(p, v.Value)
}

// nodeKind names a node that cannot be used.
func nodeKind(n ast.Node) string {
	switch n.Type() {
	case ast.AnchorType:
		return "an anchor"
	case ast.AliasType:
		return "an alias"
	case ast.TagType:
		return "a tag"
	case ast.MergeKeyType:
		return "a merge key"
	case ast.DirectiveType:
		return "a directive"
	}
	return fmt.Sprintf("%q", n.GetToken().Value)
}

// place is where the value of a path stands, or the nearest thing around it.
func (s *source) place(p path) Position {
	for {
		if at, ok := s.places[p]; ok {
			return at
		}
		p = p.parent()
	}
}

// within is the place in the file of a place in the text of a value. Only of a literal block is
// each line known; of any other text it is the beginning.
func (s *source) within(p path, text string, in Position) (at Position, exact bool) {
	at = s.place(p)
	lines := strings.Split(text, "\n")
	if !s.blocks[p] || in.Line < 1 || in.Line > len(lines) {
		return at, false
	}
	line, column := lines[in.Line-1], in.Column
	n := at.Line + in.Line
	if line == "" && in.Line == len(lines) && in.Line > 1 {
		// Behind the last newline of a block: in the file that is another line already.
		line, n = lines[in.Line-2], n-1
		column = utf8.RuneCountInString(line) + 1
	}
	if n > len(s.lines) {
		return at, false
	}
	before, ok := strings.CutSuffix(strings.TrimSuffix(s.lines[n-1], "\r"), strings.TrimSuffix(line, "\r"))
	if !ok {
		return at, false
	}
	return Position{File: s.file, Line: n, Column: utf8.RuneCountInString(before) + column}, true
}
