package profile

import (
	"fmt"
	"net"
	"strings"
)

// String is the profile in its canonical form: one statement a line, keywords in full, every
// default spelled out, addresses in place of symbols. Parsing it gives the same Profile but
// for positions. A profile without statements is the empty text.
func (p *Profile) String() string {
	var b strings.Builder
	for _, d := range p.Defines {
		statement(&b, kwDefine, kwMoveable, kwImmediate, d.ClusterPorts, mask(d.Addresses[0], d.Bits), d.Addresses)
	}
	for _, k := range p.Backups {
		statement(&b, kwBackup, k.Rank, k.Addresses)
	}
	for _, d := range p.Distributes {
		operands := []any{d.Address}
		if len(d.Ports) > 0 {
			operands = append(operands, kwPort, d.Ports)
		}
		operands = append(operands, d.ClusterPorts, kwDestIP)
		if d.All {
			operands = append(operands, kwAll)
		} else {
			operands = append(operands, d.Targets)
		}
		statement(&b, kwDistribute, operands...)
	}
	for _, r := range p.Ranges {
		statement(&b, kwRange, kwMoveable, kwNonDisrupt, r.Distribute, r.ClusterPorts, mask(r.Address, r.Bits), r.Address)
	}
	for _, s := range p.SourceIPAs {
		statement(&b, kwSourceIPA, s.Address, s.Application)
	}
	if b.Len() == 0 {
		return ""
	}
	return string(kwBlock) + "\n" + b.String() + string(kwEndBlock) + "\n"
}

// statement writes one indented line; operands that print as nothing leave no gap.
func statement(b *strings.Builder, k keyword, operands ...any) {
	b.WriteString("  " + string(k))
	for _, o := range operands {
		if text := operand(o); text != "" {
			b.WriteString(" " + text)
		}
	}
	b.WriteString("\n")
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
