package portfile

import "net/netip"

// Where the fields of a member slot are.
const (
	// SlotStateOffset is where the state of a slot stands, 8 bytes. It is the last to be
	// written when a slot is taken.
	SlotStateOffset = 0
	offIncarnation  = 8  // 8 bytes
	offPID          = 16 // 4
	offMemberXCF    = 24 // 17
	offMemberName   = 48 // 32
)

// SlotState says what a member slot is.
type SlotState uint64

const (
	// SlotFree: nobody's; no entry has a bit in its usage bitmap.
	SlotFree SlotState = 0
	// SlotExpected: a stack that lived in the file before this one and has not registered all
	// its ports yet. While it does so it holds the slot's lock.
	SlotExpected SlotState = 1
	// SlotLive: a stack, which holds the slot's lock as long as it lives.
	SlotLive SlotState = 2
	// SlotEnding: the stack is gone and whoever holds the slot's lock is taking its ports back.
	SlotEnding SlotState = 3
)

func (s SlotState) String() string {
	switch s {
	case SlotFree:
		return "free"
	case SlotExpected:
		return "expected"
	case SlotLive:
		return "live"
	case SlotEnding:
		return "ending"
	}
	return "invalid"
}

// Member is a member slot. All but the state of a free slot means nothing.
type Member struct {
	State       SlotState
	Incarnation uint64 // of the stack, never zero
	PID         uint32 // of the stack's process, where /proc shows it
	XCF         netip.Addr
	Stack       string
}

// Encode writes the member into a slot, all but the state: that is one store of 8 bytes at
// SlotStateOffset, SlotFree or SlotEnding before and m.State after.
func (m Member) Encode(slot []byte) {
	b := slot[:SlotSize]
	clear(b[offIncarnation:])
	le.PutUint64(b[offIncarnation:], m.Incarnation)
	le.PutUint32(b[offPID:], m.PID)
	putAddress(b[offMemberXCF:], m.XCF)
	putName(b[offMemberName:], m.Stack)
}

// DecodeMember reads and checks a slot; a *FormatError says what is wrong with it.
func DecodeMember(slot []byte) (Member, error) {
	const part = "member slot"
	if len(slot) < SlotSize {
		return Member{}, malformed(part, "%d bytes, want %d", len(slot), SlotSize)
	}
	m := Member{State: SlotState(le.Uint64(slot[SlotStateOffset:]))}
	switch m.State {
	case SlotFree:
		return Member{}, nil
	case SlotExpected, SlotLive, SlotEnding:
	default:
		return Member{}, malformed(part, "state %d, want %d to %d", m.State, SlotFree, SlotEnding)
	}
	m.Incarnation = le.Uint64(slot[offIncarnation:])
	if m.Incarnation == 0 {
		return Member{}, malformed(part, "incarnation 0")
	}
	m.PID = le.Uint32(slot[offPID:])
	var err error
	if m.XCF, err = getAddress(part, slot[offMemberXCF:]); err != nil {
		return Member{}, err
	}
	m.Stack, err = getName(part, slot[offMemberName:])
	return m, err
}
