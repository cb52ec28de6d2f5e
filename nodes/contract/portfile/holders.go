package portfile

import (
	"math/bits"
	"time"
)

// PreparedSlots yields the slots whose usage bitmap is allocated in an entry.
func PreparedSlots(entry []byte) func(yield func(slot int) bool) {
	return func(yield func(int) bool) {
		for i := range MaxMembers / 64 {
			for word := le.Uint64(entry[PreparedOffset+8*i:]); word != 0; word &= word - 1 {
				if !yield(64*i + bits.TrailingZeros64(word)) {
					return
				}
			}
		}
	}
}

// Holders are the slots of the stacks that use a port, in order.
func Holders(entry []byte, port uint16) []int {
	var slots []int
	for slot := range PreparedSlots(entry) {
		if Usage(entry, slot).Has(port) {
			slots = append(slots, slot)
		}
	}
	return slots
}

// HeldBy says whether the stack of a slot uses a port.
func HeldBy(entry []byte, port uint16, slot int) bool {
	return Prepared(entry, slot) && Usage(entry, slot).Has(port)
}

// HeldByOther says whether a stack other than that of the slot uses a port.
func HeldByOther(entry []byte, port uint16, slot int) bool {
	for i := range MaxMembers / 64 {
		for word := le.Uint64(entry[PreparedOffset+8*i:]); word != 0; word &= word - 1 {
			other := 64*i + bits.TrailingZeros64(word)
			if other != slot && Usage(entry, other).Has(port) {
				return true
			}
		}
	}
	return false
}

// PortUse is what an entry says of a port that somebody uses or that rests.
type PortUse struct {
	Port   uint16
	Unique bool
	Slots  []int // of the stacks that use it
	Rest   time.Duration
}

// InUse are the ports of an entry that are used or rest, in order; now is CLOCK_BOOTTIME.
func InUse(entry []byte, now time.Duration) []PortUse {
	var uses []PortUse
	available, unique := Available(entry), Unique(entry)
	for w := range words {
		for candidates := ^available.word(w) | withRest(entry, w); candidates != 0; candidates &= candidates - 1 {
			port := uint16(w*64 + bits.TrailingZeros64(candidates))
			rest := RestOf(entry, port).Left(now)
			if port == 0 || available.Has(port) && rest == 0 {
				continue
			}
			uses = append(uses, PortUse{Port: port, Unique: unique.Has(port), Slots: Holders(entry, port), Rest: rest})
		}
	}
	return uses
}
