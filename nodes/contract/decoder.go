package contract

import (
	"fmt"
	"math"
	"net/netip"
	"strings"
)

// FieldError says which field of a message is not as the contract wants it.
type FieldError struct {
	Message string // the kind of message, such as "NEWCONN"
	Field   string // the field as xcf.proto names it, such as "connections[3].remote"
	Reason  string // what was found and what was wanted
}

func (e *FieldError) Error() string { return e.Message + ": " + e.Field + ": " + e.Reason }

// decoder turns fields of the wire into native ones and keeps the first fault. It is the
// one place that knows what is valid: messages are checked with it in both directions.
type decoder struct {
	message string
	path    []step
	fault   *FieldError
}

// step leads into an element of a repeated field, or with index -1 into a message field.
type step struct {
	field string
	index int
}

// error returns the first fault, or nil.
func (d *decoder) error() error {
	if d.fault == nil {
		return nil
	}
	return d.fault
}

func (d *decoder) enter(field string, index int) { d.path = append(d.path, step{field, index}) }
func (d *decoder) leave()                        { d.path = d.path[:len(d.path)-1] }

func (d *decoder) fail(field, format string, args ...any) {
	if d.fault != nil {
		return
	}
	var place strings.Builder
	for _, s := range d.path {
		place.WriteString(s.field)
		if s.index >= 0 {
			fmt.Fprintf(&place, "[%d]", s.index)
		}
		place.WriteByte('.')
	}
	d.fault = &FieldError{Message: d.message, Field: place.String() + field, Reason: fmt.Sprintf(format, args...)}
}

// address reads the address of one host.
func (d *decoder) address(field string, b []byte) netip.Addr {
	a, ok := netip.AddrFromSlice(b)
	switch {
	case !ok:
		d.fail(field, "%d bytes, want 4 or 16", len(b))
	case a.Is4In6():
		d.fail(field, "%s is an IPv4 address in 16 bytes, want 4", a)
	case a.IsUnspecified(), a.IsMulticast(), a == HelloBroadcast:
		d.fail(field, "%s is not the address of one host", a)
	}
	return a
}

// own reads an address that a stack has: one that means the same on every stack.
func (d *decoder) own(field string, b []byte) netip.Addr {
	a := d.address(field, b)
	if a.Is6() && a.IsLinkLocalUnicast() {
		d.fail(field, "%s means something on one link only", a)
	}
	return a
}

func (d *decoder) port(field string, v uint32) uint16 {
	if v < 1 || v > math.MaxUint16 {
		d.fail(field, "%d, want 1 to 65535", v)
	}
	return uint16(v)
}

func (d *decoder) nonzero(field string, v uint64) uint64 {
	if v == 0 {
		d.fail(field, "0, want 1 or more")
	}
	return v
}

// name reads a name: printable ASCII without space, so that logs and tables stay readable.
func (d *decoder) name(field, s string, most int) string {
	if len(s) < 1 || len(s) > most {
		d.fail(field, "%d characters, want 1 to %d", len(s), most)
		return s
	}
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			d.fail(field, "%q has a character that is not printable ASCII", s)
			return s
		}
	}
	return s
}

// pattern reads the name of an application, or a beginning of names that ends with *.
func (d *decoder) pattern(field, s string) string {
	if i := strings.IndexByte(s, '*'); i >= 0 && i < len(s)-1 {
		d.fail(field, "%q has a * that is not its last character", s)
	}
	return d.name(field, s, MaxApplication)
}

// count checks the length of a repeated field.
func (d *decoder) count(field string, n, least, most int) bool {
	if n < least || n > most {
		d.fail(field, "%d entries, want %d to %d", n, least, most)
		return false
	}
	return true
}
