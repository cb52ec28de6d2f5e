package portfile

import "time"

// Where the heartbeat stands in a member slot: two words, each stored at once, the beat last.
const (
	// SightOffset is where the word of what the stack sees stands, 8 bytes: Heartbeat.Sees in
	// bits 0 to 31, Heartbeat.Outside in bit 32.
	SightOffset = 88
	// BeatOffset is where Heartbeat.Beat stands, 8 bytes.
	BeatOffset = 80
)

const outsideBit = 32

const (
	// BeatInterval is the time between two beats of a stack.
	BeatInterval = 40 * time.Millisecond
	// The bounds of Lapse, and how much it exceeds the silence by which a member is lost.
	shortestLapse, longestLapse = 110 * time.Millisecond, 510 * time.Millisecond
	lapseMargin                 = 10 * time.Millisecond
)

// Lapse is how long after its last beat a stack answers for DVIPAs at most, in a plex whose members are lost after
// dead of silence: whatever prolongs that comes after a beat, and within a short time of it. More patience makes it longer:
// who waits for silence anyway loses nothing by it, and a busy machine less often has nobody answer.
func Lapse(dead time.Duration) time.Duration {
	return min(max(shortestLapse, dead+lapseMargin), longestLapse)
}

// Heartbeat is what a stack says about itself in its slot while it runs; the zero value is
// that of a stack that has not said anything yet.
type Heartbeat struct {
	// Beat is when the stack itself ran last, in nanoseconds of CLOCK_MONOTONIC, which all
	// processes of the machine share. It stands still while the process is frozen.
	Beat time.Duration
	// Sees is how many other members the stack has heard on XCF within half of dead.
	Sees uint32
	// Outside: at least one of the stack's links to the outside is up.
	Outside bool
}

// Sight is the word at SightOffset.
func (h Heartbeat) Sight() uint64 {
	word := uint64(h.Sees)
	if h.Outside {
		word |= 1 << outsideBit
	}
	return word
}

// HeartbeatOf makes a heartbeat of its words. The beat is read first: what is seen is then no older.
func HeartbeatOf(beat, sight uint64) Heartbeat {
	return Heartbeat{Beat: time.Duration(beat), Sees: uint32(sight), Outside: sight>>outsideBit&1 != 0}
}

// DecodeHeartbeat reads the heartbeat of a slot.
func DecodeHeartbeat(slot []byte) Heartbeat {
	return HeartbeatOf(le.Uint64(slot[BeatOffset:]), le.Uint64(slot[SightOffset:]))
}
