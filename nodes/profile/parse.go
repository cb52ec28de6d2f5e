package profile

import (
	"fmt"
	"strings"
)

// maxText is how long a profile may be, in bytes.
const maxText = 1 << 20

// Parse reads the profile of one stack. File is what positions call it. The error, if any, is
// Errors: every error of the text in the order of their places, the first 50 of them; there is
// no Profile then. A text without statements is right and gives an empty Profile.
func Parse(file string, text []byte, symbols Symbols) (*Profile, error) {
	p, err := parse(file, text, symbols)
	if err != nil {
		return nil, err
	}
	if err := check(p).Err(); err != nil {
		return nil, err
	}
	return p, nil
}

// parse reads statements, each right in itself.
func parse(file string, text []byte, symbols Symbols) (*Profile, error) {
	start := Position{file, 1, 1}
	if len(text) > maxText {
		return nil, Errors{{Pos: start, Message: fmt.Sprintf("found %d bytes, expected at most %d", len(text), maxText)}}
	}
	known, err := symbols.folded()
	if err != nil {
		return nil, Errors{{Pos: start, Message: err.Error()}}
	}
	const byteOrderMark = "\ufeff"
	p := &parser{tokens: scan(file, strings.TrimPrefix(string(text), byteOrderMark)), symbols: known, profile: &Profile{}}
	p.blocks()
	if err := p.errs.Err(); err != nil {
		return nil, err
	}
	return p.profile, nil
}

// parser goes through the tokens once. After an error within a statement it goes on behind it.
type parser struct {
	tokens  []token
	symbols Symbols
	profile *Profile
	errs    Errors
}

// blocks parses the whole text.
func (p *parser) blocks() {
	var opened *token // where the open block began, nil outside
	for len(p.errs) < maxErrors {
		t := p.tokens[0]
		if t.text == "" {
			if opened != nil {
				p.fail(t, fmt.Sprintf("%s for the block that began in line %d", kwEndBlock, opened.pos.Line))
			}
			return
		}
		p.tokens = p.tokens[1:]
		operands := p.operands()
		switch k := lookup(leading, t.text); {
		case k == "" && opened == nil:
			p.fail(t, string(kwBlock))
		case k == "":
			p.fail(t, statementNames())
		case k == kwBlock && opened != nil:
			p.fail(t, fmt.Sprintf("%s for the block that began in line %d", kwEndBlock, opened.pos.Line))
		case k == kwBlock:
			opened = &t
			p.end(operands, statementNames())
		case k == kwEndBlock && opened == nil:
			p.fail(t, fmt.Sprintf("%s before it", kwBlock))
		case k == kwEndBlock:
			opened = nil
			p.end(operands, string(kwBlock)+" or the end of the profile")
		default:
			if opened == nil {
				p.fail(t, fmt.Sprintf("%s before it", kwBlock))
				opened = &t
			}
			s := &statementParser{parser: p, pos: t.pos, tokens: operands}
			if s.parse(k) {
				p.end(s.tokens, "the next statement or "+string(kwEndBlock))
			}
		}
	}
}

// operands takes the tokens up to the next statement, and that one's keyword without taking it.
func (p *parser) operands() []token {
	n := 0
	for p.tokens[n].text != "" && lookup(leading, p.tokens[n].text) == "" {
		n++
	}
	taken := p.tokens[:n+1]
	p.tokens = p.tokens[n:]
	return taken
}

// end reports tokens that are left over where a statement should have ended.
func (p *parser) end(tokens []token, expected string) {
	if len(tokens) > 1 {
		p.fail(tokens[0], expected)
	}
}

// fail reports that a token is not what was expected and returns false.
func (p *parser) fail(found token, expected string) bool {
	p.errs.Add(found.pos, "found %s, expected %s", found.describe(), expected)
	return false
}

// statementNames lists what may stand in a block, with the abbreviations.
func statementNames() string {
	var names []string
	for _, k := range leading[2:] {
		names = append(names, string(k))
	}
	return orList(append(names, string(kwEndBlock)))
}
