package profile

import (
	"fmt"
	"net"
	"strings"
)

// A Statement is Define, Backup, Distribute, Range or SourceIPA. String is its canonical form on
// one line: keywords in full, every default spelled out, addresses in place of symbols.
type Statement interface {
	fmt.Stringer
	// Position is where its keyword stands.
	Position() Position
}

// Statements are all statements, kind by kind.
func (p *Profile) Statements() []Statement {
	var all []Statement
	for _, d := range p.Defines {
		all = append(all, d)
	}
	for _, b := range p.Backups {
		all = append(all, b)
	}
	for _, d := range p.Distributes {
		all = append(all, d)
	}
	for _, r := range p.Ranges {
		all = append(all, r)
	}
	for _, s := range p.SourceIPAs {
		all = append(all, s)
	}
	return all
}

// String is the profile in its canonical form, one statement a line. Parsing it gives the same
// Profile but for positions. A profile without statements is the empty text.
func (p *Profile) String() string {
	var b strings.Builder
	for _, s := range p.Statements() {
		b.WriteString("  " + s.String() + "\n")
	}
	if b.Len() == 0 {
		return ""
	}
	return string(kwBlock) + "\n" + b.String() + string(kwEndBlock) + "\n"
}

func (d Define) String() string {
	return statement(kwDefine, kwMoveable, kwImmediate, d.ClusterPorts, mask(d.Addresses[0], d.Bits), d.Addresses)
}

func (b Backup) String() string { return statement(kwBackup, b.Rank, b.Addresses) }

func (d Distribute) String() string {
	operands := []any{d.Address}
	if len(d.Ports) > 0 {
		operands = append(operands, kwPort, d.Ports)
	}
	operands = append(operands, d.ClusterPorts, kwDestIP)
	if d.All {
		return statement(kwDistribute, append(operands, kwAll)...)
	}
	return statement(kwDistribute, append(operands, d.Targets)...)
}

func (r Range) String() string {
	return statement(kwRange, kwMoveable, kwNonDisrupt, r.Distribute, r.ClusterPorts, mask(r.Address, r.Bits), r.Address)
}

func (s SourceIPA) String() string { return statement(kwSourceIPA, s.Address, s.Application) }

// Position is Pos.
func (d Define) Position() Position { return d.Pos }

// Position is Pos.
func (b Backup) Position() Position { return b.Pos }

// Position is Pos.
func (d Distribute) Position() Position { return d.Pos }

// Position is Pos.
func (r Range) Position() Position { return r.Pos }

// Position is Pos.
func (s SourceIPA) Position() Position { return s.Pos }

// statement is one line; operands that print as nothing leave no gap.
func statement(k keyword, operands ...any) string {
	words := []string{string(k)}
	for _, o := range operands {
		if text := operand(o); text != "" {
			words = append(words, text)
		}
	}
	return strings.Join(words, " ")
}

func operand(o any) string {
	switch o := o.(type) {
	case []Address:
		return join(o, " ")
	case []Ports:
		return join(o, ", ")
	case []Target:
		return join(o, ", ")
	default:
		return fmt.Sprint(o)
	}
}

func join[T fmt.Stringer](list []T, separator string) string {
	words := make([]string, len(list))
	for i, one := range list {
		words[i] = one.String()
	}
	return strings.Join(words, separator)
}

// mask is the network mask as the language writes it for the family of a.
func mask(a Address, bits int) string {
	if a.Addr.Is4() {
		return net.IP(net.CIDRMask(bits, 32)).String()
	}
	return fmt.Sprintf("/%d", bits)
}

// String is the keyword, nothing if it was not given.
func (o Option) String() string { return o.Keyword }

// String is the address alone.
func (a Address) String() string { return a.Addr.String() }

// String is "80" or "80-90".
func (p Ports) String() string {
	if p.First == p.Last {
		return fmt.Sprint(p.First)
	}
	return fmt.Sprintf("%d-%d", p.First, p.Last)
}

// String is the address, with its weight unless that is 1.
func (t Target) String() string {
	if t.Weight == 1 {
		return t.Address.String()
	}
	return fmt.Sprintf("%s %s %d", t.Address, kwWeight, t.Weight)
}
