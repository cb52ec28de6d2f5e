package portfile

import "fmt"

// Intent is what its writer is about to do with a port: all that it takes to do it over again.
// Zero is nothing. Bits 0 to 15 are the port, 16 to 23 the slot, 24 to 27 the Op, 28 that the
// port is unique, 32 to 63 the time until which it rests.
type Intent uint64

// Op is what an Intent does.
type Op uint8

const (
	// OpNone: no update is under way.
	OpNone Op = 0
	// OpTake: the port becomes one of the slot's.
	OpTake Op = 1
	// OpFree: the port is the slot's no more.
	OpFree Op = 2
)

func (o Op) String() string {
	switch o {
	case OpNone:
		return "none"
	case OpTake:
		return "take"
	case OpFree:
		return "free"
	}
	return "invalid"
}

const uniqueFlag = 1 << 28

// NewTake is the intent to take a port.
func NewTake(port uint16, slot int, unique bool) Intent {
	i := Intent(port) | Intent(slot)<<16 | Intent(OpTake)<<24
	if unique {
		i |= uniqueFlag
	}
	return i
}

// NewFree is the intent to free a port, which rests until the time given, 0 for not at all.
func NewFree(port uint16, slot int, rest Rest) Intent {
	return Intent(port) | Intent(slot)<<16 | Intent(OpFree)<<24 | Intent(rest)<<32
}

// Port is the port.
func (i Intent) Port() uint16 { return uint16(i) }

// Slot is the slot.
func (i Intent) Slot() int { return int(uint8(i >> 16)) }

// Op is what is done.
func (i Intent) Op() Op { return Op(i >> 24 & 0xf) }

// Unique says whether the port is taken as unique.
func (i Intent) Unique() bool { return i&uniqueFlag != 0 }

// Rest is the time until which the freed port rests.
func (i Intent) Rest() Rest { return Rest(i >> 32) }

func (i Intent) String() string {
	switch {
	case i.Op() == OpNone:
		return "none"
	case i.Unique():
		return fmt.Sprintf("%s port %d by slot %d as unique", i.Op(), i.Port(), i.Slot())
	}
	return fmt.Sprintf("%s port %d by slot %d", i.Op(), i.Port(), i.Slot())
}

// check says whether this is an intent at all: repairing by anything else does damage.
func (i Intent) check() error {
	if i == 0 {
		return nil
	}
	again := NewTake(i.Port(), i.Slot(), i.Unique())
	if i.Op() == OpFree {
		again = NewFree(i.Port(), i.Slot(), i.Rest())
	}
	if i != again || i.Slot() >= MaxMembers || i.Port() == 0 {
		return malformed("entry", "intent %#x is none", uint64(i))
	}
	return nil
}
