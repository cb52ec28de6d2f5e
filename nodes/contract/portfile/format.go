package portfile

import (
	"encoding/binary"
	"fmt"
	"net/netip"
)

var le = binary.LittleEndian

// A FormatError says that bytes are not what the layout wants there.
type FormatError struct {
	Part    string // "header", "member slot" or "entry"
	Problem string
}

func (e *FormatError) Error() string { return e.Part + ": " + e.Problem }

func malformed(part, format string, args ...any) error {
	return &FormatError{Part: part, Problem: fmt.Sprintf(format, args...)}
}

// addressSize is the room for an address: 16 bytes, of which an IPv4 address takes the first 4
// and leaves the others zero, and one byte for its length.
const addressSize = 17

func putAddress(b []byte, address netip.Addr) {
	clear(b[:addressSize])
	b[16] = byte(copy(b, address.AsSlice()))
}

func getAddress(part string, b []byte) (netip.Addr, error) {
	length := b[16]
	if length != 4 && length != 16 {
		return netip.Addr{}, malformed(part, "address of %d bytes, want 4 or 16", length)
	}
	for _, beyond := range b[length:16] {
		if beyond != 0 {
			return netip.Addr{}, malformed(part, "bytes after the address are not zero")
		}
	}
	address, _ := netip.AddrFromSlice(b[:length])
	return address, nil
}

// nameSize is the room for a name: printable ASCII without space, filled up with zeros.
const nameSize = 32

func putName(b []byte, name string) {
	clear(b[:nameSize])
	copy(b[:nameSize], name)
}

func getName(part string, b []byte) (string, error) {
	length := 0
	for length < nameSize && b[length] != 0 {
		if b[length] <= ' ' || b[length] > '~' {
			return "", malformed(part, "name with byte %#02x, want printable ASCII without space", b[length])
		}
		length++
	}
	for _, beyond := range b[length:nameSize] {
		if beyond != 0 {
			return "", malformed(part, "bytes after the name are not zero")
		}
	}
	if length == 0 {
		return "", malformed(part, "no name")
	}
	return string(b[:length]), nil
}
