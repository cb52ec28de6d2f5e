package profile

import (
	"fmt"
	"maps"
	"math/bits"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// netmask is a network mask before its family is known.
type netmask struct {
	token  token
	bits   int
	dotted bool // 255.255.255.0: IPv4 only
}

// mask takes a network mask.
func (s *statementParser) mask() (netmask, bool) {
	const expected = "a network mask such as 255.255.255.0 or /24"
	t := s.peek()
	if a, err := netip.ParseAddr(t.text); err == nil && a.Is4() {
		raw := a.As4()
		v := uint32(raw[0])<<24 | uint32(raw[1])<<16 | uint32(raw[2])<<8 | uint32(raw[3])
		ones := bits.LeadingZeros32(^v)
		if v == 0 || bits.TrailingZeros32(v) != 32-ones {
			return netmask{}, s.fail(t, expected)
		}
		return netmask{s.next(), ones, true}, true
	}
	n, err := strconv.ParseUint(strings.TrimPrefix(t.text, "/"), 10, 8)
	if err != nil || s.atEnd() {
		return netmask{}, s.fail(t, expected)
	}
	return netmask{s.next(), int(n), false}, true
}

// bits is the length of the mask for an address, reported if it does not fit.
func (s *statementParser) bits(m netmask, a Address) int {
	switch longest := a.Addr.BitLen(); {
	case longest == 0: // reported as an address
	case m.dotted && a.Addr.Is6():
		s.errs.Add(m.token.pos, "found %s, expected a prefix length such as /64 for the IPv6 address %s", quote(m.token.text), a)
	case m.bits < 1 || m.bits > longest:
		s.errs.Add(m.token.pos, "found %s, expected a mask of length 1 to %d for %s", quote(m.token.text), longest, a)
	}
	return m.bits
}

// number takes a decimal number.
func (s *statementParser) number(what string, lowest, highest uint64) (uint64, bool) {
	t := s.peek()
	n, err := strconv.ParseUint(t.text, 10, 64)
	if err != nil && !digits(t.text) {
		return 0, s.fail(t, fmt.Sprintf("%s from %d to %d", what, lowest, highest))
	}
	if err != nil || n < lowest || n > highest {
		s.fail(t, fmt.Sprintf("%s from %d to %d", what, lowest, highest))
	}
	s.next()
	return n, true
}

func digits(word string) bool { return word != "" && strings.Trim(word, "0123456789") == "" }

// address takes an address or a symbol. An address that is none is reported and comes back
// with the zero Addr.
func (s *statementParser) address() (Address, bool) {
	t := s.peek()
	if s.atEnd() || t.text == comma {
		return Address{}, s.fail(t, "an address or a symbol")
	}
	s.next()
	a, err := netip.ParseAddr(t.text)
	if err != nil {
		var known bool
		if a, known = s.symbols[fold(t.text)]; !known {
			s.fail(t, s.expectedAddress(t.text))
			return Address{Pos: t.pos}, true
		}
	}
	if problem := unusable(a); problem != "" {
		s.errs.Add(t.pos, "found %s, which is %s, expected the address of a host", quote(t.text), problem)
		return Address{Pos: t.pos}, true
	}
	return Address{t.pos, a}, true
}

// expectedAddress says what could have stood in place of a word.
func (s *statementParser) expectedAddress(word string) string {
	if lookup(inner, word) != "" {
		return "an address or a symbol; options stand before the operands"
	}
	if len(s.symbols) == 0 {
		return "an address; there are no symbols"
	}
	const shown = 8
	names := slices.Sorted(maps.Keys(s.symbols))
	if len(names) > shown {
		names = append(names[:shown], "...")
	}
	return "an address or one of the symbols " + strings.Join(names, ", ")
}

// unusable says why an address cannot be that of one host, "" if it can.
func unusable(a netip.Addr) string {
	switch {
	case !a.IsValid():
		return "no address"
	case a.Is4In6():
		return "IPv4 written as IPv6"
	case a.Zone() != "":
		return "an address with a zone"
	case a.IsUnspecified():
		return "the unspecified address"
	case a.IsLoopback():
		return "a loopback address"
	case a.IsMulticast():
		return "a multicast address"
	case a.IsLinkLocalUnicast():
		return "a link-local address"
	case a == netip.AddrFrom4([4]byte{255, 255, 255, 255}):
		return "the broadcast address"
	case a.Is4() && a.As4()[0] == 0:
		return "an address of this network"
	}
	return ""
}

// list takes items, separated by blanks or single commas, until stop says so before an item.
func (s *statementParser) list(item func() bool, stop func() bool) bool {
	for !stop() {
		if !item() {
			return false
		}
		if s.peek().text == comma {
			s.next()
			if stop() {
				return s.fail(s.peek(), "another item after the comma")
			}
		}
	}
	return true
}

// addresses takes the addresses up to the end of the statement, at least one.
func (s *statementParser) addresses() ([]Address, bool) {
	var all []Address
	if s.atEnd() {
		return nil, s.fail(s.peek(), "an address or a symbol")
	}
	ok := s.list(func() bool {
		a, ok := s.address()
		all = append(all, a)
		return ok
	}, s.atEnd)
	return all, ok
}

// targets takes a DESTIP list, at least one.
func (s *statementParser) targets() ([]Target, bool) {
	var all []Target
	stop := func() bool { return s.atEnd() || s.peek().text == "." }
	if stop() {
		return nil, s.fail(s.peek(), fmt.Sprintf("%s or the XCF address of a stack", kwAll))
	}
	ok := s.list(func() bool {
		a, ok := s.address()
		if !ok {
			return false
		}
		weight := uint64(1)
		if _, given := s.accept(kwWeight); given {
			if weight, ok = s.number("a weight", 1, 99); !ok {
				return false
			}
		}
		all = append(all, Target{a, uint8(weight)})
		return true
	}, stop)
	return all, ok
}

// ports takes the ports up to the next keyword; there may be none.
func (s *statementParser) ports() ([]Ports, bool) {
	var all []Ports
	ok := s.list(func() bool {
		t := s.peek()
		first, last, isRange := strings.Cut(t.text, "-")
		if !isRange {
			last = first
		}
		if !digits(first) || !digits(last) {
			return s.fail(t, fmt.Sprintf("a port, a range such as 80-90, %s or %s", kwClusterPorts, kwDestIP))
		}
		s.next()
		low, errLow := strconv.ParseUint(first, 10, 16)
		high, errHigh := strconv.ParseUint(last, 10, 16)
		switch {
		case errLow != nil || errHigh != nil || low == 0 || high == 0:
			s.fail(t, "ports from 1 to 65535")
		case low > high:
			s.fail(t, "a range with its first port not above its last")
		default:
			all = append(all, Ports{t.pos, uint16(low), uint16(high)})
		}
		return true
	}, func() bool { return s.atEnd() || lookup(inner, s.peek().text) != "" })
	return all, ok
}
