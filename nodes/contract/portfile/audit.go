package portfile

import (
	"fmt"
	"math/bits"
)

// A Finding is something in an entry that does not fit together.
type Finding struct {
	Port uint16 // 0 if it concerns the entry as a whole
	Kind Kind
	// Conflict: several stacks use a unique port. CLUSTERPORTS added to a DVIPA in use may find
	// it so (T21); everything else is a defect of an implementation, or damage.
	Conflict bool
	Problem  string
}

// A Kind is what does not fit together.
type Kind uint8

// The kinds of findings.
const (
	Inconsistent   Kind = iota + 1 // an update not completed, port 0 not left alone, a port in use that rests
	NoHolder                       // in use by a cluster-wide bitmap, and by no stack
	HeldAvailable                  // available, and used by a stack
	SeveralHolders                 // unique, and used by several stacks
	DeadHolder                     // used by a slot that is no member's
)

func (f Finding) String() string {
	if f.Port == 0 {
		return f.Problem
	}
	return fmt.Sprintf("port %d: %s", f.Port, f.Problem)
}

// Audit compares the cluster-wide bitmaps of an entry with the stack usage structure. members are the
// slots that may use ports, nil for any. The entry must be locked.
func Audit(entry []byte, members func(slot int) bool) []Finding {
	var findings []Finding
	find := func(port int, kind Kind, format string, args ...any) {
		findings = append(findings, Finding{uint16(port), kind, kind == SeveralHolders, fmt.Sprintf(format, args...)})
	}
	if intent := Intent(le.Uint64(entry[IntentOffset:])); intent != 0 {
		find(0, Inconsistent, "an update is not completed: %s", intent)
	}
	var slots []int
	for slot := range PreparedSlots(entry) {
		slots = append(slots, slot)
		if used := Usage(entry, slot).Count(); used > 0 && members != nil && !members(slot) {
			find(0, DeadHolder, "slot %d uses %d ports and is no member", slot, used)
		}
	}
	available, unique := Available(entry), Unique(entry)
	for w := range words {
		var used, shared uint64 // by one at least, by two at least
		for _, slot := range slots {
			word := Usage(entry, slot).word(w)
			shared |= used & word
			used |= word
		}
		resting := withRest(entry, w)
		nobody := uint64(0)
		if w == 0 {
			nobody = 1 // port 0
		}
		a, u := available.word(w), unique.word(w)
		for odd := a&used | ^(a | used | nobody) | u&^used | u&shared | resting&used | (a|used|u|resting)&nobody; odd != 0; odd &= odd - 1 {
			port := w*64 + bits.TrailingZeros64(odd)
			mask := uint64(1) << (port % 64)
			switch {
			case nobody&mask != 0:
				find(0, Inconsistent, "port 0 is not left alone")
			case a&used&mask != 0:
				find(port, HeldAvailable, "available, and used by slots %v", Holders(entry, uint16(port)))
			case (a|used)&mask == 0:
				find(port, NoHolder, "unavailable, and used by nobody")
			case u&mask != 0 && used&mask == 0:
				find(port, NoHolder, "unique, and used by nobody")
			case resting&used&mask != 0:
				find(port, Inconsistent, "rests, and is used by slots %v", Holders(entry, uint16(port)))
			default:
				find(port, SeveralHolders, "unique, and used by slots %v", Holders(entry, uint16(port)))
			}
		}
	}
	return findings
}
