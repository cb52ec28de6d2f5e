package profile

import "fmt"

// statementParser goes through the operands of one statement. The last token belongs to the
// next statement: it is shown where an operand is missing.
//
// An operand that is understood but wrong (a port 70000) is reported and parsing goes on; one
// that is not understood ends the statement: the functions then return false.
type statementParser struct {
	*parser
	pos    Position // of the statement's keyword
	tokens []token
}

func (s *statementParser) peek() token { return s.tokens[0] }

// atEnd reports whether all operands are taken.
func (s *statementParser) atEnd() bool { return len(s.tokens) == 1 }

func (s *statementParser) next() token {
	t := s.tokens[0]
	if !s.atEnd() {
		s.tokens = s.tokens[1:]
	}
	return t
}

// accept takes the next token if it is the keyword.
func (s *statementParser) accept(k keyword) (Option, bool) {
	if s.atEnd() || !k.matches(s.peek().text) {
		return Option{}, false
	}
	return Option{Pos: s.next().pos, Keyword: string(k)}, true
}

func (s *statementParser) parse(k keyword) bool {
	switch k {
	case kwDefine:
		return s.define()
	case kwBackup:
		return s.backup()
	case kwDistribute:
		return s.distribute()
	case kwRange:
		return s.rangeOf()
	default:
		return s.sourceIPA()
	}
}

func (s *statementParser) define() bool {
	d := Define{Pos: s.pos}
	ok := s.options(option{kwMoveable, kwImmediate, nil}, option{kwClusterPorts, "", &d.ClusterPorts},
		option{kwSysplexPorts, "", &d.ClusterPorts})
	if !ok {
		return false
	}
	m, ok := s.mask()
	if !ok {
		return false
	}
	if d.Addresses, ok = s.addresses(); !ok {
		return false
	}
	d.Bits = s.bits(m, d.Addresses[0])
	s.profile.Defines = append(s.profile.Defines, d)
	return true
}

func (s *statementParser) backup() bool {
	b := Backup{Pos: s.pos}
	rank, ok := s.number("a rank", 1, 254)
	if !ok {
		return false
	}
	b.Rank = uint8(rank)
	if b.Addresses, ok = s.addresses(); !ok {
		return false
	}
	s.profile.Backups = append(s.profile.Backups, b)
	return true
}

func (s *statementParser) distribute() bool {
	d := Distribute{Pos: s.pos}
	cluster := []option{{kwClusterPorts, "", &d.ClusterPorts}, {kwSysplexPorts, "", &d.ClusterPorts}}
	if !s.options(cluster...) {
		return false
	}
	var ok bool
	if d.Address, ok = s.address(); !ok {
		return false
	}
	if !s.options(cluster...) {
		return false
	}
	expected := fmt.Sprintf("%s, %s or %s", kwPort, kwClusterPorts, kwDestIP)
	if _, ok := s.accept(kwPort); ok {
		if d.Ports, ok = s.ports(); !ok {
			return false
		}
		expected = fmt.Sprintf("a port, a range of ports, %s or %s", kwClusterPorts, kwDestIP)
	}
	if !s.options(cluster...) {
		return false
	}
	if _, ok := s.accept(kwDestIP); !ok {
		return s.fail(s.peek(), expected)
	}
	if _, d.All = s.accept(kwAll); !d.All {
		if d.Targets, ok = s.targets(); !ok {
			return false
		}
	}
	if s.peek().text == "." {
		s.next()
	}
	s.profile.Distributes = append(s.profile.Distributes, d)
	return true
}

func (s *statementParser) rangeOf() bool {
	r := Range{Pos: s.pos}
	ok := s.options(option{kwMoveable, kwNonDisrupt, nil}, option{kwInRange, "", &r.Distribute},
		option{kwClusterPorts, "", &r.ClusterPorts}, option{kwSysplexPorts, "", &r.ClusterPorts})
	if !ok {
		return false
	}
	m, ok := s.mask()
	if !ok {
		return false
	}
	if r.Address, ok = s.address(); !ok {
		return false
	}
	r.Bits = s.bits(m, r.Address)
	s.profile.Ranges = append(s.profile.Ranges, r)
	return true
}

func (s *statementParser) sourceIPA() bool {
	address, ok := s.address()
	if !ok {
		return false
	}
	if s.atEnd() {
		return s.fail(s.peek(), "the name of an application")
	}
	name := s.next()
	if err := checkPattern(name.text); err != nil {
		s.errs.Add(name.pos, "%v", err)
	}
	s.profile.SourceIPAs = append(s.profile.SourceIPAs, SourceIPA{s.pos, address, fold(name.text)})
	return true
}

// An option is a keyword, the word that may follow it, and where to note it.
type option struct {
	keyword keyword
	follows keyword
	note    *Option
}

// options takes keywords in any order, each once.
func (s *statementParser) options(allowed ...option) bool {
	moved := false
next:
	for {
		for _, o := range allowed {
			given, ok := s.accept(o.keyword)
			if !ok {
				continue
			}
			if o.note == nil && moved || o.note != nil && o.note.Given() {
				s.errs.Add(given.Pos, "found %s a second time, expected it once", given.Keyword)
			}
			if o.note != nil {
				*o.note = given
				continue next
			}
			moved = true
			if other := lookup([]keyword{kwImmediate, kwNonDisrupt}, s.peek().text); other != "" && other != o.follows {
				return s.fail(s.peek(), fmt.Sprintf("%s %s", o.keyword, o.follows))
			}
			s.accept(o.follows)
			continue next
		}
		return true
	}
}
