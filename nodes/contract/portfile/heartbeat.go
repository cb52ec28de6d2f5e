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
	BeatInterval = 20 * time.Millisecond
	// LapseAfter is how long after its last beat a stack answers for DVIPAs at most: whatever
	// prolongs that comes after a beat, and within a short time of it.
	LapseAfter = 110 * time.Millisecond
	// longestLapse bounds Lapse.
	longestLapse = 510 * time.Millisecond
)

// Lapse is LapseAfter in a plex that is more patient than by default: where a member is lost after dead of silence, its owner
// may answer for that long as well, 510 ms at most. Whoever waits for silence anyway loses nothing by it, and a busy
// machine less often lets nobody answer.
func Lapse(dead time.Duration) time.Duration {
	return min(max(LapseAfter, dead+LapseAfter/11), longestLapse)
}

// Heartbeat is what a stack says about itself in its slot while it runs; the zero value is
// that of a stack that has not said anything yet.
type Heartbeat struct {
	// Beat is when the stack itself ran last, in nanoseconds of CLOCK_MONOTONIC, which all
	// processes of the machine share. It stands still while the process is frozen.
	Beat time.Duration
	// Sees is how many members the stack has in its group on XCF, itself not counted.
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
